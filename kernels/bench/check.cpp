#include "kernels/bench/check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/bench/random.h"
#include "kernels/reference/cache.h"
#include "kernels/reference/elementwise.h"
#include "kernels/reference/judge.h"

namespace kvcast::bench {
namespace {

using kernels::Element;
using kernels::KvType;
using kernels::Rotation;

constexpr const char* kDiffers = "two runs gave different bits";

std::vector<std::uint16_t> random_bits(std::int64_t count, Element element, Random& random) {
  std::vector<std::uint16_t> bits;
  for (std::int64_t i = 0; i < count; ++i)
    bits.push_back(kernels::element_from_float(element, random.value()));
  return bits;
}

std::vector<float> as_floats(const std::vector<std::uint16_t>& bits, Element element) {
  std::vector<float> values;
  for (const std::uint16_t value : bits) values.push_back(kernels::element_to_float(element, value));
  return values;
}

/// Half the distance of neighbouring numbers of the type, relative.
double rounding(Element element) { return element == Element::bf16 ? 1.0 / 256 : 1.0 / 2048; }

/// The largest error relative to the size of the exact value, plus a little where that is tiny.
double worst_error(const std::vector<std::uint16_t>& bits, Element element,
                   const std::vector<double>& exact) {
  double worst = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const auto value = static_cast<double>(kernels::element_to_float(element, bits[i]));
    const double error = std::fabs(value - exact[i]) / (std::fabs(exact[i]) + 1e-3);
    worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(worst, error);
  }
  return worst;
}

/// A cache with memory of its own, poisoned.
struct Cache {
  static constexpr std::int64_t kBlocks = 12;
  kernels::CacheView view;
  std::vector<std::uint8_t> k, v;
  std::vector<float> k_scale, v_scale;

  Cache(KvType type, int head_size, bool heads_inside) {
    view.type = type;
    view.page = 16;
    view.kv_heads = 2;
    view.head_size = head_size;
    kernels::set_dense_strides(view, heads_inside);
    k.assign(static_cast<std::size_t>(view.block_stride * kBlocks), 0xFF);
    v = k;
    k_scale.assign(static_cast<std::size_t>(view.scale_block_stride * kBlocks), 1e30F);
    v_scale = k_scale;
    view.k = k.data();
    view.v = v.data();
    view.k_scale = k_scale.data();
    view.v_scale = v_scale.data();
  }
  [[nodiscard]] bool equals(const Cache& other) const {
    return k == other.k && v == other.v && k_scale == other.k_scale && v_scale == other.v_scale;
  }
};

class Checker {
 public:
  Checker(CheckedKernels& kernels, std::uint64_t seed, const std::function<void(const std::string&)>& report)
      : kernels_(kernels), random_(seed), report_(report) {}

  int run() {
    group("attention", [this] { attention(); });
    group("append", [this] { append(); });
    group("copies, gathers, swaps", [this] { blocks(); });
    group("score accumulation", [this] { scores(); });
    group("RMSNorm, SiLU-mul", [this] { rows(); });
    group("sampling", [this] { sampling(); });
    group("matrix products", [this] { products(); });
    return failed_;
  }

 private:
  template <class Checks>
  void group(const std::string& name, const Checks& checks) {
    const int failed_before = failed_;
    done_ = skipped_ = 0;
    checks();
    std::string line = name + ": " + std::to_string(done_) + " checks, " +
                       std::to_string(failed_ - failed_before) + " failed";
    if (skipped_ > 0) line += ", " + std::to_string(skipped_) + " not on this device";
    report_(line);
  }

  void note(const std::string& what, const std::string& problem) {
    ++done_;
    if (problem.empty()) return;
    ++failed_;
    report_("  FAILED " + what + ": " + problem);
  }

  template <class T>
  T of(std::initializer_list<T> values) {
    return values.begin()[random_.integer(0, static_cast<std::int64_t>(values.size()) - 1)];
  }

