#include <algorithm>

#include "kernels/cpu/backend.h"

namespace kvcast::cpu {
namespace {

/// Element i is paired with i + half: Su et al., "RoFormer", 2021, in GPT-NeoX's order.
void rotate(const float* from, const float* cos_sin, std::int64_t head_size, float* to) {
  const std::int64_t half = head_size / 2;
  const float* sines = cos_sin + half;
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = from[i], b = from[i + half];
    to[i] = a * cos_sin[i] - b * sines[i];
    to[i + half] = b * cos_sin[i] + a * sines[i];
  }
}

void append_token(const FloatAppendArgs& args, std::int64_t token) {
  const FloatCache& cache = args.cache;
  const std::int64_t d = cache.head_size;
  const float* row = args.qkv + token * (args.heads + 2 * cache.kv_heads) * d;
  const float* cos_sin = args.cos_sin == nullptr ? nullptr : args.cos_sin + args.positions[token] * d;
  const auto place = [&](const float* from, float* to) {
    if (cos_sin == nullptr) {
      std::copy_n(from, d, to);
    } else {
      rotate(from, cos_sin, d, to);
    }
  };
  for (std::int64_t head = 0; head < args.heads; ++head)
    place(row + head * d, args.q + (token * args.heads + head) * d);
  const float* keys = row + args.heads * d;
  const float* values = keys + cache.kv_heads * d;
  for (std::int64_t head = 0; head < cache.kv_heads; ++head) {
    place(keys + head * d, cache.k + cache.offset(args.slots[token], head));
    std::copy_n(values + head * d, d, cache.v + cache.offset(args.slots[token], head));
  }
}

}  // namespace

void append(Threads& threads, const FloatAppendArgs& args) {
  constexpr std::int64_t kTokens = 4;
  threads.run((args.tokens + kTokens - 1) / kTokens, [&](std::int64_t item, int) {
    const std::int64_t end = std::min(args.tokens, (item + 1) * kTokens);
    for (std::int64_t token = item * kTokens; token < end; ++token) append_token(args, token);
  });
}

}  // namespace kvcast::cpu
