#include "hwmodels/calibrated_terms.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "hwmodels/kv_dtype.h"
#include "hwmodels/ring_attention.h"
#include "sim/base/portable_math.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr double kFinePerUs = 1e3 * (1 << kFineBits);
// Kernels that no table times: normalisation, activation, rotary embedding with the append to the cache. In a
// CUDA graph the smallest kernels take 1.7 to 1.8 us from start to start (causal_conv1d_update at one row in
// aiconfigurator's table of an H100), and copies reach 90 % of the datasheet's bandwidth (3,025 of 3,350 GB/s
// on an H100, our measurement).
constexpr double kLaunchUs = 1.8;
constexpr double kCopyEfficiency = 0.9;
constexpr double kQueryTile = 128;         // rows of queries that attention kernels work on at once
constexpr double kSortError = 0.2;         // over the rows that set the profile's time per logit, about
constexpr double kElementwiseError = 0.2;  // assumed: what such estimates are usually off by
/// How tokens are spread over experts: real routers favour some, which a power law of this exponent stands
/// for.
constexpr std::string_view kRouting = "power_law_1.01";
constexpr double kFallbackError = 0.3;  // of an operator that has no measured relative

using TimeOf = std::function<KernelTime(const TermPoint&)>;

double distance(double a, double b) { return std::abs(portable_log(a / b)); }

/// A round's transfer of a ring, 2^-20 ns.
double transfer_of(const Op& op, double context) {
  return static_cast<double>(op.ring.transfer_fixed) + static_cast<double>(op.ring.transfer_row) * context;
}

/// The datasheet's time of all layers, microseconds.
double roofline_us(const Op& op, const TermPoint& point) {
  double memory_rows = point.rows, compute_rows = point.rows, side = 0;
  if (op.rows == OpRows::decode_context) {
    const double keys =
        op.window > 0 ? std::min(point.context, static_cast<double>(op.window)) : point.context;
    memory_rows = compute_rows = point.rows * keys;
    side = point.rows;
  } else if (op.rows == OpRows::prefill_pairs) {
    const double tokens = point.rows * point.context;
    memory_rows = point.rows * (point.context + point.cached);
    compute_rows = tokens * (point.cached + (point.context + 1) / 2);
    if (op.window > 0) compute_rows = std::min(compute_rows, tokens * static_cast<double>(op.window));
    side = tokens;
  }
  if (!op.ways.empty()) {
    double best = INFINITY;
    for (const LinkWay& way : op.ways)
      best = std::min(best, static_cast<double>(way.fixed) + static_cast<double>(way.row) * point.rows);
    return best / kFinePerUs;
  }
  double fixed = static_cast<double>(op.memory_fixed);
  if (op.experts > 0) {
    const double missed = 1 - static_cast<double>(op.top_k) / static_cast<double>(op.experts);
    const double untouched = missed <= 0 ? 0 : portable_exp(point.rows * portable_log(missed));
    fixed *= static_cast<double>(op.experts) * (1 - untouched);
  }
  const double memory =
      fixed + static_cast<double>(op.memory_row) * memory_rows + static_cast<double>(op.memory_side) * side;
  double compute = static_cast<double>(op.compute_row) * compute_rows;
  if (op.ring.ranks > 1)
    compute = ring_time({op.ring.ranks, compute, transfer_of(op, memory_rows)}, op.ring.order);
  return std::max(memory, compute) / kFinePerUs;
}

/// A fit with the constants of the wanted kernel in place of its own: forms are physical in them.
std::shared_ptr<const KernelFit> adapted(const KernelFit& fit, std::vector<double> constants) {
  KernelFit copy = fit;
  copy.key.constants = std::move(constants);
  return std::make_shared<const KernelFit>(std::move(copy));
}

class TermBuilder {
 public:
  TermBuilder(const KernelModel& kernels, const ModelSpec& model, const GpuSpec& gpu,
              const CalibratedOptions& options)
      : kernels_(kernels), model_(model), gpu_(gpu), options_(options) {}

  KernelTerms build() {
    module_ = times_whole_module();
    for (const Op& op : make_roofline_ops(model_, gpu_, options_.timer)) add(op);
    return std::move(result_);
  }

