#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hwmodels/bench_model.h"
#include "hwmodels/kv_dtype.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::int64_t kTimeMax = std::int64_t{1} << 62;  // 2^-20 ns: 51 days

/// Microseconds in units of 2^-20 ns.
std::int64_t fine(double us) { return std::llround(us * 1e3 * (1 << kFineBits)); }

/// A fit with its numbers in fixed point, and how often a step runs it.
class Kernel {
 public:
  Kernel(const BenchFit& fit, std::int64_t count) : fit_(fit), count_(count) {
    for (const double us : fit.us) us_.push_back(fine(us));
    for (const double row : fit.rows) rows_.push_back(std::llround(row));
  }

  /// The sum's value; terms are counts.
  [[nodiscard]] Int128 sum(std::initializer_list<std::int64_t> terms) const {
    Int128 total = 0;
    std::size_t i = 0;
    for (const std::int64_t term : terms) total += static_cast<Int128>(us_[i++]) * term;
    return total * count_;
  }

  /// The curve's value at a number of rows: straight between the known ones, in proportion beyond the last.
  [[nodiscard]] Int128 curve(std::int64_t rows) const {
    if (rows <= 0) return 0;
    const auto above = std::lower_bound(rows_.begin(), rows_.end(), rows);
    if (above == rows_.begin()) return static_cast<Int128>(us_.front()) * count_;
    if (above == rows_.end()) return static_cast<Int128>(us_.back()) * rows / rows_.back() * count_;
    const auto i = static_cast<std::size_t>(above - rows_.begin());
    const Int128 rise =
        static_cast<Int128>(us_[i] - us_[i - 1]) * (rows - rows_[i - 1]) / (rows_[i] - rows_[i - 1]);
    return (us_[i - 1] + rise) * count_;
  }

  [[nodiscard]] Int128 coefficient(std::size_t term) const { return static_cast<Int128>(us_[term]) * count_; }
  [[nodiscard]] double relative_error() const { return fit_.relative_error; }

 private:
  BenchFit fit_;
  std::int64_t count_;
  std::vector<std::int64_t> us_, rows_;
};

/// A matrix product of the model: by its own curve, or by the sum over all sites.
struct Product {
  Kernel kernel;
  bool is_curve;
  std::int64_t n, k;
  std::int64_t count;

  [[nodiscard]] Int128 time(std::int64_t m) const {
    if (m <= 0) return 0;
    return is_curve ? kernel.curve(m) : kernel.sum({1, n * k, m * (n + k), m * n * k});
  }
};

class BenchTimer final : public StepTimer {
 public:
  struct Parts {
    std::vector<Product> products;  // over all tokens
    std::vector<Product> head;      // over sampled rows; one
    std::vector<Kernel> rowwise;    // norms, append, activation, embedding: call, rows
    Kernel sample, decode, prefill;
    std::int64_t weight_bytes = 0;             // read in each step
    std::int64_t head_bytes = 0;               // read where something is sampled
    std::int64_t kv_bytes_per_token = 0;       // all layers
    std::int64_t attention_flop_per_pair = 0;  // all layers
    std::int64_t flop_per_token = 0, flop_per_sample = 0;
  };

  explicit BenchTimer(Parts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    StepCost cost = without_decode_context(shape);
    add(cost, per_context(), shape.decode_context);
    return cost;
  }

  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override {
    DecodeLine line;
    line.base = without_decode_context({.tokens = seqs, .sampled = seqs, .decode_seqs = seqs});
    line.per_context_token = per_context();
    const std::int64_t slope = line.per_context_token.time.count();
    if (slope > 0) line.context_max = (kTimeMax - line.base.time.count()) / slope;
    if (context >= line.context_max) {  // beyond 51 days a step takes 51 days
      line.base.time = FineDuration{kTimeMax};
      line.per_context_token.time = FineDuration{0};
      line.context_max = std::numeric_limits<std::int64_t>::max();
    }
    return line;
  }

  /// Errors of different kernels are independent; that of one kernel is the same in all its uses.
  [[nodiscard]] double relative_error(const StepShape& shape) const override {
    double squares = 0, total = 0;
    const auto put = [&](Int128 time, double error) {
      const auto us = static_cast<double>(time);
      squares += us * error * us * error;
      total += us;
    };
    for (const Product& product : parts_.products)
      put(product.time(shape.tokens), product.kernel.relative_error());
    for (const Product& product : parts_.head)
      put(product.time(shape.sampled), product.kernel.relative_error());
    for (const Kernel& kernel : parts_.rowwise) put(kernel.sum({1, shape.tokens}), kernel.relative_error());
    if (shape.sampled > 0) put(parts_.sample.sum({1, shape.sampled}), parts_.sample.relative_error());
    put(decode_base(shape) + parts_.decode.coefficient(2) * shape.decode_context,
        parts_.decode.relative_error());
    put(prefill_time(shape), parts_.prefill.relative_error());
    return total > 0 ? std::sqrt(squares) / total : 0;
  }

