/// How a checkpoint stores its weights: bytes of a linear layer, scales counted.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "hwmodels/hf_config.h"

namespace kvcast {

enum class WeightFormat : std::uint8_t {
  none,          // the model's dtype
  fp8_tensor,    // one fp32 scale per tensor
  fp8_channel,   // one fp32 scale per output
  fp8_block,     // one fp32 scale per block_rows x block_cols
  int8_channel,  // one fp32 scale per output
  int_group,     // AWQ, GPTQ, compressed-tensors: packed 4- or 8-bit values, a 16-bit scale per output and
                 // group_size inputs
  mxfp4,         // OCP microscaling: 4-bit values, one 8-bit scale per 32 inputs
  nvfp4,         // 4-bit values, one fp8 scale per 16 inputs, two fp32 scales per tensor
};
[[nodiscard]] std::string_view to_string(WeightFormat format);

/// Which part of a layer a linear belongs to; decides whether the checkpoint's format applies. Routers,
/// embeddings, LM heads and vision towers are never quantised.
enum class LinearRole : std::uint8_t { attention, state, dense_mlp, shared_expert, expert };

struct Quantization {
  WeightFormat format = WeightFormat::none;
  std::string method;  // as the file says: "fp8", "awq", "gptq", "mxfp4", "compressed-tensors", "modelopt";
                       // empty: none
  std::int64_t block_rows = 0;  // fp8_block: outputs and inputs of a block
  std::int64_t block_cols = 0;
  std::int64_t bits = 0;            // int_group
  std::int64_t group_size = 0;      // inputs per scale
  bool zero_points = false;         // packed beside the scales
  bool group_index = false;         // GPTQ keeps a 32-bit group number per input
  bool static_activations = false;  // one fp32 activation scale per tensor
  std::uint32_t ignored_roles = 0;  // bit per LinearRole: kept in the model's dtype in every layer
  std::map<std::int64_t, std::uint32_t> ignored_in_layer;  // the same for single layers
};

/// Reads quantization_config of the file or of its text_config. \param refused set to the reason where the
/// scheme is not modelled or is only named ("quantization_config": "fp8" in published field extracts)
[[nodiscard]] Quantization read_quantization(const HfConfig& root, const HfConfig& text,
                                             std::string& refused);

[[nodiscard]] bool is_quantized(const Quantization& quantization, LinearRole role, std::int64_t layer);

/// One linear on one rank: inputs and outputs there; `tensors` were merged into it (each has its own
/// per-tensor scale).
struct LinearSize {
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::int64_t tensors = 1;
};

/// Stored bytes of a linear without bias. \param format none stores dtype_bytes per element
[[nodiscard]] std::int64_t linear_bytes(const Quantization& quantization, WeightFormat format,
                                        const LinearSize& size, std::int64_t dtype_bytes);

/// Tensor-core dtype that a GEMM over such weights runs in: fp8 where activations are quantised too, else the
/// model's ("bf16", "fp16").
[[nodiscard]] std::string_view compute_dtype(WeightFormat format, std::string_view model_dtype);

}  // namespace kvcast
