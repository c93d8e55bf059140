/// For a deployment that does not fit: which single change would make it fit.
#pragma once

#include <string>

#include "hwmodels/memory_report.h"

namespace kvcast {

/// "what would fit: max_model_len 24,576; tensor_parallel_size 2; kv_cache_dtype fp8; GPU h200, b200": each alternative is sized by
/// memory_report(). "nothing that was tried" where none fits.
[[nodiscard]] std::string what_would_fit(const ModelSpec& model, const GpuSpec& gpu, const MemoryOptions& options,
                                         const MemoryReport& refused);

}  // namespace kvcast
