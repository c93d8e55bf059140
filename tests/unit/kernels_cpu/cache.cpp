// Append, copies, swaps and score accumulation on the CPU backend.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numeric>

#include "kernels/bench/random.h"
#include "kernels/cpu/backend.h"
#include "kernels/reference/cache.h"

namespace kvcast {
namespace {

using bench::Random;
using bench::random_floats;
using kernels::CacheView;
using kernels::KvType;
using kernels::Rotation;

/// A cache with memory of its own, poisoned.
struct Cache {
  CacheView view;
  std::vector<std::uint8_t> k, v;
  std::vector<float> k_scale, v_scale;

  Cache(KvType type, int page, int kv_heads, int head_size, int blocks, bool heads_inside) {
    view.type = type;
    view.page = page;
    view.kv_heads = kv_heads;
    view.head_size = head_size;
    kernels::set_dense_strides(view, heads_inside);
    k.assign(static_cast<std::size_t>(view.block_stride * blocks), 0xFF);
    v = k;
    k_scale.assign(static_cast<std::size_t>(view.scale_block_stride * blocks), std::nanf(""));
    v_scale = k_scale;
    view.k = k.data();
    view.v = v.data();
    view.k_scale = k_scale.data();
    view.v_scale = v_scale.data();
  }
};

std::vector<float> rotation_table(std::int64_t positions, int dim) {
  std::vector<float> table;
  for (std::int64_t p = 0; p < positions; ++p) {
    for (int part = 0; part < 2; ++part) {
      for (int i = 0; i < dim / 2; ++i) {
        const double angle = static_cast<double>(p) * std::pow(10000.0, -2.0 * i / dim);
        table.push_back(static_cast<float>(part == 0 ? std::cos(angle) : std::sin(angle)));
      }
    }
  }
  return table;
}

void check_row(const CacheView& cache, std::int64_t slot, std::int64_t head, bool values,
               const std::vector<double>& expected) {
  const std::vector<double> stored = kernels::cached_row(cache, slot, head, values);
  double largest = 0;
  for (const double value : expected) largest = std::max(largest, std::fabs(value));
  const double scale =
      kernels::kv_has_scale(cache.type)
          ? static_cast<double>((values ? cache.v_scale : cache.k_scale)[cache.scale(slot, head)])
          : 1;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double bound = kernels::quantisation_bound(cache.type, expected[i], scale);
    BOOST_TEST(std::fabs(stored[i] - expected[i]) <= bound * (1 + 1e-3) + largest * 1e-6);
  }
}

void check_append(KvType type, Rotation rotation, int head_size, int rotary_dim, bool heads_inside) {
  constexpr int kHeads = 6, kKvHeads = 2, kTokens = 21, kPage = 8, kBlocks = 16;
  Random random(static_cast<std::uint64_t>(head_size) + static_cast<std::uint64_t>(type));
  Cache cache(type, kPage, kKvHeads, head_size, kBlocks, heads_inside);
  const std::int64_t width = static_cast<std::int64_t>(kHeads + 2 * kKvHeads) * head_size;
  std::vector<float> qkv = random_floats(kTokens * width, random);
  std::fill_n(qkv.begin() + (kHeads + kKvHeads) * head_size, head_size,
              0.0F);  // a row of zeros has the scale 1
  const std::vector<float> before = qkv, table = rotation_table(100, rotary_dim);
  const std::vector<std::int32_t> order = bench::shuffled(kPage * kBlocks, random);
  std::vector<std::int64_t> positions, slots;
  for (std::size_t i = 0; i < kTokens; ++i) {
    positions.push_back(random.integer(0, 99));
    slots.push_back(i == 4 ? -1 : order[i]);
  }
  cpu::Threads threads(3);
  cpu::append(threads, kernels::AppendArgs<float>{.q = qkv.data(),
                                                  .k = qkv.data() + kHeads * head_size,
                                                  .v = qkv.data() + (kHeads + kKvHeads) * head_size,
                                                  .q_stride = width,
                                                  .k_stride = width,
                                                  .v_stride = width,
                                                  .positions = positions.data(),
                                                  .slots = slots.data(),
                                                  .cos_sin = table.data(),
                                                  .rotation = rotation,
                                                  .rotary_dim = rotary_dim,
                                                  .heads = kHeads,
                                                  .tokens = kTokens,
                                                  .cache = cache.view});
  for (std::size_t token = 0; token < kTokens; ++token) {
    const float* row = before.data() + static_cast<std::int64_t>(token) * width;
    const auto exact = [&](int part, Rotation how) {
      const float* x = row + part * head_size;
      return kernels::rotated_exact({x, x + head_size}, table.data(), positions[token], how, rotary_dim);
    };
    for (int head = 0; head < kHeads; ++head) {
      const std::vector<double> expected = exact(head, rotation);
      const float* now = qkv.data() + static_cast<std::int64_t>(token) * width + head * head_size;
      for (std::size_t i = 0; i < expected.size(); ++i)
        BOOST_TEST(std::fabs(static_cast<double>(now[i]) - expected[i]) <= 1e-6);
    }
    if (slots[token] < 0) continue;
    for (int head = 0; head < kKvHeads; ++head) {
      check_row(cache.view, slots[token], head, false, exact(kHeads + head, rotation));
      check_row(cache.view, slots[token], head, true, exact(kHeads + kKvHeads + head, Rotation::none));
    }
  }
}

BOOST_AUTO_TEST_SUITE(cpu_cache)

BOOST_AUTO_TEST_CASE(append_is_within_half_a_step_of_the_grid) {
  for (const KvType type : kernels::kKvTypes) {
    for (const Rotation rotation : {Rotation::none, Rotation::halves, Rotation::pairs}) {
      check_append(type, rotation, 64, 64, true);
      check_append(type, rotation, 128, 32, false);
      check_append(type, rotation, 256, 256, true);
    }
  }
}

BOOST_AUTO_TEST_CASE(slots_go_round_in_a_ring) {
  const std::vector<std::int32_t> table = {7, 3, 9, 1};
  const std::vector<std::int64_t> start = {0, 5}, first = {6};
  std::vector<std::int64_t> slots(5), positions(5);
  cpu::Threads threads(1);
  cpu::make_slots(threads, {.tables = table.data(),
                            .start = start.data(),
                            .first = first.data(),
                            .slots = slots.data(),
                            .positions = positions.data(),
                            .seqs = 1,
                            .blocks_max = 4,
                            .ring = 8,
                            .page = 4});
  BOOST_TEST((positions == std::vector<std::int64_t>{6, 7, 8, 9, 10}));
  BOOST_TEST((slots == std::vector<std::int64_t>{3 * 4 + 2, 3 * 4 + 3, 7 * 4, 7 * 4 + 1, 7 * 4 + 2}));
}

BOOST_AUTO_TEST_CASE(copies_gathers_and_scatters_are_exact) {
  constexpr std::int64_t kBytes = 96, kBlocks = 40, kPools = 3;
  Random random(5);
  std::vector<std::vector<std::uint8_t>> pools(kPools);
  std::vector<std::uint8_t*> pointers;
  for (std::vector<std::uint8_t>& pool : pools) {
    for (std::int64_t i = 0; i < kBytes * kBlocks; ++i)
      pool.push_back(static_cast<std::uint8_t>(random.bits()));
    pointers.push_back(pool.data());
  }
  const std::vector<std::vector<std::uint8_t>> before = pools;
  const std::vector<std::int32_t> order = bench::shuffled(kBlocks, random);
  const std::vector<std::int32_t> from(order.begin(), order.begin() + 15),
      to(order.begin() + 15, order.begin() + 30);
  cpu::Threads threads(2);
  cpu::copy_blocks(threads, {.sources = pointers.data(),
                             .targets = pointers.data(),
                             .from = from.data(),
                             .to = to.data(),
                             .pools = kPools,
                             .pairs = 15,
                             .block_bytes = kBytes});
  std::vector<std::uint8_t> dense(static_cast<std::size_t>(15 * kPools * kBytes));
  kernels::GatherBlocksArgs gather{.pools = pointers.data(),
                                   .blocks = to.data(),
                                   .dense = dense.data(),
                                   .pool_count = kPools,
                                   .count = 15,
                                   .block_bytes = kBytes};
  cpu::gather_blocks(threads, gather);
  for (std::size_t i = 0; i < 15; ++i) {
    for (std::size_t pool = 0; pool < kPools; ++pool) {
      BOOST_TEST(std::equal(before[pool].begin() + from[i] * kBytes,
                            before[pool].begin() + (from[i] + 1) * kBytes,
                            dense.begin() + static_cast<std::ptrdiff_t>((i * kPools + pool) * kBytes)));
    }
  }
  const std::vector<std::vector<std::uint8_t>> copied = pools;
  for (std::vector<std::uint8_t>& pool : pools)
    for (const std::int32_t block : to) std::fill_n(pool.begin() + block * kBytes, kBytes, std::uint8_t{0});
  cpu::scatter_blocks(threads, gather);
  BOOST_TEST((pools == copied));
}

BOOST_AUTO_TEST_CASE(scores_are_the_weights_of_the_softmax) {
  constexpr int kHeads = 6, kKvHeads = 2, kSize = 64, kPage = 8, kBlocks = 20;
  for (const KvType type : {KvType::bf16, KvType::int8, KvType::nf4}) {
    Random random(9);
    Cache cache(type, kPage, kKvHeads, kSize, kBlocks, true);
    const std::vector<std::int32_t> tables = bench::shuffled(kBlocks, random);  // two sequences of ten blocks
    const std::vector<std::int64_t> context = {61, 80};
    const std::vector<float> rows = random_floats(kPage * kBlocks * kKvHeads * kSize, random);
    std::vector<std::int64_t> slots(kPage * kBlocks), positions(slots.size(), 0);
    std::iota(slots.begin(), slots.end(), 0);
    cpu::Threads threads(1);
    cpu::append(threads, kernels::AppendArgs<float>{.k = rows.data(),
                                                    .v = rows.data(),
                                                    .k_stride = kKvHeads * kSize,
                                                    .v_stride = kKvHeads * kSize,
                                                    .positions = positions.data(),
                                                    .slots = slots.data(),
                                                    .tokens = kPage * kBlocks,
                                                    .cache = cache.view});
    const std::vector<float> q = random_floats(2 * kHeads * kSize, random);
    std::vector<float> out(q.size()), lse(2 * kHeads), scores(slots.size() * kKvHeads, 1.0F);
    const std::vector<std::int64_t> q_start = {0, 1, 2};
    const cpu::CacheRows cached(cache.view, tables.data(), 10);
    cpu::attention(threads, cpu::AttentionArgs{.q = q.data(),
                                               .out = out.data(),
                                               .kv = &cached,
                                               .q_start = q_start.data(),
                                               .context = context.data(),
                                               .seqs = 2,
                                               .heads = kHeads,
                                               .kv_heads = kKvHeads,
                                               .head_size = kSize,
                                               .scale = 0.3F,
                                               .lse = lse.data()});
    const kernels::AccumulateScoresArgs<float> args{.q = q.data(),
                                                    .lse = lse.data(),
                                                    .tables = tables.data(),
                                                    .context = context.data(),
                                                    .scores = scores.data(),
                                                    .seqs = 2,
                                                    .blocks_max = 10,
                                                    .heads = kHeads,
                                                    .scale = 0.3F,
                                                    .cache = cache.view};
    cpu::accumulate_scores(threads, args);
    for (std::int64_t seq = 0; seq < 2; ++seq) {
      const std::vector<double> exact = kernels::scores_exact(args, seq);
      double sum = 0;
      for (std::int64_t token = 0; token < context[static_cast<std::size_t>(seq)]; ++token) {
        const std::int64_t slot = kernels::cache_slot(tables.data() + seq * 10, token, 0, kPage);
        for (std::int64_t head = 0; head < kKvHeads; ++head) {
          const double added =
              static_cast<double>(scores[static_cast<std::size_t>(slot * kKvHeads + head)]) - 1;
          BOOST_TEST(std::fabs(added - exact[static_cast<std::size_t>(token * kKvHeads + head)]) < 1e-5);
          sum += added;
        }
      }
      BOOST_TEST(std::fabs(sum - kHeads) < 1e-4);  // each head hands out a weight of one
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
