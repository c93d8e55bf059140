/// Sampling on a GPU: one CTA for each row, no sort. The limits of top-k and top-p are found digit by digit
/// (three bits at a time) among the logits' bit patterns, which order as the numbers do.
#pragma once

#include "kernels/common/device.h"
#include "kernels/common/element.h"
#include "kernels/elementwise/elementwise.h"

namespace kvcast::kernels {

inline constexpr int kSampleThreads = 512;
inline constexpr int kSampleWarps = kSampleThreads / gpu::kWarp;
inline constexpr int kDigits = 8;  // values of a digit of three bits
/// Shared memory: a float for each digit and warp, then a pair for each warp.
inline constexpr int kSampleSharedBytes = 4 * (kDigits * kSampleWarps + 2 * kSampleWarps);

/// A number that orders as the float does.
KVCAST_DEVICE std::uint32_t order_of(float value) {
  const std::uint32_t bits = bits_of(value);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
}

class RowSampler {
 public:
  KVCAST_DEVICE RowSampler(const SampleArgs& args, std::int64_t row)
      : logits_(args.logits + row * args.vocabulary),
        vocabulary_(args.vocabulary),
        thread_(gpu::thread_index()),
        lane_(thread_ % gpu::kWarp),
        warp_(thread_ / gpu::kWarp) {}

  /// The largest logit and its lowest index; the same in every thread.
  KVCAST_DEVICE std::int32_t find_largest() {
    std::uint32_t best = 0;
    std::int64_t index = vocabulary_;
    for (std::int64_t i = thread_; i < vocabulary_; i += kSampleThreads) {
      const std::uint32_t order = order_of(logits_[i]);
      if (order > best || index == vocabulary_) {
        best = order;
        index = i;
      }
    }
    for (int mask = gpu::kWarp / 2; mask > 0; mask /= 2)
      keep_better(gpu::shuffle_xor(best, mask), gpu::shuffle_xor(index, mask), best, index);
    const gpu::SharedAddress pairs = gpu::shared_base() + 4 * kDigits * kSampleWarps;
    if (lane_ == 0)
      gpu::store_shared(pairs + static_cast<gpu::SharedAddress>(8 * warp_),
                        gpu::Words<2>{{best, static_cast<std::uint32_t>(index)}});
    gpu::sync_cta();
    best = 0;
    index = vocabulary_;
    for (int i = 0; i < kSampleWarps; ++i) {
      const gpu::Words<2> pair = gpu::load_shared<2>(pairs + static_cast<gpu::SharedAddress>(8 * i));
      keep_better(pair.word[0], pair.word[1], best, index);
    }
    gpu::sync_cta();
    largest_ = logits_[index];
    return static_cast<std::int32_t>(index);
  }

  KVCAST_DEVICE std::int32_t draw(const SampleArgs& args, float uniform) {
    slope_ = 1.44269504F / args.temperature;
    std::uint32_t limit = 0;
    if (args.top_k > 0 && args.top_k < vocabulary_)
      limit = search(static_cast<float>(args.top_k), 0, [](float) { return 1.0F; });
    const auto weigh = [this](float logit) { return weight(logit); };
    float total = total_weight(limit);
    if (args.top_p < 1) {
      const std::uint32_t higher = search(args.top_p * total, limit, weigh);
      if (higher > limit) limit = higher;
      total = total_weight(limit);
    }
    return walk(limit, uniform * total);
  }

 private:
  KVCAST_DEVICE static void keep_better(std::uint32_t order, std::int64_t at, std::uint32_t& best,
                                        std::int64_t& index) {
    if (order > best || (order == best && at < index)) {
      best = order;
      index = at;
    }
  }

  KVCAST_DEVICE float weight(float logit) const { return gpu::exp2_fast((logit - largest_) * slope_); }

  /// The sums of eight values over the CTA, in a fixed order; the same in every thread.
  KVCAST_DEVICE void sum_digits(float (&sums)[kDigits]) {
    KVCAST_UNROLL
    for (int d = 0; d < kDigits; ++d)
      for (int mask = gpu::kWarp / 2; mask > 0; mask /= 2) sums[d] += gpu::shuffle_xor(sums[d], mask);
    const gpu::SharedAddress base = gpu::shared_base();
    if (lane_ == 0) {
      KVCAST_UNROLL
      for (int d = 0; d < kDigits; ++d)
        gpu::store_shared(base + static_cast<gpu::SharedAddress>(4 * (warp_ * kDigits + d)),
                          gpu::Words<1>{{bits_of(sums[d])}});
    }
    gpu::sync_cta();
    KVCAST_UNROLL
    for (int d = 0; d < kDigits; ++d) {
      sums[d] = 0;
      for (int w = 0; w < kSampleWarps; ++w)
        sums[d] += float_of(
            gpu::load_shared<1>(base + static_cast<gpu::SharedAddress>(4 * (w * kDigits + d))).word[0]);
    }
    gpu::sync_cta();
  }

