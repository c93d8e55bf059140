/// The traffic of a comparison's cells: how other samples of it are had, and the samples where they are
/// resampled from requests in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/app/scenario.h"
#include "sim/plan/replication.h"

namespace kvcast {

/// One cell's input.
struct CellScenario {
  std::string scenario;
  std::vector<Setting> settings;  // all of them
};

/// Contract: cells whose workload is the same share one copy of its requests, and equal indices give equal
/// samples. Only by_blocks keeps requests.
class CellTraffics {
 public:
  /// by_seed where another seed gives another sample in every cell; by_blocks where traces are among them and
  /// no traffic waits for the server; else by_outcomes. A cell that cannot be read decides nothing. \param
  /// requests_max cells with more are judged by outcomes
  CellTraffics(const std::vector<CellScenario>& cells, std::uint64_t seed, std::size_t requests_max);

  [[nodiscard]] Replicating replicating() const { return replicating_; }
  /// The cell's traffic, by blocks alone. Null where the cell could not be read
  [[nodiscard]] const TrafficResampler* resampler(std::size_t cell) const { return of_cell_[cell].get(); }

 private:
  void read_all(const std::vector<CellScenario>& cells, std::uint64_t seed, std::size_t requests_max);

  Replicating replicating_ = Replicating::by_outcomes;
  std::vector<std::shared_ptr<const TrafficResampler>> of_cell_;
};

}  // namespace kvcast
