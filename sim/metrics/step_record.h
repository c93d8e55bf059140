/// One engine step as decision logs tell it (`--decisions`).
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/units.h"
#include "sim/step_timer.h"

namespace kvcast {

/// Who ran in a step, and what the pool looked like before and after its output was processed.
struct StepRecord {
  struct Entry {
    RequestId id{};
    std::int64_t n = 0;         // tokens scheduled
    std::int64_t computed = 0;  // tokens that had KV before the step
    bool admitted = false;      // entered in this step
    std::int64_t drafts = 0;    // of n, under verification
    bool gives_token = false;   // the step makes a token of it
  };
  struct Drafted {
    RequestId id{};
    std::int64_t scheduled = 0;
    std::int64_t accepted = 0;
  };
  ReplicaId replica{};
  std::int64_t index = 0;  // of the replica's steps
  Instant begin;           // when it was planned
  Instant device_begin;    // when it started
  Instant device_end;      // when its output was there
  StepShape shape;
  FineDuration copying{};   // of device_end - device_begin: blocks moved to and from host memory, or copied
  FineDuration awaiting{};  // likewise: layers' KV on its way from below the GPU's memory
  std::int64_t output_known = -1;  // the last step whose output had been processed when it was planned
  std::vector<Entry> scheduled;
  std::vector<RequestId> preempted;
  std::vector<RequestId> finished;
  std::vector<Drafted> drafted;  // speculation
  std::int64_t running = 0;
  std::int64_t waiting = 0;
  Blocks free_scheduled;  // after scheduling
  Blocks free_updated;    // after the step's output was processed
};

/// Contract: receives the steps of each replica in order; a run of decode steps is told step by step.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  virtual void on_step(const StepRecord& step) = 0;
  /// A sequence's load from below the GPU's memory has ended; it is told when that happens.
  virtual void on_load(ReplicaId /*replica*/, RequestId /*id*/, Instant /*begin*/, Instant /*end*/) {}
  /// The KV of a request has come from the replica that computed its prompt; told when it has. \param replica
  /// where the request goes on
  virtual void on_transfer(ReplicaId /*replica*/, RequestId /*id*/, Instant /*begin*/, Instant /*end*/) {}
};

}  // namespace kvcast
