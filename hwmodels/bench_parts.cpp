#include "hwmodels/bench_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hwmodels/bench_sizes.h"
#include "hwmodels/kv_dtype.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::int64_t kExpertTable = 1024;  // tokens from which on all experts are taken to be touched

using Constants = std::vector<std::pair<std::string, std::int64_t>>;

/// Microseconds in units of 2^-20 ns.
std::int64_t fine(double us) { return std::llround(us * 1e3 * (1 << kFineBits)); }

std::string text_of(const Constants& list) {
  std::string result;
  for (const auto& [name, value] : list)
    result += fmt::format("{}{} {}", result.empty() ? "" : ", ", name, value);
  return result;
}

/// The elements of the expected number of distinct experts, when each token picks top_k of them uniformly.
std::vector<std::int64_t> touched_by_tokens(std::int64_t experts, std::int64_t top_k, std::int64_t elements) {
  const double missed = 1.0 - static_cast<double>(top_k) / static_cast<double>(experts);
  double untouched = 1;
  std::vector<std::int64_t> table;
  for (std::int64_t tokens = 0; tokens <= kExpertTable; ++tokens) {
    const double distinct = static_cast<double>(experts) * (tokens == kExpertTable ? 1 : 1 - untouched);
    table.push_back(std::llround(distinct * static_cast<double>(elements)));
    untouched *= missed;
  }
  return table;
}

/// Finds the kernels of one model among the fits.
class Chooser {
 public:
  Chooser(const std::vector<BenchFit>& fits, const ModelSpec& model, std::string kv_dtype)
      : fits_(fits), model_(model), kv_dtype_(std::move(kv_dtype)) {}

  /// A kernel whose shape must have been measured.
  [[nodiscard]] BenchKernel exact(std::string_view op, std::int64_t count, const Constants& constants) const {
    const BenchFit* fit = find(op, "sum", dtype_of(op), constants);
    if (fit == nullptr) missing(op, dtype_of(op), constants);
    return {*fit, count};
  }

  /// A kernel that moves rows: of a width that was measured, or in between by the bytes of a row.
  [[nodiscard]] BenchRows rows(std::string_view op, std::int64_t count, const Constants& constants,
                               std::int64_t per_token = 1) {
    return {by_size(op, count, constants, bench_row_size(op, constants)), per_token};
  }

  [[nodiscard]] BenchKernel by_size(std::string_view op, std::int64_t count, const Constants& constants,
                                    double size) {
    const std::string& dtype = dtype_of(op);
    if (const BenchFit* fit = find(op, "sum", dtype, constants)) return {*fit, count};
    std::vector<const BenchFit*> known;
    for (const BenchFit& fit : fits_)
      if (usable(fit, op, "sum", dtype)) known.push_back(&fit);
    if (known.empty()) missing(op, dtype, constants);
    const SizedFit sized = fit_of_size(known, size);
    note(fmt::format(
        "{} with {} was not measured: taken from {} by the bytes of a row, with a standard error of {:.0f} %",
        op, text_of(constants), sized.from, 100 * sized.fit.relative_error));
    return {sized.fit, count};
  }

  [[nodiscard]] BenchProduct product(const std::string& dtype, std::int64_t n, std::int64_t k,
                                     std::int64_t matrices = 1) const {
    const std::int64_t element = dtype == "fp8_e4m3" ? 1 : model_.dtype_bytes;
    const BenchFit* curve = matrices == 1 ? find("gemm", "curve", dtype, {{"n", n}, {"k", k}}) : nullptr;
    const BenchFit* fit = curve != nullptr ? curve : find("gemm", "sum", dtype, {});
    if (fit == nullptr) missing("gemm", dtype, {{"n", n}, {"k", k}});
    return {.kernel = {*fit, 1},
            .is_curve = curve != nullptr,
            .n = n,
            .k = k,
            .matrices = matrices,
            .element_bytes = element};
  }

