// The emulated CTA: that it computes what the PTX manual says, and that it finds what it is there to find.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/attention/dequantise.h"
#include "kernels/common/device.h"
#include "kernels/common/hopper.h"
#include "kernels/emulation/cta.h"

namespace kvcast::kernels {
namespace {

/// What stopped a kernel, or "".
template <class Body>
std::string error_of(emulation::Launch launch, Body body) {
  try {
    emulation::run_grid(launch, body);
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

gpu::SharedAddress at(int byte) { return gpu::shared_base() + static_cast<std::uint32_t>(byte); }

void put(int byte, std::uint32_t value) { gpu::store_shared<1>(at(byte), {{value}}); }

}  // namespace

BOOST_AUTO_TEST_SUITE(machine)

BOOST_AUTO_TEST_CASE(races_are_found) {
  const emulation::Launch launch = {.ctas = 1, .threads = 64, .shared_bytes = 256};
  const auto neighbour = [](bool barrier) {
    return [barrier] {
      put(gpu::thread_index() * 4, 1);
      if (barrier) gpu::sync_cta();
      static_cast<void>(gpu::load_shared<1>(at((gpu::thread_index() ^ 1) * 4)));
    };
  };
  BOOST_TEST(error_of(launch, neighbour(true)) == "");
  BOOST_TEST(contains(error_of(launch, neighbour(false)), "no barrier lies between"));
  // A warp's barrier orders the warp only.
  const auto after_warp_sync = [](int distance) {
    return [distance] {
      put(gpu::thread_index() * 4, 1);
      gpu::sync_warp();
      static_cast<void>(gpu::load_shared<1>(at((gpu::thread_index() ^ distance) * 4)));
    };
  };
  BOOST_TEST(error_of(launch, after_warp_sync(1)) == "");
  BOOST_TEST(contains(error_of(launch, after_warp_sync(32)), "no barrier lies between"));
  // Other collectives order nothing.
  BOOST_TEST(contains(error_of(launch,
                               [] {
                                 put(gpu::thread_index() * 4, 1);
                                 static_cast<void>(gpu::shuffle_xor(1, 1));
                                 static_cast<void>(gpu::load_shared<1>(at((gpu::thread_index() ^ 1) * 4)));
                               }),
                      "no barrier lies between"));
  // Overwriting what another thread still reads.
  BOOST_TEST(contains(error_of(launch,
                               [] {
                                 put(gpu::thread_index() * 4, 1);
                                 gpu::sync_cta();
                                 static_cast<void>(gpu::load_shared<1>(at((gpu::thread_index() ^ 1) * 4)));
                                 put(gpu::thread_index() * 4, 2);
                               }),
                      "no barrier lies between"));
}

BOOST_AUTO_TEST_CASE(copies_must_be_waited_for) {
  const emulation::Launch launch = {.ctas = 1, .threads = 32, .shared_bytes = 512};
  alignas(16) static const std::uint32_t source[4] = {1, 2, 3, 4};
  const auto copy = [](bool wait) {
    return [wait] {
      gpu::copy_async_16(at(gpu::thread_index() * 16), source, true);
      gpu::commit_copies();
      if (wait) gpu::wait_copies<0>();
      BOOST_TEST(gpu::load_shared<4>(at(gpu::thread_index() * 16)).word[2] == 3U);
    };
  };
  BOOST_TEST(error_of(launch, copy(true)) == "");
  BOOST_TEST(contains(error_of(launch, copy(false)), "a copy is still writing"));
  BOOST_TEST(contains(error_of(launch,
                               [] {
                                 gpu::copy_async_16(at(gpu::thread_index() * 16), source, true);
                                 gpu::commit_copies();
                               }),
                      "not waited for"));
}

BOOST_AUTO_TEST_CASE(bounds_alignment_and_divergence) {
  const emulation::Launch launch = {.ctas = 1, .threads = 32, .shared_bytes = 128};
  BOOST_TEST(contains(error_of(launch, [] { put(128, 1); }), "byte 128 of 128"));
  BOOST_TEST(contains(error_of(launch, [] { gpu::store_shared<2>(at(4), {{1, 2}}); }), "not aligned"));
  BOOST_TEST(contains(error_of(launch,
                               [] {
                                 if (gpu::thread_index() == 3) return;
                                 gpu::sync_warp();
                               }),
                      "not all of its threads reach"));
  BOOST_TEST(contains(error_of(launch,
                               [] {
                                 if (gpu::thread_index() < 16) {
                                   static_cast<void>(gpu::any_in_warp(true));
                                 } else {
                                   gpu::sync_warp();
                                 }
                               }),
                      "another collective than its warp"));
}

// mma.m16n8k16 with operands brought by ldmatrix, against the definition.
BOOST_AUTO_TEST_CASE(matrix_products) {
  const auto a = [](int row, int k) { return static_cast<float>((row * 7 + k * 3) % 11 - 5); };
  const auto b = [](int k, int column) { return static_cast<float>((k * 5 + column) % 9 - 4); };
  emulation::run_grid({.ctas = 1, .threads = 32, .shared_bytes = 1024}, [&] {
    const int lane = gpu::thread_index();
    // A as [row][k] at 0; B as [column][k] at 512 and as [k][column] at 768.
    const auto pair_at = [&](int byte, float low, float high) { put(byte, gpu::pack_half(low, high)); };
    for (int i = lane; i < 128; i += 32) {
      pair_at(i * 4, a(i / 8, i % 8 * 2), a(i / 8, i % 8 * 2 + 1));
      if (i >= 64) continue;
      pair_at(512 + i * 4, b(i % 8 * 2, i / 8), b(i % 8 * 2 + 1, i / 8));
      pair_at(768 + i * 4, b(i / 4, i % 4 * 2), b(i / 4, i % 4 * 2 + 1));
    }
    gpu::sync_warp();
    const gpu::Words<4> fragment = gpu::load_matrices(at((lane % 16) * 32 + (lane / 16) * 16));
    const gpu::Words<4> columns = gpu::load_matrices(at(512 + (lane % 8) * 32 + (lane / 8 % 2) * 16));
    const gpu::Words<4> rows = gpu::load_matrices_transposed(at(768 + (lane % 16) * 16));
    float c[4] = {1, 1, 1, 1};
    float d[4] = {1, 1, 1, 1};
    gpu::mma_half(c, fragment, columns.word[0], columns.word[1]);
    gpu::mma_half(d, fragment, rows.word[0], rows.word[1]);
    for (int i = 0; i < 4; ++i) {
      float expected = 1;
      for (int k = 0; k < 16; ++k) expected += a(lane / 4 + 8 * (i / 2), k) * b(k, 2 * (lane % 4) + i % 2);
      BOOST_TEST(c[i] == expected);
      BOOST_TEST(d[i] == expected);
    }
  });
}

// wgmma in both storage orders, its operand brought by boxes and barriers, against the definition.
BOOST_AUTO_TEST_CASE(group_products_of_boxes) {
  // 64 keys of 128 channels in global memory, as half.
  std::vector<std::uint16_t> source(64 * 128);
  const auto value = [](int key, int channel) {
    return static_cast<float>((key * 5 + channel * 3) % 13 - 6);
  };
  for (int key = 0; key < 64; ++key) {
    for (int c = 0; c < 128; ++c)
      source[static_cast<std::size_t>(key * 128 + c)] = float_to_half(value(key, c));
  }
  const gpu::TensorMap map = {
      reinterpret_cast<const std::uint8_t*>(source.data()), {2, 0, 256, 0}, {64, 1, 64, 1}};
  const auto a = [](int row, int k) { return static_cast<float>((row + k * 7) % 9 - 4); };
  emulation::run_grid({.ctas = 1, .threads = 128, .shared_bytes = 2 * 8192 + 8}, [&] {
    const int thread = gpu::thread_index();
    const gpu::SharedAddress barrier = at(2 * 8192);
    if (thread == 0) gpu::barrier_init(barrier, 1);
    gpu::sync_cta();
    if (thread == 0) {
      gpu::barrier_arrive_expect(barrier, 2 * 8192);
      gpu::copy_box(at(0), map, 0, 0, 0, 0, barrier);
      gpu::copy_box(at(8192), map, 64, 0, 0, 0, barrier);
    }
    gpu::barrier_wait(barrier, 0);
    const auto fragment = [&](int r, int k0) {
      const int row = thread / 32 * 16 + thread % 32 / 4 + 8 * (r % 2);
      const int k = k0 + 2 * (thread % 4) + 8 * (r / 2);
      return gpu::pack_half(a(row, k), a(row, k + 1));
    };
    const gpu::Words<4> first = {{fragment(0, 0), fragment(1, 0), fragment(2, 0), fragment(3, 0)}};
    float scores[8][4] = {};  // A times keys 0..63 over channels 80..95
    float sums[16][4] = {};   // A times channels 0..127 over keys 16..31
    gpu::wgmma<false, false>(scores, first, gpu::matrix_descriptor(at(8192 + 32), 0, 1024), false);
    gpu::wgmma<false, true>(sums, first, gpu::matrix_descriptor(at(16 * 128), 8192, 1024), false);
    gpu::wgmma_commit();
    gpu::wgmma_wait();
    const auto row_of = [&](int i) { return thread / 32 * 16 + thread % 32 / 4 + 8 * (i / 2); };
    const auto column_of = [&](int block, int i) { return block * 8 + 2 * (thread % 4) + i % 2; };
    for (int i = 0; i < 4; ++i) {
      for (int block = 0; block < 16; ++block) {
        float score = 0;
        float sum = 0;
        for (int k = 0; k < 16; ++k) {
          if (block < 8) score += a(row_of(i), k) * value(column_of(block, i), 80 + k);
          sum += a(row_of(i), k) * value(16 + k, column_of(block, i));
        }
        if (block < 8) BOOST_TEST(scores[block][i] == score);
        BOOST_TEST(sums[block][i] == sum);
      }
    }
  });
}

// Products and boxes that are used too early, or without the fence that makes plain stores visible.
BOOST_AUTO_TEST_CASE(group_products_and_barriers_have_rules) {
  const emulation::Launch launch = {.ctas = 1, .threads = 128, .shared_bytes = 8192};
  const auto product = [](bool fence, bool wait) {
    return [fence, wait] {
      for (int i = gpu::thread_index(); i < 2048; i += 128) put(i * 4, 0x3c003c00);
      if (fence) gpu::fence_async_proxy();
      gpu::sync_cta();
      float c[8][4] = {};
      gpu::wgmma<false, false>(c, {{0, 0, 0, 0}}, gpu::matrix_descriptor(at(0), 0, 1024), false);
      gpu::wgmma_commit();
      if (wait) gpu::wgmma_wait();
    };
  };
  BOOST_TEST(error_of(launch, product(true, true)) == "");
  BOOST_TEST(contains(error_of(launch, product(false, true)), "without a proxy fence"));
  BOOST_TEST(contains(error_of(launch, product(true, false)), "not waited for"));
  BOOST_TEST(contains(error_of(launch, [] { gpu::barrier_arrive(at(0)); }), "not initialised"));
  BOOST_TEST(contains(error_of(launch,
                               [] {
                                 if (gpu::thread_index() == 0) gpu::barrier_init(at(0), 129);
                                 gpu::sync_cta();
                                 gpu::barrier_arrive(at(0));
                                 gpu::barrier_wait(at(0), 0);
                               }),
                      "not all of its threads reach"));
}

BOOST_AUTO_TEST_CASE(every_code_dequantises_to_its_value) {
  const auto check = [](auto constant) {
    constexpr KvType kType = decltype(constant)::value;
    for (std::uint32_t code = 0; code < (1U << kv_bits(kType)); ++code) {
      const float value = decode_kv(kType, code);
      if (!std::isfinite(value)) continue;
      for (int j = 0; j < codes_per_word(kType); ++j) {
        // The code at place j, and its complement everywhere else.
        const std::uint32_t mask = (1U << kv_bits(kType)) - 1;
        std::uint32_t word = 0;
        for (int i = 0; i < codes_per_word(kType); ++i)
          word |= ((i == j ? code : ~code) & mask) << (i * kv_bits(kType));
        const std::uint32_t first = pair<kType>(word, ~word, j);
        const std::uint32_t second = pair<kType>(~word, word, j);
        const float expected = half_to_float(float_to_half(value / kv_unit(kType)));
        BOOST_TEST(half_to_float(static_cast<std::uint16_t>(first)) == expected);
        BOOST_TEST(half_to_float(static_cast<std::uint16_t>(second >> 16)) == expected);
        if (kType != KvType::nf4) BOOST_TEST(expected * kv_unit(kType) == value);
      }
    }
  };
  check(std::integral_constant<KvType, KvType::fp8_e4m3>());
  check(std::integral_constant<KvType, KvType::fp8_e5m2>());
  check(std::integral_constant<KvType, KvType::int8>());
  check(std::integral_constant<KvType, KvType::int4>());
  check(std::integral_constant<KvType, KvType::nf4>());
}

BOOST_AUTO_TEST_CASE(codes_and_values_agree_both_ways) {
  for (const KvType type : kKvTypes) {
    for (std::uint32_t code = 0; code < (1U << kv_bits(type)); ++code) {
      const float value = decode_kv(type, code);
      const bool lowest_integer =
          value < -kv_code_max(type) && kv_has_scale(type);  // -128 and -8 are never written
      if (!std::isfinite(value) || lowest_integer) continue;
      BOOST_TEST_REQUIRE(decode_kv(type, encode_kv(type, value)) == value);
    }
    BOOST_TEST(decode_kv(type, encode_kv(type, 0.0F)) == 0.0F);
  }
  BOOST_TEST(decode_kv(KvType::fp8_e4m3, encode_kv(KvType::fp8_e4m3, 1e6F)) == 448.0F);
  BOOST_TEST(decode_kv(KvType::int8, encode_kv(KvType::int8, -1e6F)) == -127.0F);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast::kernels