  kernels::ProblemShape random_problem(KvType type) {
    kernels::ProblemShape shape;
    shape.type = type;
    shape.q_type = type == KvType::fp16 || (type != KvType::bf16 && of({0, 1}) == 0)
                       ? kernels::QueryType::fp16
                       : kernels::QueryType::bf16;
    shape.head_size = of({64, 128, 256});
    shape.kv_heads = of({1, 2});
    shape.group = of({1, 2, 3, 4, 5, 6, 7, 8, 16});
    shape.page_size = of({8, 16, 32, 64, 128});
    shape.window = of({0, 0, 1, 128, 1024});
    shape.sink_tokens = of({0, 4, 100});
    shape.soft_cap = of({0.0F, 0.0F, 20.0F});
    shape.sink_logits = of({0, 0, 1}) != 0;
    shape.alibi = of({0, 0, 0, 1}) != 0;
    shape.heads_outside = of({0, 1}) != 0;
    shape.tensor_scale = of({0, 0, 0, 1}) != 0;
    shape.shared_pages = of({0, 3});
    shape.seed = random_.bits();
    const bool long_queries = of({0, 0, 1}) != 0;
    for (std::int64_t r = of({1, 3, 6}); r > 0; --r) {
      const int page = shape.page_size;
      const int length = of({0, 1, page - 1, page, page + 1, 63, 64, 65, 113, 127, 128, 129, 511, 1025});
      const int q_len = long_queries ? of({17, 65, 113}) : of({1, 1, 2, 3, 5, 8});
      shape.kv_len.push_back(length);
      shape.q_len.push_back(std::min(q_len, std::max(1, length)));
    }
    return shape;
  }

  void check_problem(const kernels::ProblemShape& shape) {
    kernels::Problem problem(shape);
    if (!kernels_.attention(problem)) {
      ++skipped_;
      return;
    }
    const std::vector<std::uint16_t> first = problem.out_bits();
    std::string wrong = kernels::judge(problem.args(), problem.out(), problem.lse());
    problem.poison();
    static_cast<void>(kernels_.attention(problem));
    if (wrong.empty() && problem.out_bits() != first) wrong = kDiffers;
    note(shape.text(), wrong);
  }

  void attention() {
    for (const KvType type : kernels::kKvTypes)
      for (int i = 0; i < 24; ++i) check_problem(random_problem(type));
    for (const KvType type : {KvType::bf16, KvType::fp16, KvType::fp8_e4m3}) {
      for (const int heads : {1, 8, 16, 64}) {
        kernels::ProblemShape shape = random_problem(type);
        shape.mla = true;
        shape.head_size = 576;
        shape.kv_heads = 1;
        shape.group = heads;
        check_problem(shape);
      }
    }
  }

  void check_append(KvType type, int head_size, Rotation rotation, int rotary_dim, Element element) {
    constexpr std::int64_t kHeads = 3, kTokens = 37, kPositions = 64;
    const std::int64_t width = (kHeads + 4) * head_size;
    const std::vector<std::uint16_t> before = random_bits(kTokens * width, element, random_);
    const std::vector<float> angles = random_floats(kPositions * rotary_dim, random_);
    const std::vector<std::int32_t> order = shuffled(16 * Cache::kBlocks, random_);
    std::vector<std::int64_t> positions, slots(order.begin(), order.begin() + kTokens);
    slots[3] = -1;
    for (std::int64_t i = 0; i < kTokens; ++i) positions.push_back(random_.integer(0, kPositions - 1));
    Cache cache(type, head_size, true), again(type, head_size, true);
    std::vector<std::uint16_t> qkv = before, qkv_again = before;
    for (auto [target, data] : {std::pair(&cache, &qkv), std::pair(&again, &qkv_again)}) {
      kernels::AppendArgs<std::uint16_t> args;
      args.q = data->data();
      args.k = data->data() + kHeads * head_size;
      args.v = data->data() + (kHeads + 2) * head_size;
      args.q_stride = args.k_stride = args.v_stride = width;
      args.positions = positions.data();
      args.slots = slots.data();
      args.cos_sin = angles.data();
      args.rotation = rotation;
      args.rotary_dim = rotary_dim;
      args.heads = static_cast<std::int32_t>(kHeads);
      args.tokens = kTokens;
      args.cache = target->view;
      kernels_.append(args, element, Cache::kBlocks, static_cast<std::int64_t>(angles.size()));
    }
    std::string wrong = cache.equals(again) && qkv == qkv_again ? "" : kDiffers;
    for (std::int64_t token = 0; token < kTokens && wrong.empty(); ++token) {
      if (slots[static_cast<std::size_t>(token)] < 0) continue;
      for (std::int64_t part = 0; part < 4 && wrong.empty(); ++part) {
        const bool values = part >= 2;
        const std::uint16_t* row = before.data() + token * width + (kHeads + part) * head_size;
        std::vector<double> x;
        for (int i = 0; i < head_size; ++i)
          x.push_back(static_cast<double>(kernels::element_to_float(element, row[i])));
        x = kernels::rotated_exact(x, angles.data(), positions[static_cast<std::size_t>(token)],
                                   values ? Rotation::none : rotation, rotary_dim);
        wrong = check_row(cache.view, slots[static_cast<std::size_t>(token)], part % 2, values, x);
      }
    }
    note(std::string(kernels::kv_type_name(type)) + " head " + std::to_string(head_size) + " rotary " +
             std::to_string(rotation == Rotation::none ? 0 : rotary_dim),
         wrong);
  }