  /// Routed experts as one product over the weights of the distinct experts and top_k rows a token.
  [[nodiscard]] BenchProduct experts(const std::string& dtype, const MlpShape& mlp, std::int64_t n,
                                     std::int64_t k) {
    BenchProduct product = this->product(dtype, n, k, mlp.experts);
    product.matrices = 1;
    product.top_k = mlp.top_k;
    product.touched = touched_by_tokens(mlp.experts, mlp.top_k, n * k);
    note(
        "Routed experts were not measured: they are timed as one matrix product over the weights of the "
        "expected number of "
        "distinct experts");
    return product;
  }

  void note(const std::string& text) {
    if (std::find(notes_.begin(), notes_.end(), text) == notes_.end()) notes_.push_back(text);
  }
  [[nodiscard]] std::vector<std::string> take_notes() { return std::move(notes_); }

  /// How the records name the type of a linear's product.
  [[nodiscard]] std::string linear_dtype(LinearRole role, std::int64_t layer) const {
    if (!is_quantized(model_.quantization, role, layer)) return model_.dtype;
    switch (model_.quantization.format) {
      case WeightFormat::none:
        return model_.dtype;
      case WeightFormat::fp8_tensor:
      case WeightFormat::fp8_channel:
      case WeightFormat::fp8_block:
        return "fp8_e4m3";
      default:
        throw InputError(fmt::format(
            "{}: its weights are {}; kvcast's own kernels multiply bfloat16, float16 and fp8, so that a "
            "calibration of them cannot time it; leave engine.step_time.calibration out",
            model_.name, to_string(model_.quantization.format)));
    }
  }

 private:
  [[nodiscard]] static bool usable(const BenchFit& fit, std::string_view op, std::string_view form,
                                   const std::string& dtype) {
    if (fit.op != op || fit.form != form || fit.dtype != dtype) return false;
    if (fit.variant == "cudnn") return false;  // a second opinion, not what is forecast
    return op != "sample" || fit.variant == "greedy";
  }

  [[nodiscard]] const BenchFit* find(std::string_view op, std::string_view form, const std::string& dtype,
                                     const Constants& constants) const {
    for (const BenchFit& fit : fits_) {
      const bool equal = std::all_of(constants.begin(), constants.end(),
                                     [&fit](const auto& c) { return fit.constant(c.first) == c.second; });
      if (equal && usable(fit, op, form, dtype)) return &fit;
    }
    return nullptr;
  }

  [[nodiscard]] const std::string& dtype_of(std::string_view op) const {
    static const std::string logits = "float32";
    if (op == "sample") return logits;
    const bool of_cache =
        op == "append" || op.find("attention") != std::string_view::npos || op.starts_with("mla_");
    return of_cache ? kv_dtype_ : model_.dtype;
  }

  [[noreturn]] void missing(std::string_view op, const std::string& dtype, const Constants& constants) const {
    std::string known;
    for (const BenchFit& fit : fits_)
      if (fit.op == op && fit.form == "sum")
        known += fmt::format("{}{} with {}", known.empty() ? "" : "; ", fit.dtype,
                             fit.constants.empty() ? "any shape" : text_of(fit.constants));
    throw InputError(fmt::format(
        "{}: the calibration has no {} in {} with {} (it has: {}); calibrate with the suite that "
        "covers the model, or leave "
        "engine.step_time.calibration out",
        model_.name, op, dtype, text_of(constants), known.empty() ? "none of this kernel" : known));
  }

  const std::vector<BenchFit>& fits_;
  const ModelSpec& model_;
  std::string kv_dtype_;
  std::vector<std::string> notes_;
};

