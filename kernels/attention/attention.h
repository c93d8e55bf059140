/// Attention over a paged KV cache: one problem description that the GPU kernels, their CPU emulation and the
/// CPU references all take. Plain data: copy this folder, common/ and the .cu files to use the kernels
/// elsewhere.
///
/// Request r owns the query tokens q_start[r] .. q_start[r + 1] - 1; they are the last tokens of its
/// kv_len[r] tokens, which are all in the cache already (append first, then attend). Query token i of n
/// stands at position kv_len - n + i and sees the keys at positions up to its own (causal, bottom right):
/// decode is n = 1, speculative verification n = 2..8, chunked prefill any n. A query that sees no key gives
/// zeros and an lse of minus infinity.
///
/// Key t of request r is token t % page_size of page block_table[r * block_table_stride + t / page_size].
/// Only table entries and rows of keys that some query sees are read.
#pragma once

#include <cstdint>

#include "kernels/attention/plan.h"
#include "kernels/common/kv_format.h"

namespace kvcast::kernels {

/// Queries and outputs are one of these.
enum class QueryType : std::uint8_t { bf16, fp16 };

/// The cache of one layer; see kv_format.h for what a row is. MLA (multi-head latent attention, absorbed
/// form): one KV head, v is null, and the values are the first value_size channels of the keys.
struct PagedKv {
  KvType type = KvType::bf16;
  int page_size = 16;  // tokens: 8, 16, 32, 64 or 128
  const std::uint8_t* k = nullptr;
  const std::uint8_t* v = nullptr;
  std::int64_t page_stride = 0;    // bytes, of k and of v
  std::int64_t token_stride = 0;   // bytes
  std::int64_t head_stride = 0;    // bytes
  const float* k_scale = nullptr;  // for types with a scale
  const float* v_scale = nullptr;
  std::int64_t scale_page_stride = 0;  // floats
  std::int64_t scale_token_stride = 0;
  std::int64_t scale_head_stride = 0;
};

struct AttentionArgs {
  int requests = 0;
  int q_heads = 0;
  int kv_heads = 0;    // divides q_heads; the group, their quotient, is at most 16 (MLA: at most 128)
  int head_size = 0;   // 64, 128 or 256; MLA: 576
  int value_size = 0;  // head_size; MLA: 512
  QueryType q_type = QueryType::bf16;
  const std::uint16_t* q =
      nullptr;  // [tokens][q_heads][head_size], strides in elements, rows at multiples of 16 bytes
  std::int64_t q_token_stride = 0;
  std::int64_t q_head_stride = 0;
  std::uint16_t* out = nullptr;  // [tokens][q_heads][value_size]
  std::int64_t out_token_stride = 0;
  std::int64_t out_head_stride = 0;
  float* lse = nullptr;  // [tokens][q_heads]: natural log of the softmax's denominator; or none
  const std::int32_t* q_start = nullptr;      // [requests + 1]
  const std::int32_t* kv_len = nullptr;       // [requests]
  const std::int32_t* block_table = nullptr;  // [requests][block_table_stride]
  std::int64_t block_table_stride = 0;
  PagedKv cache;
  float scale = 1;                      // of q . k, before everything else; usually 1 / sqrt(head size)
  float soft_cap = 0;                   // s -> cap * tanh(s / cap); 0: none (Gemma 2)
  int window = 0;                       // a query sees its last `window` tokens, itself included; 0: all
  int sink_tokens = 0;                  // with a window: the first tokens, which stay visible (StreamingLLM)
  const float* sink_logits = nullptr;   // [q_heads]: one more term exp(sink) in the denominator (gpt-oss)
  const float* alibi_slopes = nullptr;  // [q_heads]: adds slope * (key - query position)
};

/// Where the plan and the pieces of divided work lie; device memory for the GPU kernels. Sizes: see Plan.
struct PlanArrays {
  const WorkItem* items = nullptr;
  const std::int32_t* cta_first_item = nullptr;  // [ctas + 1]
  const MergeItem* merges = nullptr;
  float* partial_out = nullptr;   // [partials][rows_per_tile][value_size], not yet divided by the sum
  float* partial_stat = nullptr;  // [partials][rows_per_tile][2]: maximum (log2 domain) and sum
  int ctas = 0;
  int merge_count = 0;
};

}  // namespace kvcast::kernels