  static std::string check_row(const kernels::CacheView& cache, std::int64_t slot, std::int64_t head,
                               bool values, const std::vector<double>& x) {
    const std::vector<double> stored = kernels::cached_row(cache, slot, head, values);
    const float* scales = values ? cache.v_scale : cache.k_scale;
    const double scale =
        kernels::kv_has_scale(cache.type) ? static_cast<double>(scales[cache.scale(slot, head)]) : 1;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double bound = kernels::quantisation_bound(cache.type, x[i], scale) * (1 + 1e-3) + 2e-6;
      if (!(std::fabs(stored[i] - x[i]) <= bound))
        return "a channel holds " + std::to_string(stored[i]) + " instead of " + std::to_string(x[i]);
    }
    return "";
  }

  void append() {
    for (const KvType type : kernels::kKvTypes) {
      for (const Element element : {Element::bf16, Element::fp16}) {
        check_append(type, 64, Rotation::halves, 64, element);
        check_append(type, 128, Rotation::pairs, 128, element);
        check_append(type, 128, Rotation::halves, 32, element);
        check_append(type, 256, Rotation::none, 64, element);
      }
    }
  }

  void blocks() {
    constexpr std::int64_t kBlocks = 20;
    for (const std::int64_t bytes : {16, 4096, 32784}) {
      const std::int64_t pool_bytes = kBlocks * bytes;
      std::vector<std::uint8_t> first, second;
      for (std::int64_t i = 0; i < pool_bytes; ++i) {
        first.push_back(static_cast<std::uint8_t>(random_.bits()));
        second.push_back(static_cast<std::uint8_t>(random_.bits()));
      }
      const std::vector<std::int32_t> order = shuffled(kBlocks, random_);
      const std::vector<std::int32_t> from(order.begin(), order.begin() + 7),
          to(order.begin() + 7, order.begin() + 14);
      const auto moved = [&](const std::vector<std::uint8_t>& source, std::vector<std::uint8_t> target) {
        for (std::size_t i = 0; i < from.size(); ++i)
          std::copy_n(source.begin() + from[i] * bytes, bytes, target.begin() + to[i] * bytes);
        return target;
      };
      const std::string size = " of blocks of " + std::to_string(bytes) + " bytes";
      std::vector<std::uint8_t> pool = first;
      std::uint8_t* one = pool.data();
      kernels::CopyBlocksArgs copy{.sources = &one,
                                   .targets = &one,
                                   .from = from.data(),
                                   .to = to.data(),
                                   .pools = 1,
                                   .pairs = 7,
                                   .block_bytes = bytes};
      kernels_.copy_blocks(copy, kBlocks);
      note("copy" + size, pool == moved(first, first) ? "" : "other bytes");
      for (const bool by_dma : {true, false}) {
        std::vector<std::uint8_t> target = second;
        pool = first;
        std::uint8_t* other = target.data();
        copy.targets = &other;
        kernels_.swap_blocks(copy, kBlocks, by_dma);
        note(std::string("swap by ") + (by_dma ? "copy engine" : "kernel") + size,
             target == moved(first, second) && pool == first ? "" : "other bytes");
      }
      std::vector<std::uint8_t> dense(static_cast<std::size_t>(7 * bytes));
      const kernels::GatherBlocksArgs gather{.pools = &one,
                                             .blocks = from.data(),
                                             .dense = dense.data(),
                                             .pool_count = 1,
                                             .count = 7,
                                             .block_bytes = bytes};
      kernels_.gather_blocks(gather, kBlocks);
      std::vector<std::uint8_t> expected;
      for (const std::int32_t block : from)
        expected.insert(expected.end(), first.begin() + block * bytes, first.begin() + (block + 1) * bytes);
      note("gather" + size, dense == expected ? "" : "other bytes");
      for (const std::int32_t block : from) std::fill_n(pool.begin() + block * bytes, bytes, std::uint8_t{0});
      kernels_.scatter_blocks(gather, kBlocks);
      note("scatter" + size, pool == first ? "" : "other bytes");
    }
  }

