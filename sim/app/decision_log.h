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
/// - `i` number of the step, `t` its start in microseconds (with up to three decimals where it is between
/// two);
/// - `s` scheduled requests in order: `[id, tokens, tokens computed before]`, `[.., .., .., cached]` when
/// admitted in this step, or a bare `id`,
///   short for one token on top of what its last entry left;
/// - `p` preempted requests (absent: none), `fs` free blocks after scheduling, `R` and `W` running and
/// waiting, `f` requests finished by the
///   step's output (absent: none), `fu` free blocks after it;
/// - asynchronous engines: `u` last step whose output had been processed when the step was planned (-1:
/// none), `g` when the device starts it;
/// - speculation: `sp` `[id, drafts scheduled, drafts accepted]` for each request with drafts;
/// - `replica`, first in the line, where there are several.
class DecisionLog : public StepObserver {
 public:
  struct Form {
    std::int64_t replicas = 1;
    bool asynchronous = false;
  };
  DecisionLog(OutputFile& out, Form form)
      : out_(out), asynchronous_(form.asynchronous), known_(static_cast<std::size_t>(form.replicas)) {}
  void on_step(const StepRecord& step) override;

 private:
  void append_scheduled(const StepRecord& step);

  OutputFile& out_;
  bool asynchronous_;
  std::string line_;
  std::vector<std::unordered_map<std::uint64_t, std::int64_t>>
      known_;  // by replica: computed tokens after each request's last entry
};

}  // namespace kvcast
