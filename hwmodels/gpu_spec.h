/// The GPU catalogue: memory, bandwidth, dense rates and links as the vendors publish them (configs/gpus).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/config.h"

namespace kvcast {

/// One kind of GPU. Rates are dense (no structured sparsity).
struct GpuSpec {
  std::string name;                      // "h100-sxm"
  std::string title;                     // "NVIDIA H100 SXM5 80 GB"
  std::string vendor;                    // "nvidia", "amd"
  std::string driver_name;               // as CUDA names the device: "NVIDIA H100 80GB HBM3"
  double memory_gib = 0;                 // total as the driver reports it to the engine
  double bandwidth_gb_per_s = 0;         // HBM, 1e9 bytes
  std::map<std::string, double> tflops;  // by dtype: fp32, tf32, bf16, fp16, fp8, int8, fp4
  std::int64_t sm_count = 0;
  double compute_capability = 0;  // CUDA's; 0 on other vendors
  std::string link;               // "nvlink4", "pcie5", ...: name of a LinkSpec between the GPUs of one node
  double link_gb_per_s = 0;       // one direction, one GPU to all its peers together
  double link_latency_us = 0;     // one hop
  double pcie_gb_per_s = 0;       // one direction, to the host
  double price_per_hour = 0;      // USD
  std::string price_source;       // source and date of the price
  std::vector<std::string> sources;  // where the figures come from, with dates
  bool from_catalogue = true;

  [[nodiscard]] std::int64_t memory_bytes() const;
  /// Peak rate of a dtype in FLOP/s; a dtype that the GPU has no units for runs at the next wider one's rate
  /// (fp4 -> fp8 -> bf16 -> fp32).
  [[nodiscard]] double flop_per_s(std::string_view dtype) const;
  [[nodiscard]] double bytes_per_s() const { return bandwidth_gb_per_s * 1e9; }
};

/// Looks a GPU up in the embedded catalogue.
/// \param where "file:line:column" of the name, for the message
/// \throws InputError naming the known ones and the nearest
[[nodiscard]] GpuSpec find_gpu(std::string_view name, const std::string& where);

/// cluster.gpu: a catalogue name, or a mapping {name, memory_gib, bandwidth_gb_per_s, tflops: {bf16: ...}}
/// where a known `name` or `base` gives what the mapping leaves out and everything else is required. \throws
/// InputError at the offending key
[[nodiscard]] GpuSpec read_gpu(Config& config, std::string_view key, std::string_view fallback);

/// The catalogue's GPU that a measurement calls `device`: by name, title or as its driver names it.
[[nodiscard]] std::optional<GpuSpec> gpu_of_device(std::string_view device);

/// All entries, in order of name.
[[nodiscard]] std::vector<GpuSpec> list_gpus();

}  // namespace kvcast
