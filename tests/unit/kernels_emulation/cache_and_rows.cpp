// The cache, norm, activation and sampling kernels' own GPU code on the emulated CTA: append bit for bit as
// the CPU backend writes it, copies exact, the rest against definitions in double precision.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>

#include "kernels/cache/append_kernel.h"
#include "kernels/cache/blocks_kernel.h"
#include "kernels/cache/scores_kernel.h"
#include "kernels/cache/swap.h"
#include "kernels/cpu/backend.h"
#include "kernels/elementwise/rows_kernel.h"
#include "kernels/elementwise/sample_kernel.h"
#include "kernels/emulation/cta.h"
#include "kernels/reference/cache.h"
#include "kernels/reference/elementwise.h"

namespace kvcast::kernels {
namespace {

using Random = std::mt19937_64;

float draw(Random& random) { return static_cast<float>(random() % 2001) / 1000 - 1; }

std::vector<std::uint16_t> draw_elements(std::size_t n, Element element, Random& random) {
  std::vector<std::uint16_t> bits(n);
  for (std::uint16_t& value : bits) value = element_from_float(element, draw(random));
  return bits;
}

std::vector<float> as_floats(const std::vector<std::uint16_t>& bits, Element element) {
  std::vector<float> values;
  for (const std::uint16_t value : bits) values.push_back(element_to_float(element, value));
  return values;
}

struct Cache {
  CacheView view;
  std::vector<std::uint8_t> k, v;
  std::vector<float> k_scale, v_scale;

