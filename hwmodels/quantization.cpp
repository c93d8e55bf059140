#include "hwmodels/quantization.h"

#include <charconv>
#include <vector>

#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr std::uint32_t bit(LinearRole role) { return std::uint32_t{1} << static_cast<unsigned>(role); }
constexpr std::uint32_t kAllRoles = 0x1F;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// The roles that a module name or pattern of an ignore list means; 0 where it means none that is ever
/// quantised.
std::uint32_t roles_of(std::string_view pattern) {
  for (const std::string_view other : {"lm_head", "embed", "vision", "visual", "norm", "mm_projector",
                                       "multi_modal", "shared_expert_gate", "eh_proj"}) {
    if (contains(pattern, other)) return 0;
  }
  if (contains(pattern, "shared_expert")) return bit(LinearRole::shared_expert);
  if (contains(pattern, "experts")) return bit(LinearRole::expert);
  for (const std::string_view name : {"linear_attn", "mamba", "mixer", "conv1d"}) {
    if (contains(pattern, name)) return bit(LinearRole::state);
  }
  if (contains(pattern, "attn") || contains(pattern, "attention")) return bit(LinearRole::attention);
  // A router is "mlp.gate", which "mlp.gate_proj" must not be taken for.
  if (contains(pattern, "router") || (contains(pattern, "gate") && !contains(pattern, "proj"))) return 0;
  if (contains(pattern, "mlp") || contains(pattern, "feed_forward")) return bit(LinearRole::dense_mlp);
  return 0;
}

/// The layer that a pattern names ("model.layers.12.mlp"), or -1 where it means every layer.
std::int64_t layer_of(std::string_view pattern) {
  constexpr std::string_view kKey = "layers.";
  const std::size_t at = pattern.find(kKey);
  if (at == std::string_view::npos) return -1;
  std::int64_t layer = -1;
  const char* begin = pattern.data() + at + kKey.size();
  const auto result = std::from_chars(begin, pattern.data() + pattern.size(), layer);
  return result.ec == std::errc() ? layer : -1;
}

void read_ignored(const HfConfig& config, Quantization& quantization) {
  for (const std::string_view key : {"ignore", "modules_to_not_convert", "exclude_modules"}) {
    if (!config.has(key)) continue;
    for (const std::string& pattern : config.strings(key)) {
      const std::int64_t layer = layer_of(pattern);
      if (layer < 0) {
        quantization.ignored_roles |= roles_of(pattern);
      } else {
        quantization.ignored_in_layer[layer] |= roles_of(pattern);
      }
    }
  }
}

std::string read_fp8(const HfConfig& config, Quantization& quantization) {
  quantization.static_activations = config.text_or("activation_scheme", "dynamic") == "static";
  quantization.format = WeightFormat::fp8_tensor;
  if (config.has("weight_block_size")) {
    const std::vector<std::int64_t> block = config.integers("weight_block_size", 1);
    if (block.size() != 2) config.fail("weight_block_size", "must hold two numbers");
    quantization.format = WeightFormat::fp8_block;
    quantization.block_rows = block[0];
    quantization.block_cols = block[1];
  }
  return {};
}

std::string read_int_group(const HfConfig& config, Quantization& quantization, std::string_view method) {
  quantization.format = WeightFormat::int_group;
  quantization.bits = config.integer(config.has("bits") ? "bits" : "w_bit", 1, 16);
  if (quantization.bits != 4 && quantization.bits != 8)
    return std::to_string(quantization.bits) + "-bit weights are not modelled";
  const JsonValue* group = config.find("group_size");
  quantization.group_size = group == nullptr ? 128 : config.integer("group_size", -1);
  if (quantization.group_size == 0)
    config.fail("group_size", "must be positive, or -1 for one group per output");
  quantization.zero_points = true;  // both formats store them, symmetric or not
  quantization.group_index = method == "gptq";
  return {};
}