 private:
  void add(const Op& op) {
    if (op.form.in_latent && module_) {
      if (op.form.kind == OpKind::latent_attention) add_term(op, module_time(op));
      return;
    }
    switch (op.form.kind) {
      case OpKind::host:
        return;  // the timer adds it
      case OpKind::elementwise:
        if (!op.form.in_experts || !has_experts_fit()) add_term(op, elementwise(op));
        return;
      case OpKind::gemm:
        add_term(op, gemm(op));
        return;
      case OpKind::attention:
        add_term(op, in_ring(op, attention(op)));
        return;
      case OpKind::latent_attention:
        add_term(op, latent_attention(op));
        return;
      case OpKind::experts:
        add_experts(op);
        return;
      case OpKind::recurrent:
        add_recurrent(op);
        return;
      case OpKind::collective:
        add_term(op, collective(op));
        return;
      case OpKind::sort:
        add_term(op, [op](const TermPoint& point) { return KernelTime{roofline_us(op, point), kSortError}; });
        return;
    }
  }

  void add_term(const Op& op, TimeOf time) { result_.terms.push_back({op.name, op.rows, std::move(time)}); }

  void note(const std::string& text) {
    if (noted_.insert(text).second) result_.notes.push_back(text);
  }

  TimeOf elementwise(const Op& op) {
    return [this_op = op](const TermPoint& point) {
      const double launches = static_cast<double>(this_op.form.layers * this_op.form.kernels);
      return KernelTime{launches * kLaunchUs + roofline_us(this_op, point) / kCopyEfficiency,
                        kElementwiseError};
    };
  }

  /// What the tables call the dtype of a GEMM over such weights; empty: none of theirs.
  static std::string gemm_dtype(WeightFormat format) {
    switch (format) {
      case WeightFormat::none:
        return "bfloat16";
      case WeightFormat::fp8_tensor:
      case WeightFormat::fp8_channel:
        return "fp8";
      case WeightFormat::fp8_block:
        return "fp8_block";
      default:
        return "";
    }
  }

  TimeOf gemm(const Op& op) {
    const std::vector<double> site = {static_cast<double>(op.form.out), static_cast<double>(op.form.in)};
    const auto layers = static_cast<double>(op.form.layers);
    const std::string dtype = gemm_dtype(op.form.format);
    if (const KernelFit* fit = kernels_.find("gemm", {}, {{"dtype", dtype}}); fit != nullptr) {
      return [curve = SiteCurve(*fit, site), layers](const TermPoint& point) {
        const KernelTime one = curve.at(point.rows);
        return KernelTime{layers * one.us, one.error};
      };
    }
    const KernelFit* plain = kernels_.find("gemm", {}, {{"dtype", "bfloat16"}});
    if (plain == nullptr) return by_roofline(op, "matrix products");
    // The efficiency of the same product in 16 bits.
    note(
        fmt::format("the calibration has no matrix products over {} weights: the datasheet's time at the "
                    "efficiency of 16-bit ones",
                    to_string(op.form.format)));
    Op wide = op;
    wide.bytes_fixed = op.form.in * op.form.out * model_.dtype_bytes * op.form.layers;
    wide.memory_fixed =
        std::llround(static_cast<double>(wide.bytes_fixed) / gpu_.bytes_per_s() * 1e6 * kFinePerUs);
    wide.compute_row =
        std::llround(static_cast<double>(op.flop_row) / gpu_.flop_per_s("bf16") * 1e6 * kFinePerUs);
    return [curve = SiteCurve(*plain, site), layers, op, wide](const TermPoint& point) {
      const double efficiency = roofline_us(wide, point) / (layers * curve.at(point.rows).us);
      return KernelTime{roofline_us(op, point) / efficiency, kFallbackError};
    };
  }

  TimeOf by_roofline(const Op& op, const std::string& what) {
    note(fmt::format("the calibration has no {}: the datasheet's time", what));
    return [op](const TermPoint& point) { return KernelTime{roofline_us(op, point), kFallbackError}; };
  }

  [[nodiscard]] double kv_bytes() const {
    constexpr std::int64_t kElements = 128;
    return static_cast<double>(
               kv_vector_bytes(options_.timer.kv_cache_dtype, kElements, model_.dtype_bytes)) /
           static_cast<double>(kElements);
  }