  void scores() {
    constexpr int kHeads = 6, kSize = 128;
    for (const KvType type : kernels::kKvTypes) {
      Cache cache(type, kSize, true);
      for (std::int64_t slot = 0; slot < 16 * Cache::kBlocks; ++slot) {
        for (std::int64_t head = 0; head < 2; ++head) {
          const auto at = static_cast<std::size_t>(cache.view.scale(slot, head));
          cache.k_scale[at] = 1 / kernels::kv_code_max(type);
          for (int i = 0; i < kSize; ++i)
            kernels::store_kv_code(type, cache.view.k + cache.view.row(slot, head), i,
                                   kernels::encode_kv(type, random_.value() * kernels::kv_code_max(type)));
        }
      }
      const std::vector<std::uint16_t> q = random_bits(2 * kHeads * kSize, Element::bf16, random_);
      const std::vector<float> floats = as_floats(q, Element::bf16);
      const std::vector<std::int32_t> tables = shuffled(Cache::kBlocks, random_);
      const std::vector<std::int64_t> context = {33, 96};
      kernels::AccumulateScoresArgs<float> exact{.q = floats.data(),
                                                 .tables = tables.data(),
                                                 .context = context.data(),
                                                 .seqs = 2,
                                                 .blocks_max = 6,
                                                 .heads = kHeads,
                                                 .scale = 0.1F,
                                                 .cache = cache.view};
      const std::vector<float> lse = kernels::lse_exact(exact);
      std::vector<float> first(16 * Cache::kBlocks * 2, 0.0F), second = first;
      for (std::vector<float>* scores : {&first, &second}) {
        kernels_.accumulate_scores({.q = q.data(),
                                    .lse = lse.data(),
                                    .tables = tables.data(),
                                    .context = context.data(),
                                    .scores = scores->data(),
                                    .seqs = 2,
                                    .blocks_max = 6,
                                    .heads = kHeads,
                                    .scale = 0.1F,
                                    .cache = cache.view},
                                   Element::bf16, Cache::kBlocks);
      }
      std::string wrong = first == second ? "" : kDiffers;
      for (std::int64_t seq = 0; seq < 2; ++seq) {
        const std::vector<double> weights = kernels::scores_exact(exact, seq);
        for (std::size_t i = 0; i < weights.size(); ++i) {
          const std::int64_t slot =
              kernels::cache_slot(tables.data() + seq * 6, static_cast<std::int64_t>(i / 2), 0, 16);
          const auto score = static_cast<double>(first[static_cast<std::size_t>(slot * 2) + i % 2]);
          if (!(std::fabs(score - weights[i]) <= 1e-4)) wrong = "a weight is off";
        }
      }
      note(kernels::kv_type_name(type), wrong);
    }
  }

  void rows() {
    for (const Element element : {Element::bf16, Element::fp16}) {
      for (const std::int64_t width : {8, 256, 4104}) {
        constexpr std::int64_t kRows = 5;
        const std::vector<std::uint16_t> x = random_bits(2 * kRows * width, element, random_);
        const std::vector<std::uint16_t> weight = random_bits(width, element, random_);
        const std::vector<std::uint16_t> before = random_bits(kRows * width, element, random_);
        const std::vector<float> x_floats = as_floats(x, element), weights = as_floats(weight, element);
        std::vector<float> sums = as_floats(before, element);
        for (std::size_t i = 0; i < sums.size(); ++i)
          sums[i] =
              kernels::element_to_float(element, kernels::element_from_float(element, sums[i] + x_floats[i]));
        std::vector<std::uint16_t> y(before.size()), again = y, residual = before, residual_again = before;
        kernels_.rms_norm({.x = x.data(),
                           .weight = weight.data(),
                           .residual = residual.data(),
                           .y = y.data(),
                           .rows = kRows,
                           .width = width},
                          element);
        kernels_.rms_norm({.x = x.data(),
                           .weight = weight.data(),
                           .residual = residual_again.data(),
                           .y = again.data(),
                           .rows = kRows,
                           .width = width},
                          element);
        const double norm_error =
            worst_error(y, element,
                        kernels::rms_norm_exact(
                            {.x = sums.data(), .weight = weights.data(), .rows = kRows, .width = width}));
        std::string wrong = y == again && residual == residual_again ? "" : kDiffers;
        if (as_floats(residual, element) != sums) wrong = "the residual is not x + residual";
        if (norm_error > 1.02 * rounding(element)) wrong = "error " + std::to_string(norm_error);
        note("RMSNorm of width " + std::to_string(width), wrong);
        kernels_.silu_mul({.x = x.data(), .y = y.data(), .rows = kRows, .width = width}, element);
        kernels_.silu_mul({.x = x.data(), .y = again.data(), .rows = kRows, .width = width}, element);
        const double silu_error = worst_error(
            y, element, kernels::silu_mul_exact({.x = x_floats.data(), .rows = kRows, .width = width}));
        wrong = y == again ? "" : kDiffers;
        if (silu_error > 1.02 * rounding(element)) wrong = "error " + std::to_string(silu_error);
        note("SiLU-mul of width " + std::to_string(width), wrong);
      }
    }
  }

