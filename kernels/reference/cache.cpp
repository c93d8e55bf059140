#include "kernels/reference/cache.h"

#include <algorithm>
#include <cmath>

namespace kvcast::kernels {

std::vector<double> rotated_exact(const std::vector<double>& x, const float* cos_sin, std::int64_t position,
                                  Rotation rotation, std::int32_t rotary_dim) {
  std::vector<double> y = x;
  if (rotation == Rotation::none) return y;
  const auto half = static_cast<std::size_t>(rotary_dim / 2);
  const float* row = cos_sin + position * rotary_dim;
  for (std::size_t i = 0; i < half; ++i) {
    const auto cosine = static_cast<double>(row[i]), sine = static_cast<double>(row[half + i]);
    const std::size_t a = rotation == Rotation::halves ? i : 2 * i;
    const std::size_t b = rotation == Rotation::halves ? i + half : 2 * i + 1;
    y[a] = x[a] * cosine - x[b] * sine;
    y[b] = x[b] * cosine + x[a] * sine;
  }
  return y;
}

std::vector<double> cached_row(const CacheView& cache, std::int64_t slot, std::int64_t head, bool values) {
  const std::uint8_t* row = (values ? cache.v : cache.k) + cache.row(slot, head);
  const float* scales = values ? cache.v_scale : cache.k_scale;
  const double scale = kv_has_scale(cache.type) ? static_cast<double>(scales[cache.scale(slot, head)]) : 1;
  std::vector<double> x;
  for (std::int32_t i = 0; i < cache.head_size; ++i)
    x.push_back(static_cast<double>(decode_kv(cache.type, load_kv_code(cache.type, row, i))) * scale);
  return x;
}

double quantisation_bound(KvType type, double x, double scale) {
  const double size = std::fabs(x) / scale;
  const auto floating = [size](int mantissa_bits, int exponent_min) {
    const int exponent = size > 0 ? std::max(std::ilogb(size), exponent_min) : exponent_min;
    return std::ldexp(0.5, exponent - mantissa_bits);
  };
  switch (type) {
    case KvType::bf16:
      return floating(7, -126);
    case KvType::fp16:
      return floating(10, -14);
    case KvType::fp8_e4m3:
      return floating(3, -6) * scale;
    case KvType::fp8_e5m2:
      return floating(2, -14) * scale;
    case KvType::int8:
    case KvType::int4:
      return 0.5 * scale;
    case KvType::nf4:
      break;
  }
  double gap = 0;
  for (std::uint32_t code = 0; code + 1 < 16; ++code) {
    const auto low = static_cast<double>(nf4_level(code)), high = static_cast<double>(nf4_level(code + 1));
    if (x / scale >= low - 1e-6 && x / scale <= high + 1e-6) gap = std::max(gap, high - low);
  }
  return 0.5 * gap * scale;
}

namespace {

/// exp(scale * q . k) of one head over its sequence's context.
std::vector<double> exponentials(const AccumulateScoresArgs<float>& args, std::int64_t seq,
                                 std::int64_t head) {
  const CacheView& cache = args.cache;
  const std::int64_t group = args.heads / cache.kv_heads;
  const float* q = args.q + (seq * args.heads + head) * cache.head_size;
  std::vector<double> result;
  for (std::int64_t token = 0; token < args.context[seq]; ++token) {
    const std::int64_t slot = cache_slot(args.tables + seq * args.blocks_max, token, 0, cache.page);
    const std::vector<double> key = cached_row(cache, slot, head / group, false);
    double product = 0;
    for (std::size_t i = 0; i < key.size(); ++i) product += key[i] * static_cast<double>(q[i]);
    result.push_back(std::exp(product * static_cast<double>(args.scale)));
  }
  return result;
}

}  // namespace

std::vector<float> lse_exact(const AccumulateScoresArgs<float>& args) {
  std::vector<float> lse;
  for (std::int64_t seq = 0; seq < args.seqs; ++seq) {
    for (std::int64_t head = 0; head < args.heads; ++head) {
      double sum = 0;
      for (const double value : exponentials(args, seq, head)) sum += value;
      lse.push_back(static_cast<float>(std::log(sum)));
    }
  }
  return lse;
}

std::vector<double> scores_exact(const AccumulateScoresArgs<float>& args, std::int64_t seq) {
  const std::int64_t kv_heads = args.cache.kv_heads;
  std::vector<double> scores(static_cast<std::size_t>(args.context[seq] * kv_heads));
  for (std::int64_t head = 0; head < args.heads; ++head) {
    const std::vector<double> values = exponentials(args, seq, head);
    double sum = 0;
    for (const double value : values) sum += value;
    const std::int64_t kv_head = head / (args.heads / kv_heads);
    for (std::size_t token = 0; token < values.size(); ++token)
      scores[token * static_cast<std::size_t>(kv_heads) + static_cast<std::size_t>(kv_head)] +=
          values[token] / sum;
  }
  return scores;
}

}  // namespace kvcast::kernels