  /// The fit of the nearest attention class, with the wanted constants in its place. nullptr: no attention at
  /// all
  std::shared_ptr<const KernelFit> attention_fit(std::string_view form, double head_dim, double window,
                                                 double value_bytes) {
    const KernelFit* best = nullptr;
    double nearest = INFINITY;
    for (const KernelFit& fit : kernels_.fits()) {
      if (fit.key.form->name != form) continue;
      const std::vector<double>& c = fit.key.constants;
      if ((c[1] > 0) != (window > 0)) continue;
      const double far = 2 * distance(c[0], head_dim) + (window > 0 ? distance(c[1], window) : 0) +
                         distance(c[2], value_bytes);
      if (far < nearest) {
        nearest = far;
        best = &fit;
      }
    }
    if (best == nullptr && window > 0) return attention_fit(form, head_dim, 0, value_bytes);
    if (best == nullptr) return nullptr;
    const std::vector<double>& c = best->key.constants;
    if (c[0] != head_dim || c[1] != window || distance(c[2], value_bytes) > 0.01) {
      note(fmt::format(
          "the calibration has no {} with heads of {}, window {} and {:.3g} bytes a value: its form at "
          "these, with the residual of heads of {}, window {}, {:.3g} bytes",
          form == "decode_attention" ? "decode attention" : "prefill attention", head_dim, window,
          value_bytes, c[0], c[1], c[2]));
    }
    return adapted(*best, {head_dim, window, value_bytes, static_cast<double>(gpu_.sm_count)});
  }

  TimeOf attention(const Op& op) {
    const bool decode = op.rows == OpRows::decode_context;
    const std::string_view form = decode ? "decode_attention" : "prefill_attention";
    const auto head_dim = static_cast<double>(op.form.head_dim);
    const auto window = static_cast<double>(op.window);
    const double value_bytes =
        op.form.kv_millibytes > 0 ? static_cast<double>(op.form.kv_millibytes) / 1000 : kv_bytes();
    const auto full = attention_fit(form, head_dim, 0, value_bytes);
    if (full == nullptr) return by_roofline(op, "attention");
    const auto local = op.window > 0 ? attention_fit(form, head_dim, window, value_bytes) : full;
    const auto layers = static_cast<double>(op.form.layers);
    const auto heads = static_cast<double>(op.form.heads), kv_heads = static_cast<double>(op.form.kv_heads);
    const auto parts = static_cast<double>(op.form.context_parts);
    return [=](const TermPoint& point) {
      const bool bounded = window > 0 && point.context + point.cached > window;
      const double at[] = {point.rows, std::max(point.context / parts, 1.0), heads, kv_heads};
      const KernelTime one = kernel_time(bounded ? *local : *full, at, true, point.cached);
      return KernelTime{layers * one.us, one.error};
    };
  }

  /// A prompt's attention as the calibration has it on one GPU, in a ring of ranks.
  static TimeOf in_ring(const Op& op, TimeOf alone) {
    if (op.ring.ranks == 1) return alone;
    return [op, alone = std::move(alone)](const TermPoint& point) {
      const KernelTime whole = alone(point);
      const double transfer = transfer_of(op, point.rows * (point.context + point.cached)) / kFinePerUs;
      return KernelTime{ring_time({op.ring.ranks, whole.us, transfer}, op.ring.order), whole.error};
    };
  }

  /// Latent attention by itself, at the efficiency that plain attention of many long sequences reaches.
  TimeOf latent_attention(const Op& op) {
    const bool decode = op.rows == OpRows::decode_context;
    const auto fit = attention_fit(decode ? "decode_attention" : "prefill_attention", 128, 0, kv_bytes());
    if (fit == nullptr) return by_roofline(op, "latent attention");
    note(
        "the calibration has no latent attention of these widths: the datasheet's time at the efficiency of "
        "plain "
        "attention");
    constexpr double kHeads = 32, kKvHeads = 8, kBatch = 64, kKeys = 8192, kWidth = 128;
    const double at[] = {decode ? kBatch : 1, kKeys, kHeads, kKvHeads};
    const double ideal = decode ? kBatch * kKeys * kKvHeads * 2 * kWidth * kv_bytes() / gpu_.bytes_per_s()
                                : 4 * kHeads * kWidth * kKeys * kKeys / 2 / gpu_.flop_per_s("bf16");
    const double efficiency = ideal * 1e6 / kernel_time(*fit, at, true).us;
    const double launches = fit->parameters.front() * static_cast<double>(op.form.layers);
    return [op, efficiency, launches](const TermPoint& point) {
      return KernelTime{launches + roofline_us(op, point) / efficiency, kFallbackError};
    };
  }

  /// Whether the model's latent attention is that which the calibration times as a whole module.
  [[nodiscard]] bool times_whole_module() const {
    if (options_.timer.spread.decode_context_parallel > 1) return false;
    for (const LayerSpec& layer : model_.layers) {
      if (layer.kind != LayerKind::mla) continue;
      const MlaShape& mla = layer.mla;
      return model_.hidden_size == 7168 && mla.q_lora_rank == 1536 && mla.kv_lora_rank == 512 &&
             mla.rope_dim == 64 && mla.nope_dim == 128 && mla.v_dim == 128 && mla.index_topk == 0 &&
             !mla.output_gate && module_fit("mla_decode") != nullptr && module_fit("mla_prefill") != nullptr;
    }
    return false;
  }

