#include "hwmodels/kernel_forms.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/base/portable_math.h"

namespace kvcast {
namespace {

constexpr double kLn2 = 0.693147180559945309417;
constexpr double kGbPerUs = 1e3;             // bytes per microsecond of 1 GB/s
constexpr double kTflopPerUs = 1e6;          // FLOP per microsecond of 1 TFLOP/s
constexpr std::int64_t kSplitsMax = 32;      // vLLM's limit under CUDA graphs
constexpr std::int64_t kSplitBlocksMin = 4;  // contexts of fewer key blocks are not split

double log2_of(double x) { return portable_log(std::max(x, 1e-9)) / kLn2; }

/// (x^p + y^p)^(1/p): the longer of two overlapping times, with a soft corner.
double soft_max(double x, double y, double p) {
  const double high = std::max(x, y), low = std::min(x, y);
  if (low <= 0) return high;
  const double ratio = portable_exp(p * portable_log(low / high));
  return high * portable_exp(portable_log(1 + ratio) / p);
}

/// Rows of a tile of keys in FlashAttention-3's forward kernel, by head width.
double key_tile(double head_dim) {
  if (head_dim <= 128) return 128;
  return head_dim <= 192 ? 96 : 80;
}

// Decode attention. Coordinates: batch, context, heads, kv_heads. Constants: head_dim, window, kv_bytes, sms.

double decode_attention_us(const FormInput& in) {
  const double batch = in.at[0], heads = in.at[2], kv_heads = in.at[3];
  const double head_dim = in.constants[0], window = in.constants[1], kv_bytes = in.constants[2];
  const double sms = in.constants[3];
  const double* p = in.parameters;
  const double context = window > 0 ? std::min(in.at[1], window) : in.at[1];
  const double tile = key_tile(head_dim);
  const double blocks = std::ceil(context / tile);
  const double items = batch * kv_heads * std::ceil(heads / kv_heads / 64);
  const double splits = static_cast<double>(attention_splits(
      static_cast<std::int64_t>(items), static_cast<std::int64_t>(blocks), static_cast<std::int64_t>(sms)));
  const double waves = std::ceil(items * splits / sms);
  const double tiles = std::ceil(blocks / splits);
  double bytes = batch * kv_heads * context * 2 * head_dim * kv_bytes + 2 * batch * heads * head_dim * 2;
  if (splits > 1) bytes += 2 * splits * batch * heads * (head_dim * 4 + 8);
  const double in_cache = in.cold ? 0 : 1 - std::clamp((bytes / 1e6 - p[7]) / (0.5 * p[7]), 0.0, 1.0);
  const double memory = bytes / (kGbPerUs * p[5]) * (1 - in_cache + in_cache / p[8]);
  const double critical = waves * tiles * tile * 2 * head_dim * kv_bytes / (kGbPerUs * p[4]);
  return p[0] + (splits > 1 ? p[1] : 0) + waves * p[2] + tiles * p[3] + soft_max(critical, memory, p[6]);
}

constexpr std::array kDecodeParameters = {
    FitParameter{"launch_us", 8.5, 1, 40},   FitParameter{"combine_us", 2, 0.01, 10},
    FitParameter{"wave_us", 3.3, 0.05, 60},  FitParameter{"tile_us", 0.16, 0.005, 3},
    FitParameter{"sm_gb_per_s", 30, 3, 200}, FitParameter{"gb_per_s", 2900, 300, 9000},
    FitParameter{"sharpness", 3, 1, 8},      FitParameter{"l2_mb", 36, 15, 80},
    FitParameter{"l2_speed", 1.7, 1, 4},
};

// Prefill attention. Coordinates: batch, tokens, heads, kv_heads. Constants: head_dim, window, kv_bytes, sms.

double prefill_attention_us(const FormInput& in) {
  const double batch = in.at[0], tokens = in.at[1], heads = in.at[2], kv_heads = in.at[3];
  const double head_dim = in.constants[0], window = in.constants[1], sms = in.constants[3];
  const double* p = in.parameters;
  const double group = heads / kv_heads;
  const double query_tile = head_dim <= 64 ? 192 : 128;
  const double tile = key_tile(head_dim);
  const bool packed = tokens < query_tile;  // queries of one group share a tile
  const double tiles =
      packed ? std::ceil(tokens * group / query_tile) : std::ceil(tokens / query_tile) * group;
  const double keys = tokens + in.cached;  // of the last query
  const bool local = window > 0 && keys > window;
  const double longest = local ? std::min(keys, window + query_tile) : keys;
  double mean = packed ? keys : in.cached + (tokens + query_tile) / 2;
  if (local) mean = longest;
  const double rounded_mean = std::ceil(mean / tile) * tile,
               rounded_longest = std::ceil(longest / tile) * tile;
  const double sm_rate = p[2] * kTflopPerUs / sms;
  const double one = p[1] + 4 * head_dim * query_tile * rounded_mean / sm_rate;
  const double last = p[1] + 4 * head_dim * query_tile * rounded_longest / sm_rate;
  const double waves = std::max(batch * kv_heads * tiles / sms, 1.0);
  const double bytes = batch * (tokens * 2 * heads + keys * 2 * kv_heads) * head_dim * 2;
  return p[0] + soft_max(waves * one, last, p[3]) + bytes / (kGbPerUs * p[4]);
}

constexpr std::array kPrefillParameters = {
    FitParameter{"launch_us", 10, 1, 40},      FitParameter{"tile_us", 0.7, 0.01, 20},
    FitParameter{"tflops", 700, 50, 2000},     FitParameter{"sharpness", 3, 1, 8},
    FitParameter{"gb_per_s", 2000, 500, 9000},
};

std::vector<double> attention_features(const double* at) {
  return {log2_of(at[0]), log2_of(at[1]), log2_of(at[3]), log2_of(at[2] / at[3])};
}

// DeepSeek-V3's attention module. Coordinates: batch, context or tokens, heads. Constants: kv_bytes,
// weight_bytes.

constexpr double kHidden = 7168, kQueryRank = 1536, kLatent = 512, kRope = 64, kNope = 128;

double mla_weights(double heads) {
  return kHidden * (kQueryRank + kLatent + kRope) + kQueryRank * heads * (kNope + kRope) +
         2 * kLatent * heads * kNope + heads * kNope * kHidden;
}

double mla_us(const FormInput& in, double rows, double flop, double cache_bytes) {
  const double* p = in.parameters;
  const double heads = in.at[2];
  const double bytes = mla_weights(heads) * in.constants[1] + cache_bytes;
  return p[0] + rows * p[1] + soft_max(flop / (kTflopPerUs * p[2]), bytes / (kGbPerUs * p[3]), p[4]);
}

double mla_decode_us(const FormInput& in) {
  const double batch = in.at[0], context = in.at[1], heads = in.at[2];
  const double flop = 2 * batch * (mla_weights(heads) + heads * context * (2 * kLatent + kRope));
  return mla_us(in, batch, flop, batch * context * (kLatent + kRope) * in.constants[0]);
}

double mla_prefill_us(const FormInput& in) {
  const double batch = in.at[0], tokens = in.at[1], heads = in.at[2];
  const double pairs = batch * tokens * (tokens + 1) / 2;
  const double flop = 2 * batch * tokens * mla_weights(heads) + 2 * heads * (2 * kNope + kRope) * pairs;
  return mla_us(in, batch * tokens, flop, batch * tokens * (kLatent + kRope) * in.constants[0]);
}

constexpr std::array kMlaParameters = {
    FitParameter{"launch_us", 150, 10, 2000}, FitParameter{"row_us", 0.01, 1e-5, 10},
    FitParameter{"tflops", 400, 20, 2000},    FitParameter{"gb_per_s", 2000, 100, 9000},
    FitParameter{"sharpness", 2, 1, 8},
};

std::vector<double> mla_features(const double* at) {
  return {log2_of(at[0]), log2_of(at[1]), log2_of(at[2])};
}

// Gated delta net. Coordinates: batch, tokens (of one sequence), key_heads, value_heads. Constants: head_dim.

double gdn_us(const FormInput& in) {
  const double batch = in.at[0], tokens = in.at[1], key_heads = in.at[2], value_heads = in.at[3];
  const double width = in.constants[0];
  const double* p = in.parameters;
  const double row = (2 * key_heads + 2 * value_heads) * width * 2;
  const double bytes = batch * tokens * row + 2 * batch * value_heads * width * width * 4;
  const double flop = 6 * batch * tokens * value_heads * width * width;
  const double chain = std::ceil(tokens / 64) * p[1];
  return p[0] + chain + soft_max(bytes / (kGbPerUs * p[2]), flop / (kTflopPerUs * p[3]), p[4]);
}

constexpr std::array kGdnParameters = {
    FitParameter{"launch_us", 4, 0.5, 200},    FitParameter{"chunk_us", 0.5, 1e-4, 50},
    FitParameter{"gb_per_s", 2000, 20, 20000}, FitParameter{"tflops", 100, 0.5, 3000},
    FitParameter{"sharpness", 2, 1, 8},
};

std::vector<double> gdn_features(const double* at) {
  return {log2_of(at[0]), log2_of(at[1]), log2_of(at[2]), log2_of(at[3])};
}

// GEMM. Coordinates: rows, n, k. Constants: weight_bytes.

double gemm_us(const FormInput& in) {
  const double rows = in.at[0], n = in.at[1], k = in.at[2], width = in.constants[0];
  const double* p = in.parameters;
  const double bytes = (n + rows) * k * width + rows * n * 2;
  return p[0] + soft_max(2 * rows * n * k / (kTflopPerUs * p[1]), bytes / (kGbPerUs * p[2]), p[3]);
}

constexpr std::array kGemmParameters = {
    FitParameter{"launch_us", 6, 0.5, 100},
    FitParameter{"tflops", 700, 10, 4000},
    FitParameter{"gb_per_s", 2800, 300, 9000},
    FitParameter{"sharpness", 2, 1, 8},
};

// Experts of one MoE layer. Coordinates: rows, hidden, inter, top_k, experts, ranks (that hold whole
// experts). Constants: weight_bytes.

double moe_us(const FormInput& in) {
  const double rows = in.at[0], hidden = in.at[1], inter = in.at[2], top_k = in.at[3], experts = in.at[4];
  const double ranks = in.at[5], width = in.constants[0];
  const double* p = in.parameters;
  const double missed = portable_exp(rows * portable_log(std::max(1 - top_k / experts, 1e-12)));
  const double touched = experts / ranks * (1 - missed);
  const double weights = 3 * hidden * inter;
  const double routed = rows * top_k / ranks;
  const double bytes = touched * weights * width + routed * (2 * hidden + 3 * inter) * 2;
  const double flop = 2 * routed * weights;
  return p[0] + touched * p[4] + soft_max(flop / (kTflopPerUs * p[1]), bytes / (kGbPerUs * p[2]), p[3]);
}

constexpr std::array kMoeParameters = {
    FitParameter{"launch_us", 40, 1, 1000},    FitParameter{"tflops", 400, 5, 4000},
    FitParameter{"gb_per_s", 2000, 100, 9000}, FitParameter{"sharpness", 2, 1, 8},
    FitParameter{"expert_us", 0.05, 1e-4, 5},
};

// Collectives. Coordinates: bytes.

double collective_us(const FormInput& in) {
  const double bytes = in.at[0];
  const double* p = in.parameters;
  return p[0] + bytes / (kGbPerUs * p[1]) + p[2] * portable_log(1 + bytes / (1e3 * p[3]));
}

constexpr std::array kCollectiveParameters = {
    FitParameter{"launch_us", 5, 0.5, 100},
    FitParameter{"gb_per_s", 250, 10, 2000},
    FitParameter{"curve_us", 2, 0.001, 50},
    FitParameter{"curve_kb", 50, 0.5, 20000},
};

std::vector<double> collective_features(const double* at) { return {log2_of(at[0])}; }

template <std::size_t N>
std::vector<FitParameter> list(const std::array<FitParameter, N>& parameters) {
  return {parameters.begin(), parameters.end()};
}

std::vector<KernelForm> make_forms() {
  return {
      {"decode_attention",
       {"batch", "context", "heads", "kv_heads"},
       {"head_dim", "window", "kv_bytes", "sms"},
       list(kDecodeParameters),
       decode_attention_us,
       attention_features},
      {"prefill_attention",
       {"batch", "tokens", "heads", "kv_heads"},
       {"head_dim", "window", "kv_bytes", "sms"},
       list(kPrefillParameters),
       prefill_attention_us,
       attention_features},
      {"mla_decode",
       {"batch", "context", "heads"},
       {"kv_bytes", "weight_bytes"},
       list(kMlaParameters),
       mla_decode_us,
       mla_features},
      {"mla_prefill",
       {"batch", "tokens", "heads"},
       {"kv_bytes", "weight_bytes"},
       list(kMlaParameters),
       mla_prefill_us,
       mla_features},
      {"gdn",
       {"batch", "tokens", "key_heads", "value_heads"},
       {"head_dim"},
       list(kGdnParameters),
       gdn_us,
       gdn_features},
      {"gemm", {"rows", "n", "k"}, {"weight_bytes"}, list(kGemmParameters), gemm_us, nullptr},
      {"moe",
       {"rows", "hidden", "inter", "top_k", "experts", "ranks"},
       {"weight_bytes"},
       list(kMoeParameters),
       moe_us,
       nullptr},
      {"collective", {"bytes"}, {"gpus"}, list(kCollectiveParameters), collective_us, collective_features},
  };
}

}  // namespace

std::int64_t attention_splits(std::int64_t items, std::int64_t blocks, std::int64_t sms) {
  if (static_cast<double>(items) >= 0.8 * static_cast<double>(sms) || blocks <= kSplitBlocksMin) return 1;
  const std::int64_t most = std::min({kSplitsMax, sms, blocks});
  const auto efficiency = [&](std::int64_t splits) {
    const double waves = static_cast<double>(items * splits) / static_cast<double>(sms);
    return waves / std::ceil(waves);
  };
  double best = 0;
  for (std::int64_t splits = 1; splits <= most; ++splits) best = std::max(best, efficiency(splits));
  for (std::int64_t splits = 1; splits <= most; ++splits) {
    if (efficiency(splits) >= 0.85 * best) return splits;
  }
  return 1;
}

std::span<const KernelForm> kernel_forms() {
  static const std::vector<KernelForm> forms = make_forms();
  return forms;
}

const KernelForm* find_kernel_form(std::string_view name) {
  for (const KernelForm& form : kernel_forms()) {
    if (form.name == name) return &form;
  }
  return nullptr;
}

}  // namespace kvcast
