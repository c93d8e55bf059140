/// Writes what an SGLang engine decides as JSON lines, one a decision, in the form of SGLang's own decision
/// logs.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/sglang/observer.h"

namespace kvcast {

/// Contract: lines reach the sink in order. Equal decode steps are one line ("N" and "last"), so a line may
/// come a few decisions late; end() brings the rest. The engine's last idle moment is the line "end".
class SglangDecisionLines final : public SglangObserver {
 public:
  using Sink = std::function<void(std::string line)>;
  explicit SglangDecisionLines(Sink sink) : sink_(std::move(sink)) {}

  void on_step(const SglangStep& step) override { add(step, step, 1); }
  void on_decode_run(const SglangStep& first, const SglangStep& last, std::int64_t run) override;
  void on_retraction(const SglangRetraction& retraction) override;
  void on_result(const SglangResult& result) override;
  void on_idle(const SglangIdle& idle) override;
  void end();

  [[nodiscard]] std::int64_t steps() const { return steps_; }
  /// Of them, those that were told as part of a run in closed form.
  [[nodiscard]] std::int64_t steps_in_runs() const { return steps_in_runs_; }

 private:
  struct Run {
    SglangStep first;
    SglangStep last;
    std::int64_t steps;
    std::string members;  // how they differ from the step's before
  };

  void add(const SglangStep& first, const SglangStep& last, std::int64_t steps);
  void flush();
  [[nodiscard]] std::string member_changes(const std::vector<RequestId>& now);

  Sink sink_;
  std::vector<RequestId> members_;  // of the last decode or mixed step
  std::optional<Run> pending_;
  std::optional<SglangIdle> idle_;
  std::int64_t steps_ = 0;
  std::int64_t steps_in_runs_ = 0;
};

}  // namespace kvcast
