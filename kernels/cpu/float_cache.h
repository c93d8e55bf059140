/// The CPU backend's own cache of unquantised floats: blocks of [token][kv_head][head_size], K and V apart.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/attention.h"

namespace kvcast::cpu {

struct FloatCache {
  float* k = nullptr;  // [blocks][page][kv_heads][head_size]
  float* v = nullptr;
  std::int64_t page = 16;  // tokens of a block
  std::int64_t kv_heads = 0;
  std::int64_t head_size = 0;

  [[nodiscard]] std::int64_t offset(std::int64_t slot, std::int64_t head) const {
    return (slot * kv_heads + head) * head_size;
  }
};

/// Rows of a FloatCache through block tables: no copy.
class FloatCacheRows final : public KvRows {
 public:
  /// \param tables [seqs][blocks_max]: the numbers of each sequence's blocks
  FloatCacheRows(const FloatCache& cache, const std::int32_t* tables, std::int64_t blocks_max)
      : cache_(cache), tables_(tables), blocks_max_(blocks_max) {}

  void rows(std::int64_t seq, std::int64_t kv_head, std::int64_t begin, std::int64_t count, float* /*space*/,
            const float** k, const float** v) const override {
    const std::int32_t* table = tables_ + seq * blocks_max_;
    for (std::int64_t j = 0; j < count; ++j) {
      const std::int64_t token = begin + j;
      const std::int64_t slot = table[token / cache_.page] * cache_.page + token % cache_.page;
      k[j] = cache_.k + cache_.offset(slot, kv_head);
      v[j] = cache_.v + cache_.offset(slot, kv_head);
    }
  }

 private:
  FloatCache cache_;
  const std::int32_t* tables_;
  std::int64_t blocks_max_;
};

/// Rotates queries and keys and writes keys and values into the cache, in one pass over the new tokens. A
/// token's row of qkv holds its queries, keys and values, as the projection leaves them.
struct FloatAppendArgs {
  float* qkv = nullptr;                     // [tokens][(heads + 2 * kv_heads) * head_size]
  float* q = nullptr;                       // [tokens][heads][head_size]: the rotated queries, dense
  const std::int64_t* positions = nullptr;  // [tokens]
  const std::int64_t* slots = nullptr;      // [tokens]: block * page + token in it
  const float* cos_sin =
      nullptr;  // [positions][head_size]: cosines of the pairs, then sines; none: no rotation
  std::int64_t tokens = 0;
  std::int64_t heads = 0;
  FloatCache cache;
};

}  // namespace kvcast::cpu