std::string read_compressed_weights(const HfConfig& config, const HfConfig& weights,
                                    Quantization& quantization) {
  const std::int64_t bits = weights.integer("num_bits", 1, 16);
  const std::string type = weights.text_or("type", "int");
  const std::string strategy = weights.text_or("strategy", "tensor");
  const std::string format = config.text_or("format", "");
  if (type == "float" && bits == 8) {
    if (strategy == "block") return read_fp8(weights, quantization);
    quantization.format = strategy == "channel" ? WeightFormat::fp8_channel : WeightFormat::fp8_tensor;
  } else if (type == "float" && bits == 4) {
    quantization.format = contains(format, "mxfp4") ? WeightFormat::mxfp4 : WeightFormat::nvfp4;
  } else if (type == "int" && bits == 8 && strategy == "channel") {
    quantization.format = WeightFormat::int8_channel;
  } else if (type == "int" && (bits == 4 || bits == 8)) {
    quantization.format = WeightFormat::int_group;
    quantization.bits = bits;
    quantization.group_size = weights.integer_or("group_size", -1, -1);
    if (quantization.group_size == 0)
      weights.fail("group_size", "must be positive, or -1 for one group per output");
    quantization.zero_points = !weights.boolean_or("symmetric", true);
  } else {
    return "compressed-tensors weights of " + std::to_string(bits) + " bits, type " + type + ", strategy " +
           strategy + " are not modelled";
  }
  return {};
}

std::string read_compressed_tensors(const HfConfig& config, Quantization& quantization) {
  const std::optional<HfConfig> groups = config.child("config_groups");
  if (!groups) config.fail("config_groups", "required but missing");
  const std::optional<HfConfig> group = groups->child("group_0");
  const std::optional<HfConfig> weights = group ? group->child("weights") : std::nullopt;
  if (!weights) groups->fail("group_0", "required with its \"weights\" but missing");
  if (groups->has("group_1"))
    return "compressed-tensors checkpoints with several config_groups are not modelled";
  if (group->has("targets")) {
    std::uint32_t targeted = 0;
    for (const std::string& target : group->strings("targets"))
      targeted |= target == "Linear" ? kAllRoles : roles_of(target);
    quantization.ignored_roles |= kAllRoles & ~targeted;
  }
  if (const std::optional<HfConfig> activations = group->child("input_activations")) {
    quantization.static_activations = !activations->boolean_or("dynamic", true);
  }
  return read_compressed_weights(config, *weights, quantization);
}

std::string read_modelopt(const HfConfig& config, Quantization& quantization) {
  const std::string algorithm = config.text_or("quant_algo", "");
  if (algorithm == "NVFP4") {
    quantization.format = WeightFormat::nvfp4;
  } else if (algorithm == "FP8") {
    quantization.format = WeightFormat::fp8_tensor;
    quantization.static_activations = true;
  } else {
    return "modelopt quant_algo \"" + algorithm + "\" is not modelled (known: FP8, NVFP4)";
  }
  return {};
}

std::int64_t padded(std::int64_t value, std::int64_t unit) { return ceil_div(value, unit) * unit; }

}  // namespace

std::string_view to_string(WeightFormat format) {
  switch (format) {
    case WeightFormat::none:
      return "unquantised";
    case WeightFormat::fp8_tensor:
      return "fp8, one scale per tensor";
    case WeightFormat::fp8_channel:
      return "fp8, one scale per output";
    case WeightFormat::fp8_block:
      return "fp8, block scales";
    case WeightFormat::int8_channel:
      return "int8, one scale per output";
    case WeightFormat::int_group:
      return "packed integers, group scales";
    case WeightFormat::mxfp4:
      return "mxfp4";
    case WeightFormat::nvfp4:
      return "nvfp4";
  }
  return "";
}