  void sampling() {
    constexpr std::int64_t kRows = 64;
    for (const std::int64_t vocabulary : {1, 1000, 33000}) {
      std::vector<float> logits = random_floats(kRows * vocabulary, random_), uniforms;
      for (float& logit : logits) logit = std::round(logit * 400) / 40;
      for (std::int64_t i = 0; i < kRows; ++i) uniforms.push_back(static_cast<float>(random_.uniform()));
      for (const float temperature : {0.0F, 0.7F}) {
        for (const std::int32_t top_k : {0, 1, 40}) {
          for (const float top_p : {0.5F, 1.0F}) {
            std::vector<std::int32_t> tokens(kRows, -1), again = tokens;
            kernels::SampleArgs args{.logits = logits.data(),
                                     .uniforms = uniforms.data(),
                                     .tokens = tokens.data(),
                                     .rows = kRows,
                                     .vocabulary = vocabulary,
                                     .temperature = temperature,
                                     .top_k = top_k,
                                     .top_p = top_p};
            kernels_.sample(args);
            args.tokens = again.data();
            kernels_.sample(args);
            const std::vector<std::int32_t> exact = kernels::sample_exact(args);
            int others = 0;
            for (std::size_t i = 0; i < exact.size(); ++i) others += tokens[i] == exact[i] ? 0 : 1;
            // Sums in float may put a draw on the other side of a border: rarely.
            std::string wrong =
                others * 32 > kRows ? std::to_string(others) + " of 64 rows chose another token" : "";
            if (tokens != again) wrong = kDiffers;
            note("vocabulary " + std::to_string(vocabulary) + " top-k " + std::to_string(top_k), wrong);
          }
        }
      }
    }
  }

  void products() {
    for (const auto& [m, n, k] : {std::tuple<std::int64_t, std::int64_t, std::int64_t>{1, 256, 512},
                                  {33, 512, 256},
                                  {128, 768, 1024}}) {
      const std::vector<std::uint16_t> x = random_bits(m * k, Element::bf16, random_),
                                       w = random_bits(n * k, Element::bf16, random_);
      std::vector<std::uint16_t> y(static_cast<std::size_t>(m * n)), again = y;
      kernels::GemmArgs<std::uint16_t> args{
          .x = x.data(), .w = w.data(), .y = y.data(), .m = m, .n = n, .k = k};
      if (!kernels_.gemm(args)) {
        ++skipped_;
        continue;
      }
      args.y = again.data();
      static_cast<void>(kernels_.gemm(args));
      const std::vector<float> x_floats = as_floats(x, Element::bf16), w_floats = as_floats(w, Element::bf16);
      const std::vector<double> exact =
          kernels::gemm_exact({.x = x_floats.data(), .w = w_floats.data(), .m = m, .n = n, .k = k});
      double worst = 0;
      for (std::size_t i = 0; i < exact.size(); ++i) {
        const auto value = static_cast<double>(kernels::bfloat_to_float(y[i]));
        worst = std::max(worst, std::fabs(value - exact[i]) /
                                    (std::fabs(exact[i]) + 1e-2 * std::sqrt(static_cast<double>(k))));
      }
      std::string wrong = y == again ? "" : kDiffers;
      if (!(worst <= 1.02 * rounding(Element::bf16))) wrong = "error " + std::to_string(worst);
      note(std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(k), wrong);
    }
  }

  CheckedKernels& kernels_;
  Random random_;
  const std::function<void(const std::string&)>& report_;
  int done_ = 0, skipped_ = 0, failed_ = 0;
};

}  // namespace

int check_kernels(CheckedKernels& kernels, std::uint64_t seed,
                  const std::function<void(const std::string&)>& report) {
  return Checker(kernels, seed, report).run();
}

}  // namespace kvcast::bench