  [[nodiscard]] const KernelFit* module_fit(std::string_view form) const {
    const bool blocks = model_.quantization.format == WeightFormat::fp8_block;
    return kernels_.find(form, {{"kv_bytes", kv_bytes()}}, {{"gemm", blocks ? "fp8_block" : "bfloat16"}});
  }

  TimeOf module_time(const Op& op) {
    const KernelFit* fit = module_fit(op.rows == OpRows::decode_context ? "mla_decode" : "mla_prefill");
    const auto layers = static_cast<double>(op.form.layers), heads = static_cast<double>(op.form.heads);
    return [fit, layers, heads](const TermPoint& point) {
      // A chunk after cached tokens counts as the part of a whole prompt that has its pairs and tokens.
      const double length = point.context + 2 * point.cached;
      const double at[] = {point.rows * point.context / length, length, heads};
      const KernelTime one = kernel_time(*fit, at, true);
      return KernelTime{layers * one.us, one.error};
    };
  }

  static std::string experts_dtype(WeightFormat format) {
    switch (format) {
      case WeightFormat::mxfp4:
        return "w4a16_mxfp4";
      case WeightFormat::int_group:
        return "int4_wo";
      case WeightFormat::fp8_channel:
        // Experts with a scale per channel run in Triton's kernel, which the tables time with scales by
        // block; their "fp8" is ModelOpt's, with a scale per tensor, in a kernel of its own.
        return "fp8_block";
      default:
        return gemm_dtype(format);
    }
  }

  [[nodiscard]] bool has_experts_fit() const {
    return std::any_of(kernels_.fits().begin(), kernels_.fits().end(),
                       [](const KernelFit& fit) { return fit.key.form->name == "moe"; });
  }

  /// Both products of the experts are one kernel in the tables.
  void add_experts(const Op& op) {
    if (!has_experts_fit()) {
      add_term(op, by_roofline(op, "experts"));
      return;
    }
    if (op.name == "experts_up") add_term(op, experts(op));
  }

  TimeOf experts(const Op& op) {
    const std::vector<double> site = {static_cast<double>(op.form.in), static_cast<double>(op.form.out),
                                      static_cast<double>(op.top_k), static_cast<double>(op.experts),
                                      static_cast<double>(op.form.ranks)};
    const double skew = op.form.skew;
    const auto layers = static_cast<double>(op.form.layers);
    const KernelFit* best = nullptr;
    double nearest = INFINITY;
    const std::string dtype = experts_dtype(op.form.format);
    for (const KernelFit& fit : kernels_.fits()) {
      if (fit.key.form->name != "moe") continue;
      const auto routing = fit.key.labels.find("routing");
      if (routing != fit.key.labels.end() && routing->second != kRouting) continue;
      const auto label = fit.key.labels.find("dtype");
      double far = label != fit.key.labels.end() && label->second == dtype ? 0 : 100;
      if (far > 0 && label != fit.key.labels.end() && label->second != "bfloat16") continue;
      double site_far = INFINITY;
      for (const ResidualCurves::Site& known : fit.curves.sites) {
        double sum = 0;
        for (std::size_t i = 0; i < site.size(); ++i)
          sum += std::abs(known.at[i] - portable_log(site[i]) / portable_log(2));
        site_far = std::min(site_far, sum);
      }
      far += site_far;
      if (far >= nearest) continue;
      nearest = far;
      best = &fit;
    }
    if (best == nullptr) return by_roofline(op, "experts");
    const bool substitute = nearest >= 100;
    if (substitute)
      note(fmt::format("the calibration has no experts in {}: those in 16 bits, by the ratio of the bytes",
                       to_string(op.form.format)));
    const SiteCurve curve(*best, site);
    if (!curve.measured() && !substitute)
      note(fmt::format("the calibration has no experts of {} x {}, {} of {}: carried over from the nearest",
                       op.form.in, op.form.out, op.top_k, op.experts));
    const double ratio = substitute ? static_cast<double>(op.bytes_fixed * op.form.ranks) /
                                          static_cast<double>(op.form.layers * experts_values(op) * 2)
                                    : 1;
    return [curve, layers, ratio, substitute, skew](const TermPoint& point) {
      const KernelTime one = curve.at(point.rows * skew);  // as many tokens as the busiest rank has
      return KernelTime{layers * ratio * one.us, substitute ? kFallbackError : one.error};
    };
  }

