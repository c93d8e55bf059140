/// A stretch of a run for a trace viewer: the steps of every replica, what requests were at, loads.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/base/units.h"
#include "sim/metrics/record.h"
#include "sim/metrics/step_record.h"

namespace kvcast {

struct TracedStep {
  ReplicaId replica{};
  Instant begin, end;
  StepShape shape;
  StepParts parts;
  std::int64_t running = 0, waiting = 0;
  Blocks free;
  std::int64_t preempted = 0;
};

enum class TracedKind : std::uint8_t { arriving, queued, prefill, decode, waiting, preempted };
[[nodiscard]] std::string_view name_of(TracedKind kind);

/// A piece of a request's time; consecutive pieces of one kind on one replica are one.
struct TracedPiece {
  RequestId id{};
  ReplicaId replica{};
  TracedKind kind{};
  Instant begin, end;
  std::int64_t steps = 0;
  std::int64_t tokens = 0;
};

/// KV that came from below a GPU's memory, or from another replica.
struct TracedLoad {
  ReplicaId replica{};
  RequestId id{};
  Instant begin, end;
  bool from_replica = false;
};

/// What is kept of a run; the rest is counted.
struct TraceWindow {
  Instant from = kStart;
  Instant until = kNever;
  std::int64_t requests_max = 1000;  // those with the smallest numbers that have a step in the window
  std::int64_t steps_max = 20'000;
};

/// Contract: watches a run that walks step by step; memory is bounded by the window's limits.
class StepTrace final : public StepObserver, public RequestObserver {
 public:
  StepTrace(const StepTimer& timer, const TraceWindow& window)
      : StepTrace([&timer](ReplicaId) -> const StepTimer& { return timer; }, window) {}
  StepTrace(TimerOf timer_of, const TraceWindow& window) : timer_of_(std::move(timer_of)), window_(window) {}

  void on_step(const StepRecord& step) override;
  void on_load(ReplicaId replica, RequestId id, Instant begin, Instant end) override;
  void on_transfer(ReplicaId replica, RequestId id, Instant begin, Instant end) override;
  void on_request(const RequestRow& row) override;

  [[nodiscard]] const std::vector<TracedStep>& steps() const { return steps_; }
  [[nodiscard]] const std::vector<TracedPiece>& pieces() const { return pieces_; }
  [[nodiscard]] const std::vector<TracedLoad>& loads() const { return loads_; }
  [[nodiscard]] std::int64_t steps_left_out() const { return steps_left_out_; }
  [[nodiscard]] std::int64_t requests_left_out() const { return static_cast<std::int64_t>(left_out_.size()); }

 private:
  struct Open {
    std::size_t piece = 0;  // index of its latest
    bool gave_way = false;
    bool told = false;  // its way to the engine has been added
  };

  [[nodiscard]] bool inside(Instant begin, Instant end) const {
    return end > window_.from && begin < window_.until;
  }
  void add(RequestId id, Open& open, const TracedPiece& piece);

  TimerOf timer_of_;
  TraceWindow window_;
  std::vector<TracedStep> steps_;
  std::vector<TracedPiece> pieces_;
  std::vector<TracedLoad> loads_;
  std::unordered_map<std::uint64_t, Open> open_;
  std::unordered_map<std::uint64_t, bool> left_out_;
  std::int64_t steps_left_out_ = 0;
};

}  // namespace kvcast