 private:
  static void add(StepCost& cost, const StepCost& each, std::int64_t count) {
    const Int128 time = cost.time.count() + static_cast<Int128>(each.time.count()) * count;
    cost.time = FineDuration{static_cast<std::int64_t>(std::min<Int128>(time, kTimeMax))};
    cost.hbm_bytes += each.hbm_bytes * count;
    cost.flop += each.flop * count;
  }

  [[nodiscard]] Int128 decode_base(const StepShape& shape) const {
    return shape.decode_seqs > 0 ? parts_.decode.sum({1, shape.decode_seqs, 0}) : 0;
  }
  [[nodiscard]] Int128 prefill_time(const StepShape& shape) const {
    if (shape.prefill_seqs <= 0) return 0;
    return parts_.prefill.sum({1, shape.prefill_seqs, shape.prefill_context, shape.prefill_pairs});
  }

  [[nodiscard]] StepCost per_context() const {
    StepCost cost;
    cost.time = FineDuration{static_cast<std::int64_t>(parts_.decode.coefficient(2))};
    cost.hbm_bytes = parts_.kv_bytes_per_token;
    cost.flop = parts_.attention_flop_per_pair;
    return cost;
  }

  [[nodiscard]] StepCost without_decode_context(const StepShape& shape) const {
    Int128 time = 0;
    for (const Product& product : parts_.products) time += product.time(shape.tokens);
    for (const Product& product : parts_.head) time += product.time(shape.sampled);
    for (const Kernel& kernel : parts_.rowwise) time += kernel.sum({1, shape.tokens});
    if (shape.sampled > 0) time += parts_.sample.sum({1, shape.sampled});
    time += decode_base(shape) + prefill_time(shape);
    StepCost cost;
    cost.time = FineDuration{static_cast<std::int64_t>(std::min<Int128>(time, kTimeMax))};
    cost.hbm_bytes = parts_.weight_bytes + (shape.sampled > 0 ? parts_.head_bytes : 0) +
                     parts_.kv_bytes_per_token * (shape.tokens + shape.prefill_context);
    cost.flop = parts_.flop_per_token * shape.tokens + parts_.flop_per_sample * shape.sampled +
                parts_.attention_flop_per_pair * shape.prefill_pairs;
    return cost;
  }

  Parts parts_;
};

/// The kernels of one model among the fits.
class Chooser {
 public:
  Chooser(const std::vector<BenchFit>& fits, const ModelSpec& model, const std::string& kv_dtype)
      : fits_(fits), model_(model), kv_dtype_(kv_dtype) {}

  [[nodiscard]] const BenchFit* find(
      std::string_view op, std::string_view form,
      const std::vector<std::pair<std::string, std::int64_t>>& constants) const {
    for (const BenchFit& fit : fits_) {
      if (fit.op != op || fit.form != form || fit.dtype != dtype_of(op)) continue;
      if (op == "sample" && fit.variant != "greedy") continue;
      const bool equal = std::all_of(constants.begin(), constants.end(),
                                     [&fit](const auto& c) { return fit.constant(c.first) == c.second; });
      if (equal) return &fit;
    }
    return nullptr;
  }

  [[nodiscard]] Kernel sum(std::string_view op, std::int64_t count,
                           const std::vector<std::pair<std::string, std::int64_t>>& constants) const {
    const BenchFit* fit = find(op, "sum", constants);
    if (fit == nullptr) missing(op, constants);
    return {*fit, count};
  }

  [[nodiscard]] Product product(std::int64_t n, std::int64_t k, std::int64_t count) const {
    if (const BenchFit* fit = find("gemm", "curve", {{"n", n}, {"k", k}}))
      return {{*fit, count}, true, n, k, count};
    const BenchFit* fit = find("gemm", "sum", {});
    if (fit == nullptr) missing("gemm", {{"n", n}, {"k", k}});
    return {{*fit, count}, false, n, k, count};
  }

 private:
  [[nodiscard]] const std::string& dtype_of(std::string_view op) const {
    const bool of_cache = op == "append" || op == "decode_attention" || op == "prefill_attention";
    return of_cache ? kv_dtype_ : model_.dtype;
  }

