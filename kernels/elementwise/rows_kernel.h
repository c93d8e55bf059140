/// RMSNorm and SiLU-mul on a GPU. Rows are read and written 16 bytes at a time; width is a multiple of 8.
#pragma once

#include <cmath>

#include "kernels/common/device.h"
#include "kernels/common/packed.h"
#include "kernels/elementwise/elementwise.h"

namespace kvcast::kernels {

inline constexpr int kRowsThreads = 256;
inline constexpr int kRowsSharedBytes = kRowsThreads / gpu::kWarp * 4;

/// The sum over the CTA, in a fixed order; every thread gets it. Shared memory may be used again after a
/// sync.
KVCAST_DEVICE float sum_over_cta(float value) {
  for (int mask = gpu::kWarp / 2; mask > 0; mask /= 2) value += gpu::shuffle_xor(value, mask);
  const gpu::SharedAddress base = gpu::shared_base();
  const int warp = gpu::thread_index() / gpu::kWarp;
  if (gpu::thread_index() % gpu::kWarp == 0)
    gpu::store_shared(base + static_cast<gpu::SharedAddress>(4 * warp), gpu::Words<1>{{bits_of(value)}});
  gpu::sync_cta();
  float total = 0;
  for (int i = 0; i < kRowsThreads / gpu::kWarp; ++i)
    total += float_of(gpu::load_shared<1>(base + static_cast<gpu::SharedAddress>(4 * i)).word[0]);
  return total;
}

/// One CTA for each row, strided.
KVCAST_DEVICE void normalise_rows(const RmsNormArgs<std::uint16_t>& args, Element element) {
  for (std::int64_t row = gpu::block_index(); row < args.rows; row += gpu::block_count()) {
    const std::uint16_t* x = args.x + row * args.width;
    std::uint16_t* residual = args.residual == nullptr ? nullptr : args.residual + row * args.width;
    float squares = 0;
    for (std::int64_t at = gpu::thread_index() * 8; at < args.width; at += kRowsThreads * 8) {
      float value[8];
      load_elements<8>(element, x + at, value);
      if (residual != nullptr) {
        float old[8];
        load_elements<8>(element, residual + at, old);
        for (int i = 0; i < 8; ++i)
          value[i] = element_to_float(element, element_from_float(element, value[i] + old[i]));
        store_elements<8>(element, residual + at, value);
      }
      for (int i = 0; i < 8; ++i) squares += value[i] * value[i];
    }
    const float mean = sum_over_cta(squares) / static_cast<float>(args.width);
    const float factor = 1.0F / sqrtf(mean + args.epsilon);
    // Each thread reads back what itself has written.
    const std::uint16_t* source = residual == nullptr ? x : residual;
    for (std::int64_t at = gpu::thread_index() * 8; at < args.width; at += kRowsThreads * 8) {
      float value[8], weight[8];
      load_elements<8>(element, source + at, value);
      load_elements<8>(element, args.weight + at, weight);
      for (int i = 0; i < 8; ++i) value[i] = value[i] * factor * weight[i];
      store_elements<8>(element, args.y + row * args.width + at, value);
    }
    gpu::sync_cta();
  }
}

/// Eight outputs for each thread.
KVCAST_DEVICE void activate(const SiluMulArgs<std::uint16_t>& args, Element element) {
  const std::int64_t vectors = args.width / 8;
  const std::int64_t stride = static_cast<std::int64_t>(gpu::block_count()) * kRowsThreads;
  std::int64_t item = static_cast<std::int64_t>(gpu::block_index()) * kRowsThreads + gpu::thread_index();
  for (; item < args.rows * vectors; item += stride) {
    const std::int64_t row = item / vectors, at = item % vectors * 8;
    float gate[8], up[8];
    load_elements<8>(element, args.x + row * 2 * args.width + at, gate);
    load_elements<8>(element, args.x + row * 2 * args.width + args.width + at, up);
    constexpr float kLog2e = 1.44269504F;
    for (int i = 0; i < 8; ++i) gate[i] = gate[i] / (1.0F + gpu::exp2_fast(-gate[i] * kLog2e)) * up[i];
    store_elements<8>(element, args.y + row * args.width + at, gate);
  }
}

/// Rows of a table, 16 bytes for each thread.
KVCAST_DEVICE void embed_rows(const EmbedArgs<std::uint16_t>& args) {
  const std::int64_t vectors = args.width / 8;
  const std::int64_t stride = static_cast<std::int64_t>(gpu::block_count()) * kRowsThreads;
  std::int64_t item = static_cast<std::int64_t>(gpu::block_index()) * kRowsThreads + gpu::thread_index();
  for (; item < args.rows * vectors; item += stride) {
    const std::int64_t row = item / vectors, at = item % vectors * 8;
    store_packed(args.y + row * args.width + at,
                 load_packed<16>(args.table + static_cast<std::int64_t>(args.ids[row]) * args.width + at));
  }
}

}  // namespace kvcast::kernels