  Cache(KvType type, int head_size, bool heads_inside) {
    view.type = type;
    view.page = 8;
    view.kv_heads = 2;
    view.head_size = head_size;
    set_dense_strides(view, heads_inside);
    k.assign(static_cast<std::size_t>(view.block_stride * kBlocks), 0xA5);
    v = k;
    k_scale.assign(static_cast<std::size_t>(view.scale_block_stride * kBlocks), -1);
    v_scale = k_scale;
    view.k = k.data();
    view.v = v.data();
    view.k_scale = k_scale.data();
    view.v_scale = v_scale.data();
  }
  static constexpr std::int64_t kBlocks = 6;
};

template <KvType type, int kChannels>
void check_append(Rotation rotation, int rotary_dim, Element element, bool heads_inside) {
  constexpr int kHeads = 3, kTokens = 13, kSize = 32 * kChannels;
  Random random(kSize + static_cast<int>(type) * 7);
  const std::int64_t width = std::int64_t{kHeads + 4} * kSize;
  std::vector<std::uint16_t> qkv = draw_elements(static_cast<std::size_t>(kTokens * width), element, random);
  std::vector<float> floats = as_floats(qkv, element);
  std::vector<float> table;
  for (int i = 0; i < 50 * rotary_dim; ++i) table.push_back(draw(random));
  std::vector<std::int64_t> positions, slots;
  for (int i = 0; i < kTokens; ++i) {
    positions.push_back(static_cast<std::int64_t>(random() % 50));
    slots.push_back(i == 5 ? -1 : (i * 11) % 48);
  }
  Cache on_gpu(type, kSize, heads_inside), on_cpu(type, kSize, heads_inside);
  const auto fill = [&](auto& args, auto* data) {
    args.q = data;
    args.k = data + kHeads * kSize;
    args.v = data + (kHeads + 2) * kSize;
    args.q_stride = args.k_stride = args.v_stride = width;
    args.positions = positions.data();
    args.slots = slots.data();
    args.cos_sin = table.data();
    args.rotation = rotation;
    args.rotary_dim = rotary_dim;
    args.heads = kHeads;
    args.tokens = kTokens;
  };
  AppendArgs<std::uint16_t> gpu_args;
  fill(gpu_args, qkv.data());
  gpu_args.cache = on_gpu.view;
  emulation::run_grid({.ctas = 2, .threads = kAppendThreads},
                      [&] { append_heads<type, kChannels>(gpu_args, element); });
  AppendArgs<float> cpu_args;
  fill(cpu_args, floats.data());
  cpu_args.cache = on_cpu.view;
  cpu::Threads threads(1);
  cpu::append(threads, cpu_args);
  BOOST_TEST_CONTEXT(kv_type_name(type) << " head " << kSize << " rotary " << rotary_dim) {
    BOOST_TEST((on_gpu.k == on_cpu.k));
    BOOST_TEST((on_gpu.v == on_cpu.v));
    BOOST_TEST((on_gpu.k_scale == on_cpu.k_scale));
    BOOST_TEST((on_gpu.v_scale == on_cpu.v_scale));
    bool queries_equal = true;
    for (int token = 0; token < kTokens; ++token)
      for (std::int64_t i = token * width; i < token * width + kHeads * kSize; ++i)
        queries_equal &= qkv[static_cast<std::size_t>(i)] ==
                         element_from_float(element, floats[static_cast<std::size_t>(i)]);
    BOOST_TEST(queries_equal);
  }
}

template <KvType type>
void check_append_of_type() {
  for (const Element element : {Element::bf16, Element::fp16}) {
    check_append<type, 2>(Rotation::halves, 64, element, true);
    check_append<type, 4>(Rotation::pairs, 128, element, false);
    check_append<type, 4>(Rotation::halves, 32, element, true);
    check_append<type, 8>(Rotation::none, 64, element, true);
    check_append<type, 8>(Rotation::pairs, 64, element, true);
  }
}

BOOST_AUTO_TEST_SUITE(cache_and_rows)

BOOST_AUTO_TEST_CASE(append_writes_what_the_cpu_backend_writes) {
  check_append_of_type<KvType::bf16>();
  check_append_of_type<KvType::fp16>();
  check_append_of_type<KvType::fp8_e4m3>();
  check_append_of_type<KvType::fp8_e5m2>();
  check_append_of_type<KvType::int8>();
  check_append_of_type<KvType::int4>();
  check_append_of_type<KvType::nf4>();
}

BOOST_AUTO_TEST_CASE(slots_of_several_sequences) {
  const std::vector<std::int32_t> tables = {7, 3, 9, 1, 2, 4, 6, 8};
  const std::vector<std::int64_t> start = {0, 5, 5, 9}, first = {6, 0, 14};
  const std::vector<std::int32_t> three = {7, 3, 9, 1, 2, 4, 6, 8, 5, 0, 10, 11};
  std::vector<std::int64_t> slots(9), positions(9), cpu_slots(9), cpu_positions(9);
  SlotArgs args{.tables = three.data(),
                .start = start.data(),
                .first = first.data(),
                .slots = slots.data(),
                .positions = positions.data(),
                .seqs = 3,
                .blocks_max = 4,
                .ring = 8,
                .page = 4};
  emulation::run_grid({.ctas = 2, .threads = 64}, [&] { find_slots(args, 64); });
  args.slots = cpu_slots.data();
  args.positions = cpu_positions.data();
  cpu::Threads threads(1);
  cpu::make_slots(threads, args);
  BOOST_TEST((slots == cpu_slots));
  BOOST_TEST((positions == cpu_positions));
}

BOOST_AUTO_TEST_CASE(blocks_are_copied_exactly) {
  for (const std::int64_t bytes : {16, 4096, 16400, 40000}) {
    Random random(static_cast<std::uint64_t>(bytes));
    std::vector<std::uint8_t> first(static_cast<std::size_t>(8 * bytes)), second(first.size());
    for (std::uint8_t& value : first) value = static_cast<std::uint8_t>(random());
    for (std::uint8_t& value : second) value = static_cast<std::uint8_t>(random());
    std::vector<std::uint8_t*> pools = {first.data(), second.data()};
    const std::vector<std::int32_t> from = {1, 4, 0}, to = {7, 2, 3};
    std::vector<std::uint8_t> expected = first;
    for (std::size_t i = 0; i < 3; ++i)
      std::copy_n(first.begin() + from[i] * bytes, bytes, expected.begin() + to[i] * bytes);
    const CopyBlocksArgs copy{.sources = pools.data(),
                              .targets = pools.data(),
                              .from = from.data(),
                              .to = to.data(),
                              .pools = 2,
                              .pairs = 3,
                              .block_bytes = bytes};
    emulation::run_grid({.ctas = 3, .threads = kBlocksThreads}, [&] { copy_pairs(copy); });
    BOOST_TEST((first == expected));
    std::vector<std::uint8_t> dense(static_cast<std::size_t>(3 * 2 * bytes));
    const GatherBlocksArgs gather{.pools = pools.data(),
                                  .blocks = to.data(),
                                  .dense = dense.data(),
                                  .pool_count = 2,
                                  .count = 3,
                                  .block_bytes = bytes};
    emulation::run_grid({.ctas = 2, .threads = kBlocksThreads}, [&] { move_dense<false>(gather); });
    const std::vector<std::uint8_t> kept = second;
    for (const std::int32_t block : to) std::fill_n(second.begin() + block * bytes, bytes, std::uint8_t{0});
    emulation::run_grid({.ctas = 2, .threads = kBlocksThreads}, [&] { move_dense<true>(gather); });
    BOOST_TEST((first == expected));
    BOOST_TEST((second == kept));
  }
}

BOOST_AUTO_TEST_CASE(neighbouring_blocks_are_merged_for_dma) {
  const std::vector<std::int32_t> from = {3, 4, 5, 9, 1, 2, 7}, to = {10, 11, 12, 13, 4, 6, 7};
  const std::vector<BlockRun> expected = {{3, 10, 3}, {9, 13, 1}, {1, 4, 1}, {2, 6, 1}, {7, 7, 1}};
  BOOST_TEST((merge_runs({.from = from.data(), .to = to.data(), .pairs = 7}) == expected));
}

BOOST_AUTO_TEST_CASE(scores_are_the_weights_of_the_softmax) {
  constexpr int kHeads = 4, kSize = 64;
  for (const KvType type : {KvType::bf16, KvType::fp8_e4m3, KvType::nf4}) {
    Random random(4);
    Cache cache(type, kSize, true);
    for (std::int64_t slot = 0; slot < 48; ++slot) {
      for (std::int64_t head = 0; head < 2; ++head) {
        cache.k_scale[static_cast<std::size_t>(cache.view.scale(slot, head))] = 0.01F;
        for (int i = 0; i < kSize; ++i)
          store_kv_code(type, cache.view.k + cache.view.row(slot, head), i,
                        encode_kv(type, draw(random) * (type == KvType::nf4 ? 1.0F : 5.0F)));
      }
    }
    const std::vector<std::uint16_t> q = draw_elements(2 * kHeads * kSize, Element::bf16, random);
    const std::vector<float> q_floats = as_floats(q, Element::bf16);
    const std::vector<std::int32_t> tables = {5, 1, 0, 2, 4, 3};
    const std::vector<std::int64_t> context = {17, 24};
    const float scale = 0.2F;
    std::vector<float> scores(48 * 2, 2.0F);
    AccumulateScoresArgs<float> exact_args;
    exact_args.q = q_floats.data();
    exact_args.tables = tables.data();
    exact_args.context = context.data();
    exact_args.seqs = 2;
    exact_args.blocks_max = 3;
    exact_args.heads = kHeads;
    exact_args.scale = scale;
    exact_args.cache = cache.view;
    const std::vector<float> lse = lse_exact(exact_args);
    const AccumulateScoresArgs<std::uint16_t> args{.q = q.data(),
                                                   .lse = lse.data(),
                                                   .tables = tables.data(),
                                                   .context = context.data(),
                                                   .scores = scores.data(),
                                                   .seqs = 2,
                                                   .blocks_max = 3,
                                                   .heads = kHeads,
                                                   .scale = scale,
                                                   .cache = cache.view};
    emulation::run_grid({.ctas = 2, .threads = kScoresThreads}, [&] {
      if (type == KvType::bf16) return add_scores<KvType::bf16>(args, Element::bf16, 24);
      if (type == KvType::nf4) return add_scores<KvType::nf4>(args, Element::bf16, 24);
      add_scores<KvType::fp8_e4m3>(args, Element::bf16, 24);
    });
    for (std::int64_t seq = 0; seq < 2; ++seq) {
      const std::vector<double> exact = scores_exact(exact_args, seq);
      for (std::int64_t token = 0; token < context[static_cast<std::size_t>(seq)]; ++token) {
        const std::int64_t slot = cache_slot(tables.data() + seq * 3, token, 0, 8);
        for (std::int64_t head = 0; head < 2; ++head)
          BOOST_TEST(std::fabs(static_cast<double>(scores[static_cast<std::size_t>(slot * 2 + head)]) - 2 -
                               exact[static_cast<std::size_t>(token * 2 + head)]) < 1e-4);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(norm_and_activation_are_within_a_rounding) {
  Random random(6);
  for (const Element element : {Element::bf16, Element::fp16}) {
    const double unit = element == Element::bf16 ? 1.0 / 256 : 1.0 / 2048;
    for (const std::int64_t width : {8, 64, 4104}) {
      const std::int64_t rows = 3;
      const auto size = static_cast<std::size_t>(rows * width);
      const std::vector<std::uint16_t> x = draw_elements(2 * size, element, random);
      const std::vector<std::uint16_t> weight =
          draw_elements(static_cast<std::size_t>(width), element, random);
      std::vector<std::uint16_t> residual = draw_elements(size, element, random), y(size);
      std::vector<float> sums = as_floats(residual, element);
      const std::vector<float> x_floats = as_floats(x, element), weights = as_floats(weight, element);
      for (std::size_t i = 0; i < size; ++i)
        sums[i] = element_to_float(element, element_from_float(element, sums[i] + x_floats[i]));
      const RmsNormArgs<std::uint16_t> norm{.x = x.data(),
                                            .weight = weight.data(),
                                            .residual = residual.data(),
                                            .y = y.data(),
                                            .rows = rows,
                                            .width = width};
      emulation::run_grid({.ctas = 2, .threads = kRowsThreads, .shared_bytes = 1024 + kRowsSharedBytes},
                          [&] { normalise_rows(norm, element); });
      const std::vector<double> exact =
          rms_norm_exact({.x = sums.data(), .weight = weights.data(), .rows = rows, .width = width});
      double worst = 0;
      for (std::size_t i = 0; i < size; ++i)
        worst = std::max(worst, std::fabs(static_cast<double>(element_to_float(element, y[i])) - exact[i]) /
                                    (std::fabs(exact[i]) + 1e-3));
      BOOST_TEST(worst <= 1.01 * unit);
      BOOST_TEST((as_floats(residual, element) == sums));
      const SiluMulArgs<std::uint16_t> silu{.x = x.data(), .y = y.data(), .rows = rows, .width = width};
      emulation::run_grid({.ctas = 2, .threads = kRowsThreads}, [&] { activate(silu, element); });
      const std::vector<double> activated =
          silu_mul_exact({.x = x_floats.data(), .rows = rows, .width = width});
      worst = 0;
      for (std::size_t i = 0; i < size; ++i)
        worst =
            std::max(worst, std::fabs(static_cast<double>(element_to_float(element, y[i])) - activated[i]) /
                                (std::fabs(activated[i]) + 1e-3));
      BOOST_TEST(worst <= 1.01 * unit);
    }
  }
}

BOOST_AUTO_TEST_CASE(sampling_follows_its_definition) {
  Random random(8);
  int different = 0, total = 0;
  for (const std::int64_t vocabulary : {1, 100, 1500}) {
    const std::int64_t rows = 6;
    std::vector<float> logits, uniforms;
    for (std::int64_t i = 0; i < rows * vocabulary; ++i) logits.push_back(std::round(draw(random) * 40) / 8);
    for (std::int64_t i = 0; i < rows; ++i) uniforms.push_back((draw(random) + 1) * 0.4999F);
    for (const float temperature : {0.0F, 0.7F}) {
      for (const std::int32_t top_k : {0, 1, 9}) {
        for (const float top_p : {0.3F, 1.0F}) {
          std::vector<std::int32_t> tokens(static_cast<std::size_t>(rows), -1);
          const SampleArgs args{.logits = logits.data(),
                                .uniforms = uniforms.data(),
                                .tokens = tokens.data(),
                                .rows = rows,
                                .vocabulary = vocabulary,
                                .temperature = temperature,
                                .top_k = top_k,
                                .top_p = top_p};
          emulation::run_grid(
              {.ctas = 2, .threads = kSampleThreads, .shared_bytes = 1024 + kSampleSharedBytes},
              [&] { sample_rows(args); });
          const std::vector<std::int32_t> exact = sample_exact(args);
          for (std::size_t i = 0; i < tokens.size(); ++i) different += tokens[i] == exact[i] ? 0 : 1;
          total += static_cast<int>(rows);
        }
      }
    }
  }
  // Sums in float may put a draw on the other side of a border: rarely.
  BOOST_TEST(different * 50 <= total);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast::kernels
