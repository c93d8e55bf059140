/// Everything that moves keys and values except attention itself: append, copies, swaps, scores. One
/// interface for every backend; pointers are the backend's (device memory for CUDA).
#pragma once

#include <cstdint>

#include "kernels/common/kv_format.h"

namespace kvcast::kernels {

/// One layer's paged cache. A row is one token's keys (or values) of one KV head, stored as kv_format.h says.
/// A slot is block * page + token in the block. Strides let the heads lie inside a token ("NHD") or outside
/// ("HND").
struct CacheView {
  KvType type = KvType::bf16;
  std::uint8_t* k = nullptr;
  std::uint8_t* v = nullptr;
  float* k_scale = nullptr;  // one for each (token, KV head); unused where the type has none
  float* v_scale = nullptr;
  std::int64_t block_stride = 0;  // bytes
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t scale_block_stride = 0;  // floats
  std::int64_t scale_token_stride = 0;
  std::int64_t scale_head_stride = 0;
  std::int32_t page = 16;  // tokens of a block
  std::int32_t kv_heads = 0;
  std::int32_t head_size = 0;

  /// Slots are below 2^32: division in 64 bits is a function call on a GPU.
  [[nodiscard]] KVCAST_HOST_DEVICE std::int64_t block_of(std::int64_t slot) const {
    return static_cast<std::uint32_t>(slot) / static_cast<std::uint32_t>(page);
  }
  [[nodiscard]] KVCAST_HOST_DEVICE std::int64_t token_of(std::int64_t slot) const {
    return static_cast<std::uint32_t>(slot) % static_cast<std::uint32_t>(page);
  }
  [[nodiscard]] KVCAST_HOST_DEVICE std::int64_t row(std::int64_t slot, std::int64_t head) const {
    return block_of(slot) * block_stride + token_of(slot) * token_stride + head * head_stride;
  }
  [[nodiscard]] KVCAST_HOST_DEVICE std::int64_t scale(std::int64_t slot, std::int64_t head) const {
    return block_of(slot) * scale_block_stride + token_of(slot) * scale_token_stride +
           head * scale_head_stride;
  }
};

/// A dense cache of [block][token][head] rows ("NHD"), or [block][head][token] ("HND").
KVCAST_HOST_DEVICE inline void set_dense_strides(CacheView& view, bool heads_inside) {
  const std::int64_t row = kv_row_bytes(view.type, view.head_size);
  view.block_stride = row * view.page * view.kv_heads;
  view.token_stride = heads_inside ? row * view.kv_heads : row;
  view.head_stride = heads_inside ? row : row * view.page;
  view.scale_block_stride = static_cast<std::int64_t>(view.page) * view.kv_heads;
  view.scale_token_stride = heads_inside ? view.kv_heads : 1;
  view.scale_head_stride = heads_inside ? 1 : view.page;
}

/// The slot of a token whose sequence keeps only its last `ring` tokens (a sliding window): blocks are used
/// round and round. ring 0: all tokens are kept. \param table the sequence's block numbers
KVCAST_HOST_DEVICE inline std::int64_t cache_slot(const std::int32_t* table, std::int64_t position,
                                                  std::int64_t ring, std::int32_t page) {
  auto token = static_cast<std::uint32_t>(position);
  if (ring > 0) token %= static_cast<std::uint32_t>(ring);
  const auto size = static_cast<std::uint32_t>(page);
  return static_cast<std::int64_t>(table[token / size]) * page + token % size;
}

/// How a position enters queries and keys. none: not here (ALiBi adds its bias inside attention).
enum class Rotation : std::uint8_t {
  none,
  halves,  // element i turns with i + rotary_dim / 2 (GPT-NeoX, Llama)
  pairs,   // element 2i turns with 2i + 1 (GPT-J)
};

/// Rotates queries in place and keys on their way, quantises keys and values, and scatters them into the
/// cache. Rotation and scales are computed in float: scale = largest |x| of the row / kv_code_max(type) (1
/// where the row is all zeros), code = encode_kv(type, x / scale). Source of the rotation: Su et al.,
/// "RoFormer", 2021. \tparam Element of q, k and v
template <class Element>
struct AppendArgs {
  Element* q = nullptr;  // [tokens][heads][head_size], rotated in place; or none
  const Element* k = nullptr;
  const Element* v = nullptr;
  std::int64_t q_stride = 0;  // elements from one token to the next: parts of a fused row are fine
  std::int64_t k_stride = 0;
  std::int64_t v_stride = 0;
  const std::int64_t* positions = nullptr;  // [tokens]
  const std::int64_t* slots = nullptr;      // [tokens]; below 0: the token is not stored (padding)
  const float* cos_sin = nullptr;  // [positions][rotary_dim]: the cosines of the pairs, then the sines
  Rotation rotation = Rotation::none;
  std::int32_t rotary_dim = 0;  // even, at most head_size; GPU: a multiple of 16
  std::int32_t heads = 0;
  std::int64_t tokens = 0;
  CacheView cache;
};

/// Slots of new tokens: sequence s gets tokens first[s] to first[s] + count - 1 with count = start[s + 1] -
/// start[s].
struct SlotArgs {
  const std::int32_t* tables = nullptr;  // [seqs][blocks_max]
  const std::int64_t* start = nullptr;   // [seqs + 1]
  const std::int64_t* first = nullptr;   // [seqs]: positions
  std::int64_t* slots = nullptr;         // [start[seqs]]
  std::int64_t* positions = nullptr;     // the same
  std::int64_t seqs = 0;
  std::int64_t blocks_max = 0;
  std::int64_t ring = 0;
  std::int32_t page = 16;
};

/// Copies whole blocks: pair i copies block from[i] of every source pool to block to[i] of the same target
/// pool. Pools are the layers' keys and values. Copy-on-write: both pools are the same; from and to have no
/// block in common. Swap: one side is pinned host memory.
struct CopyBlocksArgs {
  const std::uint8_t* const* sources = nullptr;  // [pools]
  std::uint8_t* const* targets = nullptr;        // [pools]
  const std::int32_t* from = nullptr;            // [pairs]
  const std::int32_t* to = nullptr;              // [pairs]
  std::int64_t pools = 0;
  std::int64_t pairs = 0;
  std::int64_t block_bytes = 0;  // a multiple of 16, pools aligned to 16
};

/// Blocks of every pool to one dense buffer [blocks][pools][block_bytes], or back.
struct GatherBlocksArgs {
  std::uint8_t* const* pools = nullptr;
  const std::int32_t* blocks = nullptr;  // [count], without repeats when scattered to
  std::uint8_t* dense = nullptr;
  std::int64_t pool_count = 0;
  std::int64_t count = 0;
  std::int64_t block_bytes = 0;
};

/// For eviction by accumulated attention: adds to scores[slot][kv_head] the softmax weight that each cached
/// token has for the sequence's query, summed over the heads of the group. Source: Zhang et al., "H2O", 2023.
/// \tparam Element of q
template <class Element>
struct AccumulateScoresArgs {
  const Element* q = nullptr;             // [seqs][heads][head_size]
  const float* lse = nullptr;             // [seqs][heads]: log of the sum of the softmax, from attention
  const std::int32_t* tables = nullptr;   // [seqs][blocks_max]
  const std::int64_t* context = nullptr;  // [seqs]
  float* scores = nullptr;                // [blocks * page][kv_heads]
  std::int64_t seqs = 0;
  std::int64_t blocks_max = 0;
  std::int32_t heads = 0;
  float scale = 1;
  CacheView cache;
};

}  // namespace kvcast::kernels
