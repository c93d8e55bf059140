#include "sim/sglang/machine_defaults.h"

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

struct MemoryClass {
  std::int64_t mib_below;
  std::int64_t chunked_prefill_size;
  std::int64_t graph_batch_few;  // tensor parallel size below 4
  std::int64_t graph_batch_many;
};

constexpr MemoryClass kClasses[] = {
    {20'480, 2048, 8, 8}, {35'840, 4096, 48, 160}, {61'440, 4096, 32, 160}, {163'840, 8192, 256, 512}};
constexpr MemoryClass kLargest = {0, 16'384, 512, 512};

const MemoryClass& class_of(const SglangMachine& machine) {
  for (const MemoryClass& c : kClasses) {
    if (machine.gpu_memory_mib < c.mib_below) return c;
  }
  return kLargest;
}

/// Chunk lengths up to `tokens` that get a CUDA graph: in steps that widen with the length.
std::int64_t prefill_graph_sizes(std::int64_t tokens) {
  struct Range {
    std::int64_t first, last, step;
  };
  constexpr Range kRanges[] = {{4, 32, 4}, {48, 256, 16}, {288, 512, 32}, {576, 1024, 64}, {1280, 4096, 256}};
  constexpr Range kRest = {4608, 0, 512};
  std::int64_t count = 0;
  for (const Range& r : kRanges) {
    if (tokens >= r.first) count += (std::min(tokens, r.last) - r.first) / r.step + 1;
  }
  if (tokens >= kRest.first) count += (tokens - kRest.first) / kRest.step + 1;
  return count;
}

}  // namespace

std::int64_t sglang_chunked_prefill_size(const SglangMachine& machine) {
  return class_of(machine).chunked_prefill_size;
}

std::int64_t sglang_decode_graph_batch_max(const SglangMachine& machine) {
  constexpr std::int64_t kMany = 4;
  return machine.tensor_parallel_size < kMany ? class_of(machine).graph_batch_few
                                              : class_of(machine).graph_batch_many;
}

std::int64_t sglang_reserved_mib(const SglangMachine& machine, std::int64_t prefill_tokens) {
  constexpr std::int64_t kBase = 512, kPrefillLeast = 2048, kRank = 128, kDecodeGraph = 2, kPrefillGraph = 8,
                         kMlaGraphs = 1536, kDeepEp = 2048;
  constexpr std::int64_t kLargeGpu = 61'440, kLargeGpuLeast = 10'240;
  std::int64_t mib = kBase + std::max(prefill_tokens, kPrefillLeast) * 3 / 2;
  mib += kRank * machine.tensor_parallel_size * machine.pipeline_parallel_size;
  mib += kDecodeGraph * sglang_decode_graph_batch_max(machine);
  if (machine.prefill_graphs)
    mib += machine.mla ? kMlaGraphs : kPrefillGraph * prefill_graph_sizes(prefill_tokens);
  if (machine.gpu_memory_mib > kLargeGpu) mib = std::max(mib, kLargeGpuLeast);
  return mib + (machine.deepep ? kDeepEp : 0);
}

double sglang_mem_fraction_static(const SglangMachine& machine, std::int64_t prefill_tokens) {
  KVCAST_CHECK(machine.gpu_memory_mib > 0);
  const auto gpu = static_cast<double>(machine.gpu_memory_mib);
  return std::round((gpu - static_cast<double>(sglang_reserved_mib(machine, prefill_tokens))) / gpu * 1000) /
         1000;
}

std::int64_t sglang_max_running_requests(std::int64_t pool_tokens, std::int64_t context_len,
                                         std::int64_t wanted) {
  constexpr std::int64_t kLeast = 2048, kMost = 4096, kPerFullLength = 512;
  KVCAST_CHECK(context_len > 0);
  const std::int64_t half = pool_tokens / 2;
  if (wanted > 0) return std::min(wanted, half);
  const double by_length = static_cast<double>(pool_tokens) / static_cast<double>(context_len) *
                           static_cast<double>(kPerFullLength);
  return std::min(std::clamp(static_cast<std::int64_t>(by_length), kLeast, kMost), half);
}

}  // namespace kvcast