  /// The largest order t, not below `limit`, such that the values of all logits of order t or more sum to
  /// `goal` at least. Digits from the top: bits 31-30, then three at a time.
  template <class Value>
  KVCAST_DEVICE std::uint32_t search(float goal, std::uint32_t limit, const Value& value) {
    std::uint32_t found = 0;  // the digits so far
    float above = 0;          // the sum of what lies above them
    for (int shift = 30; shift >= 0; shift -= 3) {
      float sums[kDigits] = {};
      for (std::int64_t i = thread_; i < vocabulary_; i += kSampleThreads) {
        const std::uint32_t order = order_of(logits_[i]);
        const bool inside = shift == 30 || (order >> (shift + 3)) == (found >> (shift + 3));
        if (order < limit || !inside) continue;
        const auto digit = static_cast<int>((order >> shift) & 7U);
        const float add = value(logits_[i]);
        KVCAST_UNROLL
        for (int d = 0; d < kDigits; ++d) sums[d] += d == digit ? add : 0.0F;
      }
      sum_digits(sums);
      int chosen = -1, lowest = 0;
      float before = above;
      KVCAST_UNROLL
      for (int d = kDigits - 1; d >= 0; --d) {
        if (sums[d] == 0 || chosen >= 0) continue;
        lowest = d;
        if (above + sums[d] >= goal) {
          chosen = d;
        } else {
          before = above;
          above += sums[d];
        }
      }
      if (chosen < 0) {  // by rounding nothing reaches the goal: the lowest that there is
        chosen = lowest;
        above = before;
      }
      found |= static_cast<std::uint32_t>(chosen) << shift;
    }
    return found;
  }

  KVCAST_DEVICE float total_weight(std::uint32_t limit) {
    float sums[kDigits] = {};
    for (std::int64_t i = thread_; i < vocabulary_; i += kSampleThreads)
      if (order_of(logits_[i]) >= limit) sums[0] += weight(logits_[i]);
    sum_digits(sums);
    return sums[0];
  }

  /// The first token in order of index at which the weight of the kept tokens exceeds `goal`; the last kept
  /// one if by rounding none does.
  KVCAST_DEVICE std::int32_t walk(std::uint32_t limit, float goal) {
    const gpu::SharedAddress base = gpu::shared_base();
    float before = 0;
    std::int64_t last = 0;
    for (std::int64_t chunk = 0; chunk < vocabulary_; chunk += kSampleThreads) {
      const std::int64_t i = chunk + thread_;
      const bool kept = i < vocabulary_ && order_of(logits_[i]) >= limit;
      float sum = kept ? weight(logits_[i]) : 0.0F;
      for (int step = 1; step < gpu::kWarp; step *= 2) {
        const float lower = gpu::shuffle(sum, lane_ >= step ? lane_ - step : lane_);
        sum += lane_ >= step ? lower : 0.0F;
      }
      if (lane_ == gpu::kWarp - 1)
        gpu::store_shared(base + static_cast<gpu::SharedAddress>(4 * warp_), gpu::Words<1>{{bits_of(sum)}});
      gpu::sync_cta();
      float warps_before = before;
      for (int w = 0; w < kSampleWarps; ++w) {
        const float of_warp =
            float_of(gpu::load_shared<1>(base + static_cast<gpu::SharedAddress>(4 * w)).word[0]);
        if (w < warp_) warps_before += of_warp;
        before += of_warp;
      }
      gpu::sync_cta();
      // The lowest index of the CTA that is past the goal, and the highest that is kept.
      const std::int64_t hit = kept && warps_before + sum > goal ? i : vocabulary_;
      const std::int64_t first = extreme(hit, true);
      if (first < vocabulary_) return static_cast<std::int32_t>(first);
      const std::int64_t kept_last = extreme(kept ? i : -1, false);
      if (kept_last >= 0) last = kept_last;
    }
    return static_cast<std::int32_t>(last);
  }

  /// The smallest or largest index over the CTA; indices fit 31 bits.
  KVCAST_DEVICE std::int64_t extreme(std::int64_t value, bool smallest) {
    for (int mask = gpu::kWarp / 2; mask > 0; mask /= 2) {
      const std::int64_t other = gpu::shuffle_xor(value, mask);
      if ((other < value) == smallest) value = other;
    }
    const gpu::SharedAddress base = gpu::shared_base();
    if (lane_ == 0)
      gpu::store_shared(base + static_cast<gpu::SharedAddress>(4 * warp_),
                        gpu::Words<1>{{static_cast<std::uint32_t>(value + 1)}});
    gpu::sync_cta();
    for (int w = 0; w < kSampleWarps; ++w) {
      const std::int64_t other =
          static_cast<std::int64_t>(
              gpu::load_shared<1>(base + static_cast<gpu::SharedAddress>(4 * w)).word[0]) -
          1;
      if ((other < value) == smallest) value = other;
    }
    gpu::sync_cta();
    return value;
  }

  const float* logits_;
  std::int64_t vocabulary_;
  int thread_, lane_, warp_;
  float largest_ = 0;
  float slope_ = 0;
};

/// One CTA for each row, strided.
KVCAST_DEVICE void sample_rows(const SampleArgs& args) {
  for (std::int64_t row = gpu::block_index(); row < args.rows; row += gpu::block_count()) {
    RowSampler sampler(args, row);
    std::int32_t token = sampler.find_largest();
    if (args.temperature > 0) token = sampler.draw(args, args.uniforms[row]);
    if (gpu::thread_index() == 0) args.tokens[row] = token;
  }
}

}  // namespace kvcast::kernels
