/// How a checkpoint stores its weights: bytes of a linear layer, scales counted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvcast {

enum class WeightFormat : std::uint8_t {
  none,         // the model's dtype
  fp8_tensor,   // one fp32 scale per tensor
  fp8_channel,  // one fp32 scale per output channel
  fp8_block,    // one fp32 scale per block_rows x block_cols
  int8_channel, // one fp32 scale per output channel
  int4_group,   // AWQ, GPTQ, compressed-tensors: 4-bit, fp16/bf16 scale per group_size inputs, zero points as the format has them
  int8_group,
  mxfp4,        // OCP microscaling: 4-bit, one 8-bit scale per 32 inputs
  nvfp4,        // 4-bit, one fp8 scale per 16 inputs, one fp32 scale per tensor
};

struct Quantization {
  WeightFormat format = WeightFormat::none;
  std::string method;                // as the file says: "fp8", "awq", "gptq", "mxfp4", "compressed-tensors", "modelopt"
  std::int64_t block_rows = 0;       // fp8_block
  std::int64_t block_cols = 0;
  std::int64_t group_size = 0;       // inputs per scale
  bool zero_points = false;
  bool activation_order = false;     // GPTQ's g_idx
  std::vector<std::string> ignored;  // modules kept in the model's dtype, as the file says
};

/// Which part of a layer a linear belongs to; decides whether the checkpoint's format applies.
enum class LinearRole : std::uint8_t { attention, dense_mlp, shared_expert, expert, router, lm_head, state, draft };

/// True where the checkpoint quantises linears of this role.
[[nodiscard]] bool is_quantized(const Quantization& quantization, LinearRole role);

/// Bits that one weight of the format takes, scales not counted.
[[nodiscard]] double weight_bits(WeightFormat format, std::int64_t dtype_bytes);

}  // namespace kvcast
