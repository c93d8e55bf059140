/// How many blocks a number of bytes gives, what the engine reports of them, and the longest request that
/// fits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/engine_profile.h"
#include "hwmodels/kv_layout.h"

namespace kvcast {

/// One of the two pools that a split cache has: of layers that keep every token, or of those that do not
/// (windows, chunks, recurrent states).
struct KvPool {
  bool bounded = false;
  std::int64_t blocks_usable = 0;
  std::int64_t blocks_per_request = 0;  // of max_model_len
  double max_concurrency = 0;
};

/// How the blocks are divided between the two.
struct PoolSplit {
  std::optional<double> bounded_share;  // none: as one request of max_model_len needs them
};

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
  std::vector<KvPool> pools;            // of a split cache; empty: all blocks are one pool's
  double bounded_share = 0;             // of a split cache, in force
};

/// \param blocks_override the pool's size when positive, in place of available_bytes / bytes per block
[[nodiscard]] KvCapacity size_kv_pool(const KvLayout& layout, const KvOptions& options,
                                      const EngineProfile& profile, std::int64_t available_bytes,
                                      std::int64_t max_model_len, std::int64_t blocks_override);

/// Divides the usable blocks between two pools; concurrency, tokens and the check become those of the pool
/// that is full first. \throws InputError where the layers are all of one kind, or a pool would have no block
void split_kv_pool(const KvLayout& layout, const KvOptions& options, const PoolSplit& split,
                   std::int64_t max_model_len, KvCapacity& capacity);

}  // namespace kvcast
