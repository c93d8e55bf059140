#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "sim/app/explain.h"
#include "sim/app/first_requests.h"
#include "sim/cluster/prompt_content.h"
#include "sim/kv/content_chain.h"

namespace kvcast {
namespace {

/// Passes requests on and notes how much of each prompt an earlier request had asked for or been answered
/// with: what a cache without bounds, shared by all replicas, would have.
class PrefixWatch final : public RequestSource {
 public:
  /// \param known filled; by number of the request, tokens
  PrefixWatch(std::unique_ptr<RequestSource> source, std::int64_t unit, std::vector<std::int64_t>& known)
      : source_(std::move(source)), unit_(unit), known_(known) {}

  std::optional<Instant> next_arrival() override { return source_->next_arrival(); }
  bool has_feedback() const override { return source_->has_feedback(); }
  void finished(RequestId id, Instant when) override { source_->finished(id, when); }
  Request take() override {
    Request request = source_->take();
    const auto number = static_cast<std::size_t>(to_number(request.id));
    if (number >= known_.size()) known_.resize(number + 1, 0);
    Content content = content_of(request);
    if (content.is_private) return request;
    ContentChain chain(std::move(content), unit_);
    const auto in_prompt = static_cast<std::size_t>((request.input.value - 1) / unit_);
    const auto in_all = static_cast<std::size_t>((request.input + request.output).value / unit_);
    std::size_t found = 0;
    while (found < in_prompt && seen_.count(chain.hash(found)) > 0) ++found;
    for (std::size_t i = found; i < in_all; ++i) seen_.insert(chain.hash(i));
    known_[number] = static_cast<std::int64_t>(found) * unit_;
    return request;
  }

 private:
  std::unique_ptr<RequestSource> source_;
  std::int64_t unit_;
  std::vector<std::int64_t>& known_;
  std::unordered_set<std::uint64_t> seen_;
};

/// Tells the breakdown, and the trace where there is one.
class Observers final : public StepObserver, public RequestObserver {
 public:
  Observers(Breakdown& breakdown, StepTrace* trace) : breakdown_(breakdown), trace_(trace) {}
  void on_step(const StepRecord& step) override {
    breakdown_.on_step(step);
    if (trace_ != nullptr) trace_->on_step(step);
  }
  void on_load(ReplicaId replica, RequestId id, Instant begin, Instant end) override {
    breakdown_.on_load(replica, id, begin, end);
    if (trace_ != nullptr) trace_->on_load(replica, id, begin, end);
  }
  void on_transfer(ReplicaId replica, RequestId id, Instant begin, Instant end) override {
    breakdown_.on_transfer(replica, id, begin, end);
    if (trace_ != nullptr) trace_->on_transfer(replica, id, begin, end);
  }
  void on_request(const RequestRow& row) override {
    breakdown_.on_request(row);
    if (trace_ != nullptr) trace_->on_request(row);
  }

 private:
  Breakdown& breakdown_;
  StepTrace* trace_;
};

}  // namespace

TimerOf timer_of(const Experiment& experiment) {
  std::vector<const StepTimer*> timers;  // by replica
  timers.resize(static_cast<std::size_t>(experiment.cluster.replicas), experiment.timer.get());
  for (const PoolSetup& pool : experiment.cluster.further_pools)
    timers.resize(timers.size() + static_cast<std::size_t>(pool.replicas), pool.timer.get());
  return [timers = std::move(timers)](ReplicaId replica) -> const StepTimer& {
    return *timers[to_index(replica)];
  };
}

void limit_requests(Experiment& experiment, std::int64_t requests_max) {
  if (requests_max <= 0) return;
  experiment.clients = [all = experiment.clients, requests_max] {
    return std::make_unique<FirstRequests>(all(), requests_max);
  };
  experiment.workload.make_source = experiment.frontend.none()
                                        ? experiment.clients
                                        : with_frontend(experiment.clients, experiment.frontend);
}

ExplainedRun run_explained(const Experiment& experiment, StepTrace* trace,
                           const std::function<void(std::int64_t)>& progress) {
  ClusterSetup cluster = experiment.cluster;
  cluster.set_path(StepPath::step_by_step);
  std::vector<std::int64_t> known;
  BreakdownOptions options;
  options.frontend_after = experiment.frontend.after;
  options.frontend_before = [frontend = experiment.frontend](Tokens input) {
    return frontend.before_engine(input);
  };
  options.computed_before = [&known](RequestId id) {
    const auto number = static_cast<std::size_t>(to_number(id));
    return Tokens{number < known.size() ? known[number] : 0};
  };
  Breakdown breakdown(timer_of(experiment), options);
  Observers observers(breakdown, trace);
  RunHooks hooks;
  hooks.requests = &observers;
  hooks.steps = &observers;
  hooks.progress = progress;
  const std::int64_t unit = std::max<std::int64_t>(1, cluster.engine.pool.block_size.value);
  ExplainedRun explained;
  explained.record = run(
      cluster, [&] { return std::make_unique<PrefixWatch>(experiment.workload.make_source(), unit, known); },
      *experiment.timer, hooks);
  if (explained.record.arrived == 0)
    throw InputError("the workload holds no request: " + experiment.workload.description, ExitCode::bad_data);
  breakdown.finish();
  explained.requests = breakdown.requests();
  explained.device = breakdown.device();
  return explained;
}

std::vector<HbmLine> hbm_lines(const Forecast& forecast) {
  std::vector<HbmLine> lines;
  std::int64_t kv = 0;
  for (const BudgetLine& line : forecast.budget) {
    kv += line.bytes;
    if (line.bytes < 0) lines.push_back({line.item, -line.bytes, line.source});
  }
  if (lines.empty() || kv <= 0 || forecast.facts.blocks_total <= 0) return {};
  const Timeline& timeline = forecast.record->timeline;
  Int128 used = 0, tokens = 0;
  for (const TimelinePoint& point : timeline.points) {
    used += point.blocks_used;
    tokens += point.tokens_resident;
  }
  const Int128 blocks = static_cast<Int128>(std::max<std::size_t>(1, timeline.points.size())) *
                        forecast.facts.blocks_total * forecast.facts.replicas;
  const auto used_bytes = static_cast<std::int64_t>(std::min<Int128>(kv, kv * used / blocks));
  const Int128 slots = used * forecast.facts.tokens_per_block();
  const std::int64_t held_bytes =
      forecast.facts.groups > 1 || slots == 0
          ? used_bytes
          : static_cast<std::int64_t>(std::min<Int128>(used_bytes, used_bytes * tokens / slots));
  lines.push_back({"KV cache: tokens of requests inside", held_bytes, "mean over the run"});
  if (used_bytes > held_bytes)
    lines.push_back(
        {"KV cache: unfilled slots of their blocks", used_bytes - held_bytes, "mean over the run"});
  lines.push_back({"KV cache: free or kept for reuse", kv - used_bytes, "mean over the run"});
  return lines;
}

}  // namespace kvcast
