/// Every decision of the schedulers, for comparison with an engine's own log (`--decisions FILE`).
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/app/outputs.h"
#include "sim/metrics/step_record.h"

namespace kvcast {

/// Writes one JSON line a step:
/// - `i` number of the step, `t` its start in microseconds (with up to three decimals where it is between two);
/// - `s` scheduled requests in order: `[id, tokens, tokens computed before]`, `[.., .., .., cached]` when admitted in this step, or a bare `id`,
///   short for one token on top of what its last entry left;
/// - `p` preempted requests (absent: none), `fs` free blocks after scheduling, `R` and `W` running and waiting, `f` requests finished by the
///   step's output (absent: none), `fu` free blocks after it;
/// - `replica`, first in the line, where there are several.
class DecisionLog : public StepObserver {
 public:
  /// \param replicas of the cluster
  DecisionLog(OutputFile& out, std::int64_t replicas) : out_(out), known_(static_cast<std::size_t>(replicas)) {}
  void on_step(const StepRecord& step) override;

 private:
  OutputFile& out_;
  std::string line_;
  std::vector<std::unordered_map<std::uint64_t, std::int64_t>> known_;  // by replica: computed tokens after each request's last entry
};

}  // namespace kvcast