void check_model(const ModelSpec& model) {
  if (model.layers.empty()) throw InputError(model.name + ": has no layers");
  const auto unlike = [&model](std::size_t layer, const std::string& what) {
    throw InputError(fmt::format(
        "{}: layer {} has {}; a calibration of kvcast's own kernels forecasts models with full or latent "
        "attention over the whole context and a gated MLP or experts in every layer, the attention of all "
        "layers alike",
        model.name, layer, what));
  };
  const LayerSpec& first = model.layers.front();
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const LayerSpec& layer = model.layers[i];
    if (layer.kind != LayerKind::full_attention && layer.kind != LayerKind::mla)
      unlike(i, std::string(to_string(layer.kind)));
    if (layer.retention.attended_max() > 0) unlike(i, "a cache that does not keep every token");
    if (layer.mlp.experts > 0 && layer.mlp.expert_hidden > 0) unlike(i, "experts behind latent projections");
    if (!layer.mlp.gated || (layer.mlp.intermediate == 0 && layer.mlp.experts == 0))
      unlike(i, "no gated MLP");
    if (layer.kind != first.kind) unlike(i, "other shapes than the first layer");
    if (layer.kind == LayerKind::mla) {
      if (layer.mla.index_heads > 0 || layer.mla.index_topk > 0) unlike(i, "sparse latent attention");
      if (layer.mla.heads != first.mla.heads || layer.mla.kv_lora_rank != first.mla.kv_lora_rank ||
          layer.mla.rope_dim != first.mla.rope_dim)
        unlike(i, "other shapes than the first layer");
      continue;
    }
    if (layer.attention.head_dim_k != layer.attention.head_dim_v)
      unlike(i, "keys and values of different size");
    if (layer.attention.heads != first.attention.heads ||
        layer.attention.kv_heads != first.attention.kv_heads ||
        layer.attention.head_dim_k != first.attention.head_dim_k)
      unlike(i, "other shapes than the first layer");
  }
}

/// Everything that runs once for each token.
class TokenWork {
 public:
  TokenWork(Chooser& choose, const ModelSpec& model) : choose_(choose), model_(model) {}

  void add_layer(const LayerSpec& layer, std::int64_t index) {
    index_ = index;
    add_rows("rms_norm", 2, {{"width", model_.hidden_size}});
    if (layer.kind == LayerKind::mla) {
      add_latent(layer.mla);
    } else {
      add_attention(layer.attention);
    }
    add_mlp(layer.mlp);
  }

  void finish(BenchParts& parts) {
    add_rows("rms_norm", 1, {{"width", model_.hidden_size}});
    add_rows("embed", 1, {{"width", model_.hidden_size}});
    for (Product& product : products_) {
      product.product.count = product.count;
      parts.products.push_back(std::move(product.product));
    }
    for (const Rows& rows : rows_) {
      parts.rowwise.push_back(rows.op == "append_latent"
                                  ? latent_append(rows)
                                  : choose_.rows(rows.op, rows.count, rows.constants, rows.per_token));
    }
  }

 private:
  struct Product {
    std::string dtype;
    bool experts;
    BenchProduct product;
    std::int64_t count;
  };
  struct Rows {
    std::string op;
    Constants constants;
    std::int64_t per_token, count;
  };

  void add_rows(const std::string& op, std::int64_t count, const Constants& constants,
                std::int64_t per_token = 1) {
    for (Rows& rows : rows_) {
      if (rows.op != op || rows.constants != constants || rows.per_token != per_token) continue;
      rows.count += count;
      return;
    }
    rows_.push_back({op, constants, per_token, count});
  }

  void add_product(const std::string& dtype, std::int64_t n, std::int64_t k, std::int64_t matrices = 1,
                   const MlpShape* experts = nullptr) {
    for (Product& one : products_) {
      const BenchProduct& known = one.product;
      if (one.dtype != dtype || known.n != n || known.k != k || one.experts != (experts != nullptr) ||
          (experts == nullptr && known.matrices != matrices))
        continue;
      ++one.count;
      return;
    }
    products_.push_back(
        {dtype, experts != nullptr,
         experts != nullptr ? choose_.experts(dtype, *experts, n, k) : choose_.product(dtype, n, k, matrices),
         1});
  }
  [[nodiscard]] std::string dtype(LinearRole role) const { return choose_.linear_dtype(role, index_); }

