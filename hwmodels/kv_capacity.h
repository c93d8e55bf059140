/// How many blocks a number of bytes gives, what the engine reports of them, and the longest request that
/// fits.
#pragma once

#include <cstdint>
#include <string>

#include "hwmodels/engine_profile.h"
#include "hwmodels/kv_layout.h"

namespace kvcast {

struct KvCapacity {
  std::int64_t blocks_total = 0;  // null block included
  std::int64_t blocks_usable = 0;
  std::int64_t blocks_per_request = 0;  // of max_model_len, as the engine counts them
  std::int64_t bytes_per_request = 0;
  double max_concurrency = 0;  // as the engine reports it
  std::int64_t tokens_reported = 0;
  std::int64_t tokens_capacity =
      0;              // held at once by requests of max_model_len that are decoding, in the usable blocks
  bool fits = false;  // one request of max_model_len passes the engine's check
  std::int64_t fits_max_model_len = 0;  // the longest that passes; 0: none
};

/// \param blocks_override the pool's size when positive, in place of available_bytes / bytes per block
[[nodiscard]] KvCapacity size_kv_pool(const KvLayout& layout, const KvOptions& options,
                                      const EngineProfile& profile, std::int64_t available_bytes,
                                      std::int64_t max_model_len, std::int64_t blocks_override);

}  // namespace kvcast