Quantization read_quantization(const HfConfig& root, const HfConfig& text, std::string& refused) {
  Quantization quantization;
  const HfConfig& holder = root.has("quantization_config") ? root : text;
  const JsonValue* value = holder.find("quantization_config");
  if (value == nullptr) return quantization;
  if (value->type == JsonValue::Type::string) {
    quantization.method = value->text;
    refused = "quantization_config only names the method \"" + value->text + "\", not its scales";
    return quantization;
  }
  const HfConfig config = *holder.child("quantization_config");
  const std::string method = quantization.method = config.text("quant_method");
  read_ignored(config, quantization);
  if (method == "fp8") {
    refused = read_fp8(config, quantization);
  } else if (method == "fbgemm_fp8") {
    quantization.format = WeightFormat::fp8_channel;
  } else if (method == "awq" || method == "gptq" || method == "auto-round") {
    refused = read_int_group(config, quantization, method);
  } else if (method == "compressed-tensors") {
    refused = read_compressed_tensors(config, quantization);
  } else if (method == "mxfp4") {
    quantization.format = WeightFormat::mxfp4;
    quantization.ignored_roles |= kAllRoles & ~bit(LinearRole::expert);
  } else if (method == "modelopt" || method == "modelopt_fp4") {
    refused = read_modelopt(config, quantization);
  } else {
    refused = "quant_method \"" + method + "\" is not modelled" +
              known_names(method, {"fp8", "fbgemm_fp8", "awq", "gptq", "auto-round", "compressed-tensors",
                                   "mxfp4", "modelopt"});
  }
  return quantization;
}

bool is_quantized(const Quantization& quantization, LinearRole role, std::int64_t layer) {
  if (quantization.format == WeightFormat::none || (quantization.ignored_roles & bit(role)) != 0)
    return false;
  const auto here = quantization.ignored_in_layer.find(layer);
  return here == quantization.ignored_in_layer.end() || (here->second & bit(role)) == 0;
}

std::int64_t linear_bytes(const Quantization& quantization, WeightFormat format, const LinearSize& size,
                          std::int64_t dtype_bytes) {
  const std::int64_t elements = size.in * size.out;
  const std::int64_t activation_scales = quantization.static_activations ? 4 * size.tensors : 0;
  switch (format) {
    case WeightFormat::none:
      return elements * dtype_bytes;
    case WeightFormat::fp8_tensor:
      return elements + 4 * size.tensors + activation_scales;
    case WeightFormat::fp8_channel:
    case WeightFormat::int8_channel:
      return elements + 4 * size.out + activation_scales;
    case WeightFormat::fp8_block:
      return elements +
             4 * ceil_div(size.out, quantization.block_rows) * ceil_div(size.in, quantization.block_cols);
    case WeightFormat::int_group: {
      const std::int64_t groups =
          quantization.group_size < 0 ? 1 : ceil_div(size.in, quantization.group_size);
      const std::int64_t values = ceil_div(elements * quantization.bits, 8);
      const std::int64_t zeros =
          quantization.zero_points
              ? ceil_div(groups * padded(size.out, 32 / quantization.bits) * quantization.bits, 8)
              : 0;
      return values + groups * size.out * 2 + zeros + (quantization.group_index ? 4 * size.in : 0);
    }
    case WeightFormat::mxfp4:
      return ceil_div(size.in, 2) * size.out + ceil_div(size.in, 32) * size.out;
    case WeightFormat::nvfp4:
      return ceil_div(size.in, 2) * size.out + ceil_div(size.in, 16) * size.out + 8 * size.tensors;
  }
  return 0;
}

std::string_view compute_dtype(WeightFormat format, std::string_view model_dtype) {
  const std::string_view plain = model_dtype == "float32"   ? "fp32"
                                 : model_dtype == "float16" ? "fp16"
                                                            : "bf16";
  switch (format) {
    case WeightFormat::fp8_tensor:
    case WeightFormat::fp8_channel:
    case WeightFormat::fp8_block:
      return "fp8";
    case WeightFormat::int8_channel:
      return "int8";
    case WeightFormat::nvfp4:
      return "fp4";
    case WeightFormat::none:
    case WeightFormat::int_group:
    case WeightFormat::mxfp4:
      return plain;  // weight-only: dequantised into the model's dtype
  }
  return plain;
}

}  // namespace kvcast