  [[noreturn]] void missing(std::string_view op,
                            const std::vector<std::pair<std::string, std::int64_t>>& constants) const {
    const auto text = [](const std::vector<std::pair<std::string, std::int64_t>>& list) {
      std::string result;
      for (const auto& [name, value] : list)
        result += fmt::format("{}{} {}", result.empty() ? "" : ", ", name, value);
      return result;
    };
    std::string known;
    for (const BenchFit& fit : fits_)
      if (fit.op == op)
        known += fmt::format("{}{} with {}", known.empty() ? "" : "; ", fit.dtype, text(fit.constants));
    throw InputError(fmt::format(
        "{}: the calibration has no {} in {} with {} (it has: {}); calibrate with the suite that "
        "covers the model, or leave "
        "engine.step_time.calibration out",
        model_.name, op, dtype_of(op), text(constants), known.empty() ? "none of this kernel" : known));
  }

  const std::vector<BenchFit>& fits_;
  const ModelSpec& model_;
  const std::string& kv_dtype_;
};

void check_model(const ModelSpec& model, std::int64_t tensor_parallel_size) {
  if (tensor_parallel_size != 1)
    throw InputError(
        fmt::format("engine.step_time.calibration: kernels were timed on one device; tensor_parallel_size "
                    "must be 1, not {}",
                    tensor_parallel_size));
  const auto unlike = [&model](std::size_t layer, const std::string& what) {
    throw InputError(
        fmt::format("{}: layer {} has {}; a calibration of kvcast's own kernels forecasts Llama-like models: "
                    "full attention and one "
                    "gated MLP in every layer, all layers alike",
                    model.name, layer, what));
  };
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const LayerSpec& layer = model.layers[i];
    const LayerSpec& first = model.layers.front();
    if (layer.kind != LayerKind::full_attention) unlike(i, std::string(to_string(layer.kind)));
    if (layer.mlp.experts > 0) unlike(i, "experts");
    if (!layer.mlp.gated || layer.mlp.intermediate == 0) unlike(i, "no gated MLP");
    if (layer.attention.head_dim_k != layer.attention.head_dim_v)
      unlike(i, "keys and values of different size");
    if (layer.attention.heads != first.attention.heads ||
        layer.attention.kv_heads != first.attention.kv_heads ||
        layer.attention.head_dim_k != first.attention.head_dim_k ||
        layer.mlp.intermediate != first.mlp.intermediate)
      unlike(i, "other shapes than the first layer");
  }
  if (model.layers.empty()) throw InputError(model.name + ": has no layers");
}

}  // namespace

std::unique_ptr<StepTimer> make_bench_timer(const std::vector<BenchFit>& fits, const ModelSpec& model,
                                            std::int64_t tensor_parallel_size, const std::string& kv_dtype) {
  check_model(model, tensor_parallel_size);
  const Chooser choose(fits, model, kv_dtype);
  const AttentionShape& attention = model.layers.front().attention;
  const auto layers = static_cast<std::int64_t>(model.layers.size());
  const std::int64_t hidden = model.hidden_size, intermediate = model.layers.front().mlp.intermediate;
  const std::int64_t d = attention.head_dim_k;
  const std::int64_t qkv = (attention.heads + 2 * attention.kv_heads) * d, attended = attention.heads * d;
  const std::vector<std::pair<std::string, std::int64_t>> heads = {
      {"heads", attention.heads}, {"kv_heads", attention.kv_heads}, {"head_size", d}};
  BenchTimer::Parts parts{
      .products = {choose.product(qkv, hidden, layers), choose.product(hidden, attended, layers),
                   choose.product(2 * intermediate, hidden, layers),
                   choose.product(hidden, intermediate, layers)},
      .head = {choose.product(model.vocab_size, hidden, 1)},
      .rowwise = {choose.sum("rms_norm", 2 * layers + 1, {{"width", hidden}}),
                  choose.sum("append", layers, heads),
                  choose.sum("silu_mul", layers, {{"width", intermediate}}),
                  choose.sum("embed", 1, {{"width", hidden}})},
      .sample = choose.sum("sample", 1, {{"vocabulary", model.vocab_size}}),
      .decode = choose.sum("decode_attention", layers, heads),
      .prefill = choose.sum("prefill_attention", layers, heads)};
  for (const Product& product : parts.products) {
    parts.weight_bytes += product.n * product.k * product.count * model.dtype_bytes;
    parts.flop_per_token += 2 * product.n * product.k * product.count;
  }
  parts.head_bytes = model.vocab_size * hidden * model.dtype_bytes;
  parts.flop_per_sample = 2 * model.vocab_size * hidden;
  parts.kv_bytes_per_token =
      2 * layers * attention.kv_heads *
      kv_vector_bytes(parse_kv_dtype(kv_dtype, "kv_cache_dtype"), d, model.dtype_bytes);
  parts.attention_flop_per_pair = 4 * layers * attention.heads * d;
  return std::make_unique<BenchTimer>(std::move(parts));
}

}  // namespace kvcast