  void add_attention(const AttentionShape& shape) {
    const std::int64_t d = shape.head_dim_k, hidden = model_.hidden_size;
    const std::string type = dtype(LinearRole::attention);
    add_product(type, (shape.heads + 2 * shape.kv_heads) * d, hidden);
    add_rows("append", 1, {{"heads", shape.heads}, {"kv_heads", shape.kv_heads}, {"head_size", d}});
    add_product(type, hidden, shape.heads * d);
  }

  /// Queries and outputs pass through the absorbed matrices; the latent vector is what is attended to
  /// (DeepSeek-V2 report, sec. 2.1).
  void add_latent(const MlaShape& mla) {
    const std::int64_t hidden = model_.hidden_size, latent = mla.kv_lora_rank + mla.rope_dim;
    const std::int64_t q_out = mla.heads * (mla.nope_dim + mla.rope_dim);
    const std::string type = dtype(LinearRole::attention);
    if (mla.q_lora_rank > 0) {
      add_product(type, mla.q_lora_rank + latent, hidden);
      add_rows("rms_norm", 1, {{"width", mla.q_lora_rank}});
      add_product(type, q_out, mla.q_lora_rank);
    } else {
      add_product(type, q_out + latent, hidden);
    }
    add_rows("rms_norm", 1, {{"width", mla.kv_lora_rank}});
    add_product(model_.dtype, mla.kv_lora_rank, mla.nope_dim, mla.heads);
    add_rows("append_latent", 1, {{"heads", mla.heads}, {"rope", mla.rope_dim}, {"latent", latent}});
    add_product(model_.dtype, mla.v_dim, mla.kv_lora_rank, mla.heads);
    if (mla.output_gate) add_product(type, mla.heads * mla.v_dim, hidden);
    add_product(type, hidden, mla.heads * mla.v_dim);
  }

  /// Rotates the rotary part of the queries and writes one latent row: an append of as many elements.
  [[nodiscard]] BenchRows latent_append(const Rows& rows) {
    const double size = 2.0 * static_cast<double>(rows.constants[0].second * rows.constants[1].second +
                                                  rows.constants[2].second);
    return {choose_.by_size("append", rows.count, rows.constants, size), 1};
  }

  void add_mlp(const MlpShape& mlp) {
    const std::int64_t hidden = model_.hidden_size;
    const auto dense = [&](LinearRole role, std::int64_t inner) {
      add_product(dtype(role), 2 * inner, hidden);
      add_rows("silu_mul", 1, {{"width", inner}});
      add_product(dtype(role), hidden, inner);
    };
    if (mlp.intermediate > 0) dense(LinearRole::dense_mlp, mlp.intermediate);
    if (mlp.experts == 0) return;
    add_product(model_.dtype, mlp.experts, hidden);  // the router
    if (mlp.shared_intermediate > 0) dense(LinearRole::shared_expert, mlp.shared_intermediate);
    const std::string type = dtype(LinearRole::expert);
    add_product(type, 2 * mlp.expert_intermediate, hidden, 1, &mlp);
    add_rows("silu_mul", 1, {{"width", mlp.expert_intermediate}}, mlp.top_k);
    add_product(type, hidden, mlp.expert_intermediate, 1, &mlp);
  }

  Chooser& choose_;
  const ModelSpec& model_;
  std::int64_t index_ = 0;
  std::vector<Product> products_;
  std::vector<Rows> rows_;
};

/// The attention kernels of the model's layers, and what they move and multiply.
struct AttentionParts {
  BenchKernel decode, prefill;
  std::int64_t kv_bytes_per_token, decode_flop_per_context, prefill_flop_per_pair;
};

