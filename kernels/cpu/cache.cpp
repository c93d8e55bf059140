#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/cpu/backend.h"

namespace kvcast::cpu {
namespace {

using kernels::CacheView;

/// One row, quantised, with its scale.
void store_row(const CacheView& cache, const float* x, std::uint8_t* row, float* scale) {
  float step = 1;
  if (kernels::kv_has_scale(cache.type)) {
    float largest = 0;
    for (std::int32_t i = 0; i < cache.head_size; ++i) largest = std::max(largest, std::fabs(x[i]));
    if (largest > 0) step = largest / kernels::kv_code_max(cache.type);
    *scale = step;
  }
  for (std::int32_t i = 0; i < cache.head_size; ++i)
    kernels::store_kv_code(cache.type, row, i, kernels::encode_kv(cache.type, x[i] / step));
}

void rotate(const kernels::AppendArgs<float>& args, std::int64_t token, float* x) {
  if (args.rotation == kernels::Rotation::none) return;
  const std::int32_t half = args.rotary_dim / 2;
  const float* cosines = args.cos_sin + args.positions[token] * args.rotary_dim;
  const float* sines = cosines + half;
  const bool halves = args.rotation == kernels::Rotation::halves;
  for (std::int32_t i = 0; i < half; ++i) {
    float& first = x[halves ? i : 2 * i];
    float& second = x[halves ? i + half : 2 * i + 1];
    const float a = first, b = second;
    first = a * cosines[i] - b * sines[i];
    second = b * cosines[i] + a * sines[i];
  }
}

void append_token(const kernels::AppendArgs<float>& args, std::int64_t token, std::vector<float>& space) {
  const CacheView& cache = args.cache;
  if (args.q != nullptr) {
    for (std::int32_t head = 0; head < args.heads; ++head)
      rotate(args, token, args.q + token * args.q_stride + static_cast<std::int64_t>(head) * cache.head_size);
  }
  const std::int64_t slot = args.slots[token];
  if (slot < 0) return;
  for (std::int32_t head = 0; head < cache.kv_heads; ++head) {
    const std::int64_t within = static_cast<std::int64_t>(head) * cache.head_size;
    std::copy_n(args.k + token * args.k_stride + within, cache.head_size, space.begin());
    rotate(args, token, space.data());
    store_row(cache, space.data(), cache.k + cache.row(slot, head), cache.k_scale + cache.scale(slot, head));
    store_row(cache, args.v + token * args.v_stride + within, cache.v + cache.row(slot, head),
              cache.v_scale + cache.scale(slot, head));
  }
}

void decode_row(const CacheView& cache, const std::uint8_t* row, float scale, float* to) {
  for (std::int32_t i = 0; i < cache.head_size; ++i)
    to[i] = kernels::decode_kv(cache.type, kernels::load_kv_code(cache.type, row, i)) * scale;
}

void score_sequence(const kernels::AccumulateScoresArgs<float>& args, std::int64_t seq,
                    std::vector<float>& key) {
  const CacheView& cache = args.cache;
  const std::int64_t group = args.heads / cache.kv_heads;
  for (std::int64_t token = 0; token < args.context[seq]; ++token) {
    const std::int64_t slot = kernels::cache_slot(args.tables + seq * args.blocks_max, token, 0, cache.page);
    for (std::int64_t kv_head = 0; kv_head < cache.kv_heads; ++kv_head) {
      const float scale =
          kernels::kv_has_scale(cache.type) ? cache.k_scale[cache.scale(slot, kv_head)] : 1.0F;
      decode_row(cache, cache.k + cache.row(slot, kv_head), scale, key.data());
      float weight = 0;
      for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        const float* q = args.q + (seq * args.heads + head) * cache.head_size;
        float product = 0;
        for (std::int32_t i = 0; i < cache.head_size; ++i) product += q[i] * key[static_cast<std::size_t>(i)];
        weight += std::exp(product * args.scale - args.lse[seq * args.heads + head]);
      }
      args.scores[slot * cache.kv_heads + kv_head] += weight;
    }
  }
}

}  // namespace

void CacheRows::rows(std::int64_t seq, std::int64_t kv_head, std::int64_t begin, std::int64_t count,
                     float* space, const float** k, const float** v) const {
  const bool scaled = kernels::kv_has_scale(cache_.type);
  for (std::int64_t j = 0; j < count; ++j) {
    const std::int64_t slot = kernels::cache_slot(tables_ + seq * blocks_max_, begin + j, 0, cache_.page);
    const std::int64_t at = cache_.scale(slot, kv_head);
    float* key = space + 2 * j * cache_.head_size;
    float* value = key + cache_.head_size;
    decode_row(cache_, cache_.k + cache_.row(slot, kv_head), scaled ? cache_.k_scale[at] : 1.0F, key);
    decode_row(cache_, cache_.v + cache_.row(slot, kv_head), scaled ? cache_.v_scale[at] : 1.0F, value);
    k[j] = key;
    v[j] = value;
  }
}

void append(Threads& threads, const kernels::AppendArgs<float>& args) {
  threads.run(args.tokens, [&](std::int64_t token, int) {
    std::vector<float> space(static_cast<std::size_t>(args.cache.head_size));
    append_token(args, token, space);
  });
}

void make_slots(Threads& threads, const kernels::SlotArgs& args) {
  threads.run(args.seqs, [&](std::int64_t seq, int) {
    for (std::int64_t i = args.start[seq]; i < args.start[seq + 1]; ++i) {
      args.positions[i] = args.first[seq] + i - args.start[seq];
      args.slots[i] =
          kernels::cache_slot(args.tables + seq * args.blocks_max, args.positions[i], args.ring, args.page);
    }
  });
}

void copy_blocks(Threads& threads, const kernels::CopyBlocksArgs& args) {
  threads.run(args.pairs, [&](std::int64_t pair, int) {
    for (std::int64_t pool = 0; pool < args.pools; ++pool) {
      std::memcpy(args.targets[pool] + args.to[pair] * args.block_bytes,
                  args.sources[pool] + args.from[pair] * args.block_bytes,
                  static_cast<std::size_t>(args.block_bytes));
    }
  });
}

void gather_blocks(Threads& threads, const kernels::GatherBlocksArgs& args) {
  threads.run(args.count, [&](std::int64_t i, int) {
    for (std::int64_t pool = 0; pool < args.pool_count; ++pool) {
      std::memcpy(args.dense + (i * args.pool_count + pool) * args.block_bytes,
                  args.pools[pool] + args.blocks[i] * args.block_bytes,
                  static_cast<std::size_t>(args.block_bytes));
    }
  });
}

void scatter_blocks(Threads& threads, const kernels::GatherBlocksArgs& args) {
  threads.run(args.count, [&](std::int64_t i, int) {
    for (std::int64_t pool = 0; pool < args.pool_count; ++pool) {
      std::memcpy(args.pools[pool] + args.blocks[i] * args.block_bytes,
                  args.dense + (i * args.pool_count + pool) * args.block_bytes,
                  static_cast<std::size_t>(args.block_bytes));
    }
  });
}

void accumulate_scores(Threads& threads, const kernels::AccumulateScoresArgs<float>& args) {
  // Sequences may share blocks, so that one thread does all: an order of additions that never changes.
  threads.run(1, [&](std::int64_t, int) {
    std::vector<float> key(static_cast<std::size_t>(args.cache.head_size));
    for (std::int64_t seq = 0; seq < args.seqs; ++seq) score_sequence(args, seq, key);
  });
}

}  // namespace kvcast::cpu
