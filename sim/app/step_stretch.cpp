#include "sim/app/step_stretch.h"

#include <algorithm>

namespace kvcast {
namespace {

constexpr std::int64_t kSteps = 120;
constexpr std::int64_t kStepsBefore = 10'000;  // walked at most, on all replicas together, to get there

StepShape shape_of(const StepRecord& step) {
  StepShape shape;
  for (const StepRecord::Entry& entry : step.scheduled) {
    shape.tokens += entry.n;
    ++shape.sampled;
    if (entry.n == 1 && entry.computed > 0) {
      ++shape.decode_seqs;
      shape.decode_context += entry.computed + 1;
    } else {
      ++shape.prefill_seqs;
      shape.prefill_context += entry.computed + entry.n;
      shape.prefill_pairs += entry.n * entry.computed + entry.n * (entry.n + 1) / 2;
    }
  }
  return shape;
}

class StretchObserver final : public StepObserver {
 public:
  StretchObserver(const StepTimer& timer, Instant first_arrival, Duration from)
      : timer_(timer), first_arrival_(first_arrival), from_(from) {}

  void on_step(const StepRecord& step) override {
    if (step.replica != ReplicaId{} || spans_.size() >= static_cast<std::size_t>(kSteps)) return;
    const Duration begin = step.device_begin - first_arrival_;
    if (begin < from_ || step.scheduled.empty()) return;
    // The device is free again when the next step begins, which swapping may put off.
    if (!spans_.empty()) spans_.back().time = std::min(spans_.back().time, begin - spans_.back().begin);
    const StepShape shape = shape_of(step);
    StepSpan span;
    span.index = step.index;
    span.begin = begin;
    span.time = Duration{static_cast<std::int64_t>(timer_.step(shape).time.count() >> kFineBits)};
    span.prompt_tokens = shape.tokens - shape.decode_seqs;
    span.prompts = shape.prefill_seqs;
    span.decodes = shape.decode_seqs;
    span.running = step.running;
    span.waiting = step.waiting;
    span.preempted = static_cast<std::int64_t>(step.preempted.size());
    span.finished = static_cast<std::int64_t>(step.finished.size());
    spans_.push_back(span);
  }
  [[nodiscard]] std::vector<StepSpan> take() { return std::move(spans_); }

 private:
  const StepTimer& timer_;
  Instant first_arrival_;
  Duration from_;
  std::vector<StepSpan> spans_;
};

}  // namespace

std::vector<StepSpan> find_step_stretch(const Experiment& experiment, const RunRecord& record) {
  if (record.steps.steps == 0 || record.completed == 0) return {};
  const Duration length = record.last_token - record.first_arrival;
  const Duration per_step = length / record.steps.steps;  // of all replicas together
  const Duration from = std::min(length / 2, per_step * kStepsBefore);
  ClusterSetup cluster = experiment.cluster;
  cluster.set_path(StepPath::step_by_step);
  // Twice the stretch at the average pace: steps differ.
  const Duration until = from + per_step * (2 * kSteps * cluster.replicas_of_all_pools()) + Duration{1};
  const Instant cut = record.first_arrival + until;
  cluster.sim_time_max = cut.time_since_epoch();
  if (experiment.cluster.sim_time_max)
    cluster.sim_time_max = std::min(*cluster.sim_time_max, *experiment.cluster.sim_time_max);
  StretchObserver observer(*experiment.timer, record.first_arrival, from);
  RunHooks hooks;
  hooks.steps = &observer;
  (void)run(cluster, experiment.workload.make_source, *experiment.timer, hooks, 1);
  return observer.take();
}

}  // namespace kvcast