  /// Values of the up product's weights of one expert.
  static std::int64_t experts_values(const Op& op) {
    const double of_all =
        static_cast<double>(op.flop_row) * static_cast<double>(op.form.ranks) / op.form.skew;
    return std::llround(of_all / static_cast<double>(op.top_k * 2 * op.form.layers));
  }

  [[nodiscard]] const KernelFit* delta_fit(std::string_view part) const {
    for (const KernelFit& fit : kernels_.fits()) {
      if (fit.key.form->name != "gdn") continue;
      const auto source = fit.key.labels.find("source");
      if (source != fit.key.labels.end() && source->second.find(part) != std::string::npos) return &fit;
    }
    return nullptr;
  }

  void add_recurrent(const Op& op) {
    const bool update = op.name == "state_update";
    const KernelFit* conv = delta_fit(update ? "conv1d_update" : "conv1d_fn");
    const KernelFit* rule = delta_fit(update ? "recurrent" : "chunk");
    if (op.form.value_heads == 0 || conv == nullptr || rule == nullptr) {
      note(
          "the calibration has no recurrent layers of this kind: the datasheet's time and a launch for each");
      add_term(op, elementwise(op));
      return;
    }
    const auto layers = static_cast<double>(op.form.layers);
    const auto key_heads = static_cast<double>(op.form.key_heads);
    const auto value_heads = static_cast<double>(op.form.value_heads);
    const auto time = [=](const TermPoint& point) {
      const double at[] = {point.rows, update ? 1 : point.context, key_heads, value_heads};
      const KernelTime a = kernel_time(*conv, at, true), b = kernel_time(*rule, at, true);
      return KernelTime{layers * (a.us + b.us), (a.us * a.error + b.us * b.error) / (a.us + b.us)};
    };
    result_.terms.push_back({op.name, update ? OpRows::decode_context : OpRows::prefill_pairs, time});
  }

  TimeOf collective(const Op& op) {
    const std::string operation(to_string(op.form.collective));
    if (op.form.across_nodes) return by_roofline(op, operation + " across nodes");
    std::vector<const KernelFit*> ways;
    for (const KernelFit& fit : kernels_.fits()) {
      if (fit.key.form->name != "collective") continue;
      if (fit.key.constants[0] != static_cast<double>(op.form.ranks)) continue;
      const auto label = [&](const char* key) {
        const auto found = fit.key.labels.find(key);
        return found == fit.key.labels.end() ? std::string() : found->second;
      };
      const bool wide = label("dtype") == "half" || label("dtype") == "bfloat16";
      if (label("operation") == operation && wide && label("backend") != "vllm_eager") ways.push_back(&fit);
    }
    if (ways.empty()) return by_roofline(op, fmt::format("{} over {} GPUs", operation, op.form.ranks));
    const auto layers = static_cast<double>(op.form.layers);
    const auto row_bytes = static_cast<double>(op.form.bytes_row);
    return [ways, layers, row_bytes](const TermPoint& point) {
      KernelTime best{INFINITY, 0};
      for (const KernelFit* fit : ways) {
        const double at[] = {point.rows * row_bytes};
        const KernelTime one = kernel_time(*fit, at, true);
        if (one.us < best.us) best = one;
      }
      return KernelTime{layers * best.us, best.error};
    };
  }

  const KernelModel& kernels_;
  const ModelSpec& model_;
  const GpuSpec& gpu_;
  const CalibratedOptions& options_;
  bool module_ = false;
  KernelTerms result_;
  std::set<std::string> noted_;
};

}  // namespace

TermPoint prefill_point(double keys, double tokens) {
  // Prompts shorter than a tile of queries take a tile each; the sums do not say how many there are.
  const double whole = std::max(2 * keys - 1, std::min(tokens, kQueryTile));
  if (whole <= tokens) return {tokens / whole, whole, 0};
  return {1, tokens, std::max(keys - (tokens + 1) / 2, 0.0)};
}

std::vector<KernelTerm> make_link_terms(const ModelSpec& model, const GpuSpec& gpu,
                                        const CalibratedOptions& options) {
  std::vector<KernelTerm> terms;
  for (const Op& op : make_roofline_ops(model, gpu, options.timer)) {
    if (op.form.kind != OpKind::collective) continue;
    terms.push_back({op.name, op.rows, [op](const TermPoint& point) {
                       return KernelTime{roofline_us(op, point), kFallbackError};
                     }});
  }
  return terms;
}

KernelTerms make_kernel_terms(const KernelModel& kernels, const ModelSpec& model, const GpuSpec& gpu,
                              const CalibratedOptions& options) {
  return TermBuilder(kernels, model, gpu, options).build();
}

}  // namespace kvcast