AttentionParts attention_parts(Chooser& choose, const ModelSpec& model, const std::string& kv_dtype) {
  const LayerSpec& first = model.layers.front();
  const auto layers = static_cast<std::int64_t>(model.layers.size());
  const KvDtype type = parse_kv_dtype(kv_dtype, "kv_cache_dtype");
  if (first.kind == LayerKind::mla) {
    const std::int64_t latent = first.mla.kv_lora_rank + first.mla.rope_dim;
    const Constants shape = {{"heads", first.mla.heads}, {"head_size", latent}};
    const std::int64_t flop = 2 * layers * first.mla.heads * (latent + first.mla.kv_lora_rank);
    choose.note(
        "Prompts attend in the latent space, as kvcast's kernel does; engines expand the latent vectors for "
        "them");
    return {choose.exact("mla_decode", layers, shape), choose.exact("mla_prefill", layers, shape),
            layers * kv_vector_bytes(type, latent, model.dtype_bytes), flop, flop};
  }
  const AttentionShape& attention = first.attention;
  const std::int64_t d = attention.head_dim_k, flop = 4 * layers * attention.heads * d;
  const Constants shape = {{"heads", attention.heads}, {"kv_heads", attention.kv_heads}, {"head_size", d}};
  return {choose.exact("decode_attention", layers, shape), choose.exact("prefill_attention", layers, shape),
          2 * layers * attention.kv_heads * kv_vector_bytes(type, d, model.dtype_bytes), flop, flop};
}

}  // namespace

BenchKernel::BenchKernel(const BenchFit& fit, std::int64_t count)
    : count_(count), relative_error_(fit.relative_error) {
  for (const double us : fit.us) us_.push_back(fine(us));
  for (const double row : fit.rows) rows_.push_back(std::llround(row));
}

Int128 BenchKernel::sum(std::initializer_list<std::int64_t> terms) const {
  Int128 total = 0;
  std::size_t i = 0;
  for (const std::int64_t term : terms) total += static_cast<Int128>(us_[i++]) * term;
  return total * count_;
}

Int128 BenchKernel::curve(std::int64_t rows) const {
  if (rows <= 0) return 0;
  const auto above = std::lower_bound(rows_.begin(), rows_.end(), rows);
  if (above == rows_.begin()) return static_cast<Int128>(us_.front()) * count_;
  if (above == rows_.end()) return static_cast<Int128>(us_.back()) * rows / rows_.back() * count_;
  const auto i = static_cast<std::size_t>(above - rows_.begin());
  const Int128 rise =
      static_cast<Int128>(us_[i] - us_[i - 1]) * (rows - rows_[i - 1]) / (rows_[i] - rows_[i - 1]);
  return (us_[i - 1] + rise) * count_;
}

Int128 BenchKernel::coefficient(std::size_t term) const { return static_cast<Int128>(us_[term]) * count_; }

std::int64_t BenchProduct::weights(std::int64_t m) const {
  if (touched.empty()) return n * k * matrices;
  return touched[static_cast<std::size_t>(std::min<std::int64_t>(m, kExpertTable))];
}

Int128 BenchProduct::time(std::int64_t m) const {
  if (m <= 0) return 0;
  if (is_curve) return kernel.curve(m) * count;
  const std::int64_t rows = m * matrices * (top_k > 0 ? top_k : 1);
  return kernel.sum({1, weights(m), rows * (n + k), rows * n * k}) * count;
}

BenchParts choose_bench_parts(const std::vector<BenchFit>& fits, const ModelSpec& model,
                              const std::string& kv_dtype) {
  check_model(model);
  Chooser choose(fits, model, kv_dtype);
  const AttentionParts attention = attention_parts(choose, model, kv_dtype);
  TokenWork work(choose, model);
  std::int64_t index = 0;
  for (const LayerSpec& layer : model.layers) work.add_layer(layer, index++);
  const Constants vocabulary = {{"vocabulary", model.vocab_size}};
  BenchParts parts{.products = {},
                   .head = {choose.product(model.dtype, model.vocab_size, model.hidden_size)},
                   .rowwise = {},
                   .sample = choose.by_size("sample", 1, vocabulary, bench_row_size("sample", vocabulary)),
                   .decode = attention.decode,
                   .prefill = attention.prefill,
                   .kv_bytes_per_token = attention.kv_bytes_per_token,
                   .decode_flop_per_context = attention.decode_flop_per_context,
                   .prefill_flop_per_pair = attention.prefill_flop_per_pair};
  work.finish(parts);
  parts.notes = choose.take_notes();
  return parts;
}

}  // namespace kvcast
