#include "tests/support/explained.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "sim/base/shares.h"

namespace kvcast::test {
namespace {

constexpr std::size_t at(TimePart part) { return static_cast<std::size_t>(part); }

/// Tells two observers.
class Both final : public StepObserver, public RequestObserver {
 public:
  Both(Watcher& first, Breakdown& second) : first_(first), second_(second) {}
  void on_step(const StepRecord& step) override {
    first_.on_step(step);
    second_.on_step(step);
  }
  void on_load(ReplicaId replica, RequestId id, Instant begin, Instant end) override {
    second_.on_load(replica, id, begin, end);
  }
  void on_transfer(ReplicaId replica, RequestId id, Instant begin, Instant end) override {
    second_.on_transfer(replica, id, begin, end);
  }
  void on_request(const RequestRow& row) override {
    first_.on_request(row);
    second_.on_request(row);
  }

 private:
  Watcher& first_;
  Breakdown& second_;
};

/// What a plain walk over the steps says of a request.
struct Walked {
  bool started = false;
  Instant planned;
  Instant first_begin;
  Instant first_token;
  bool has_first = false;
  Instant last_end;
  std::int64_t in_steps_ns = 0;
  std::int64_t in_steps_to_first_ns = 0;
};

std::map<std::uint64_t, Walked> walk(const Explained& explained) {
  std::map<std::uint64_t, Walked> all;
  for (const StepRecord& step : explained.watcher.steps) {
    std::set<std::uint64_t> seen;
    for (const StepRecord::Entry& entry : step.scheduled) {
      const std::uint64_t id = to_number(entry.id);
      const auto row = explained.watcher.rows.find(id);
      if (row != explained.watcher.rows.end() && row->second.last_token != kNever && all[id].has_first &&
          step.device_begin >= row->second.last_token)
        continue;  // scheduled in vain: its last output was under way
      Walked& walked = all[id];
      if (!walked.started) {
        walked.started = true;
        walked.planned = step.begin;
        walked.first_begin = step.device_begin;
      }
      if (seen.insert(id).second) {  // in a pipeline, chunks of one prompt overlap
        const Instant from = std::max(step.device_begin, walked.last_end);
        walked.in_steps_ns += std::max<std::int64_t>(0, (step.device_end - from).count());
      }
      walked.last_end = std::max(walked.last_end, step.device_end);
      if (entry.gives_token && !walked.has_first) {
        walked.has_first = true;
        walked.first_token = step.device_end;
        walked.in_steps_to_first_ns = walked.in_steps_ns;
      }
    }
  }
  return all;
}

/// Parts that are time inside steps.
std::int64_t in_steps(const TimeParts& parts) {
  std::int64_t sum = 0;
  for (std::size_t i = at(TimePart::prefill_compute); i < kTimeParts; ++i) sum += parts[i];
  return sum - parts[at(TimePart::other_steps)] - parts[at(TimePart::preempted)];
}

std::string problem_of(const RequestTime& time, const RequestRow& row, const Walked& walked, bool loads) {
  const auto id = to_number(time.id);
  if (sum_of(time.ttft) != (row.first_token - row.arrival).count())
    return fmt::format("request {}: TTFT {} ns, its parts {}", id, (row.first_token - row.arrival).count(),
                       sum_of(time.ttft));
  if (sum_of(time.e2el) != (row.last_token - row.arrival).count())
    return fmt::format("request {}: E2E {} ns, its parts {}", id, (row.last_token - row.arrival).count(),
                       sum_of(time.e2el));
  if (sum_of(time.tpot()) != time.tpot_ns())
    return fmt::format("request {}: TPOT {} ns, its parts {}", id, time.tpot_ns(), sum_of(time.tpot()));
  for (std::size_t i = 0; i < kTimeParts; ++i) {
    if (time.ttft[i] < 0 || time.ttft[i] > time.e2el[i])
      return fmt::format("request {}: {} {} ns up to the first token, {} in all", id,
                         key_of(static_cast<TimePart>(i)), time.ttft[i], time.e2el[i]);
  }
  if (row.output == Tokens{1} && time.ttft != time.e2el && row.first_token == row.last_token)
    return fmt::format("request {}: one token, but its parts go on behind it", id);
  // Loads overlap with waiting and with steps: where there are any, only the sum is known from outside.
  if (loads) return "";
  if (in_steps(time.e2el) != walked.in_steps_ns)
    return fmt::format("request {}: {} ns in steps, the steps say {}", id, in_steps(time.e2el),
                       walked.in_steps_ns);
  if (in_steps(time.ttft) != walked.in_steps_to_first_ns)
    return fmt::format("request {}: {} ns in steps up to the first token, the steps say {}", id,
                       in_steps(time.ttft), walked.in_steps_to_first_ns);
  if (time.e2el[at(TimePart::queue)] != (row.scheduled - row.received).count())
    return fmt::format("request {}: queued {} ns, its row says {}", id, time.e2el[at(TimePart::queue)],
                       (row.scheduled - row.received).count());
  if (time.e2el[at(TimePart::launch)] != (walked.first_begin - walked.planned).count())
    return fmt::format("request {}: launched after {} ns", id, time.e2el[at(TimePart::launch)]);
  if (row.preemptions == 0 &&
      (time.e2el[at(TimePart::preempted)] != 0 || time.e2el[at(TimePart::recompute)] != 0))
    return fmt::format("request {}: never preempted, but has time of it", id);
  return "";
}

}  // namespace

StepParts SplitTimer::parts(const StepShape& shape) const {
  const StepCost cost = timer_.step(shape);
  const std::array<std::int64_t, kStepParts> weights = {shape.prefill_pairs,
                                                        17 + shape.tokens,
                                                        shape.decode_context,
                                                        shape.tokens,
                                                        shape.sampled,
                                                        shape.prefill_seqs,
                                                        3,
                                                        shape.draft_tokens,
                                                        1};
  StepParts parts;
  divide(cost.time.count(), weights.data(), parts.time.data(), kStepParts);
  divide(cost.hbm_bytes, weights.data(), parts.bytes.data(), kStepParts);
  return parts;
}

Explained explain_run(const ClusterSetup& setup, const SourceMaker& source, const StepTimer& timer,
                      const BreakdownOptions& options) {
  Explained explained;
  ClusterSetup stepped = setup;
  stepped.set_path(StepPath::step_by_step);
  const SplitTimer split(timer);
  std::vector<const StepTimer*> timers(static_cast<std::size_t>(setup.replicas), &split);
  for (PoolSetup& pool : stepped.further_pools) {
    explained.timers.push_back(pool.timer);
    pool.timer = std::make_shared<SplitTimer>(*explained.timers.back());
    timers.resize(timers.size() + static_cast<std::size_t>(pool.replicas), pool.timer.get());
  }
  Breakdown breakdown([&timers](ReplicaId id) -> const StepTimer& { return *timers[to_index(id)]; }, options);
  Both both(explained.watcher, breakdown);
  RunHooks hooks;
  hooks.requests = &both;
  hooks.steps = &both;
  explained.record = run(stepped, source, split, hooks);
  breakdown.finish();
  explained.requests = breakdown.requests();
  explained.device = breakdown.device();
  return explained;
}

std::string problem_of(const Explained& explained, const BreakdownOptions& options) {
  static_cast<void>(options);
  const bool loads = !explained.record.tiers.empty() || explained.record.transfers.transfers > 0;
  if (static_cast<std::int64_t>(explained.requests.size()) != explained.record.completed)
    return fmt::format("{} completed, {} explained", explained.record.completed, explained.requests.size());
  const std::map<std::uint64_t, Walked> walked = walk(explained);
  std::set<std::uint64_t> told;
  for (const RequestTime& time : explained.requests) {
    const std::uint64_t id = to_number(time.id);
    if (!told.insert(id).second) return fmt::format("request {} is explained twice", id);
    std::string problem = problem_of(time, explained.watcher.rows.at(id), walked.at(id), loads);
    if (!problem.empty()) return problem;
  }
  std::int64_t steps_ns = 0;
  for (const StepRecord& step : explained.watcher.steps)
    steps_ns += (step.device_end - step.device_begin).count();
  std::int64_t device_ns = explained.device.copying_ns + explained.device.awaiting_ns;
  for (const std::int64_t part : explained.device.time_ns) device_ns += part;
  if (device_ns != steps_ns) return fmt::format("devices: {} ns, steps {}", device_ns, steps_ns);
  for (const ExplainedStatistic& statistic : explain_statistics(explained.requests)) {
    if (sum_of(statistic.parts) != statistic.total_ns)
      return fmt::format("{} {}: {} ns, its parts {}", statistic.metric, statistic.statistic,
                         statistic.total_ns, sum_of(statistic.parts));
  }
  return "";
}

}  // namespace kvcast::test
