/// What one tier of KV below the GPU's memory did in a run.
#pragma once

#include <cstdint>
#include <string>

#include "sim/base/units.h"

namespace kvcast {

/// Sums over replicas, but for a tier that they share: its capacity and peak are counted once.
struct TierTotals {
  std::string name;
  std::int64_t blocks_total = 0;
  std::int64_t blocks_used_max = 0;
  std::int64_t block_bytes = 0;
  std::int64_t loads = 0;        // transfers to the GPU that arrived, one a request and tier
  std::int64_t blocks_read = 0;  // by them
  std::int64_t loads_lost = 0;   // transfers that a failure of the tier ended
  std::int64_t loads_open = 0;   // under way at the end of the run
  std::int64_t loads_begun = 0;  // = loads + loads_lost + loads_open
  std::int64_t blocks_written = 0;
  std::int64_t blocks_evicted = 0;
  std::int64_t blocks_expired = 0;
  std::int64_t blocks_lost = 0;  // by failures
  Int128 read_busy_fine = 0;     // in FineDuration units
  Int128 write_busy_fine = 0;

  void merge(const TierTotals& other) {
    blocks_total += other.blocks_total;
    blocks_used_max += other.blocks_used_max;
    loads += other.loads;
    blocks_read += other.blocks_read;
    loads_lost += other.loads_lost;
    loads_open += other.loads_open;
    loads_begun += other.loads_begun;
    blocks_written += other.blocks_written;
    blocks_evicted += other.blocks_evicted;
    blocks_expired += other.blocks_expired;
    blocks_lost += other.blocks_lost;
    read_busy_fine += other.read_busy_fine;
    write_busy_fine += other.write_busy_fine;
  }
};

}  // namespace kvcast
