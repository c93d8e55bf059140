/// Attention over a paged cache on the CPU: decode, speculative verification, chunked prefill.
#pragma once

#include <cstdint>

namespace kvcast::cpu {

/// Where the rows of K and V lie: contiguous floats in the cache, or decoded on the way.
class KvRows {
 public:
  virtual ~KvRows() = default;
  /// Pointers to K and V of `count` tokens from `begin` on of one sequence and KV head. A source that decodes
  /// writes into `space` (2 * count * head_size floats) and points there. Tokens that no query sees may be
  /// anything.
  virtual void rows(std::int64_t seq, std::int64_t kv_head, std::int64_t begin, std::int64_t count,
                    float* space, const float** k, const float** v) const = 0;
};

/// The queries of sequence s are rows q_start[s] to q_start[s + 1] of q and stand at its last positions:
/// query i of n sees the first context[s] - n + i + 1 tokens of the context (causal, bottom right).
struct AttentionArgs {
  const float* q = nullptr;  // [queries][heads][head_size]
  float* out = nullptr;      // [queries][heads][value_size]; a query that sees no token gives zeros
  const KvRows* kv = nullptr;
  const std::int64_t* q_start = nullptr;  // [seqs + 1]
  const std::int64_t* context = nullptr;  // [seqs]: tokens in the cache, those of the queries included
  std::int64_t seqs = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;  // divides heads
  std::int64_t head_size = 0;
  std::int64_t value_size = 0;          // channels of V; 0: head_size
  float scale = 1;                      // of q * k, before everything else
  std::int64_t window = 0;              // a query sees its last `window` tokens, itself included; 0: all
  std::int64_t sink_tokens = 0;         // with a window: the first tokens, which stay visible
  float soft_cap = 0;                   // s -> cap * tanh(s / cap); 0: none
  const float* alibi_slopes = nullptr;  // [heads]: adds slope * (key - query position)
  const float* sink_logits = nullptr;   // [heads]: one more term exp(sink) in the sum of the softmax
  float* lse = nullptr;                 // [queries][heads]: log of the softmax's sum; or none
};

}  // namespace kvcast::cpu
