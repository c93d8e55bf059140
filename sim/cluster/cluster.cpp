#include "sim/cluster/cluster.h"

#include <algorithm>
#include <deque>
#include <thread>
#include <unordered_map>
#include <vector>

#include "sim/cluster/disaggregated.h"
#include "sim/cluster/engine.h"
#include "sim/cluster/fleet.h"
#include "sim/cluster/pools.h"
#include "sim/cluster/recorder.h"
#include "sim/cluster/slowed_timer.h"
#include "sim/cluster/wakes.h"
#include "sim/engine/event_queue.h"

namespace kvcast {
namespace {

/// Contract: one pass over a source. A cluster may be told to serve only some of its replicas (a share of the
/// threads); requests routed to others are dropped, which is right when the router reads no loads.
class Cluster final : private FleetHost {
 public:
  struct Share {
    std::size_t first = 0;
    std::size_t stride = 1;
  };

  Cluster(const Pools& pools, RequestSource& source, const RunHooks& hooks, Share share)
      : setup_(pools.setup(0)),
        source_(source),
        hooks_(hooks),
        router_(setup_.router(pools.router_setup())),
        needs_(router_->needs()),
        events_(pools.replicas()),
        loads_(pools.replicas()),
        door_(ReplicaId{0}, setup_, hooks, Blocks{0}) {
    if (setup_.admission) admission_.emplace(*setup_.admission);
    if (setup_.sim_time_max) cutoff_ = FineInstant{kStart + *setup_.sim_time_max};
    replicas_.resize(loads_.size());
    if (setup_.fleet) {
      for (std::size_t i = 0; i < replicas_.size(); ++i)
        slowed_.push_back(std::make_unique<SlowedTimer>(pools.timer(0)));
      fleet_.emplace(*setup_.fleet, replicas_.size(), static_cast<FleetHost&>(*this));
    }
    for (std::size_t i = share.first; i < replicas_.size(); i += share.stride) {
      const std::size_t pool = pools.pool_of(i);
      const EngineSetup& engine = pools.setup(pool).engine;
      replicas_[i] = engine.make(static_cast<ReplicaId>(i), pools.setup(pool),
                                 fleet_ ? *slowed_[i] : pools.timer(pool), hooks_);
      loads_[i].blocks = engine.pool.blocks.value * engine.ranks;
      loads_[i].open = !fleet_;
    }
  }

  /// Events in order of time; at equal times output first, then what happens to replicas, then arrivals, then
  /// new steps.
  void run() {
    if (fleet_) fleet_->begin();
    for (;;) {
      const std::optional<Instant> sent = source_.next_arrival();
      const bool retries = retry_at_ && (!sent || *retry_at_ <= *sent);
      const bool comes_back = !comebacks_.empty() && comes_before(comebacks_.front().arrival, retries, sent);
      const std::optional<Instant> arrival = comes_back ? comebacks_.front().arrival
                                             : retries  ? retry_at_
                                                        : sent;
      const std::optional<Instant> change = fleet_ ? next_change(arrival.has_value()) : std::nullopt;
      const bool change_first = change && (!arrival || *change <= *arrival);
      const std::optional<Instant> outside = change_first ? change : arrival;
      const bool outside_in = !outside || FineInstant{*outside} > wakes_.latest();
      const bool outputs_in = events_.empty() || events_.top_time() > wakes_.latest();
      if (!wakes_.empty() && outside_in && outputs_in) {
        start_pending();
        continue;
      }
      const bool event_first = !events_.empty() && (!outside || events_.top_time() <= FineInstant{*outside});
      if (!event_first && !outside) break;
      if (past_cutoff(event_first ? events_.top_time() : FineInstant{*outside})) break;
      if (event_first) {
        complete(events_.top());
      } else if (change_first) {
        change_fleet(*change);
      } else if (comes_back) {
        come_back();
      } else {
        retries ? retry() : arrive();
      }
    }
    stop();
  }

  /// Record of replica i; null where this share does not serve it.
  [[nodiscard]] RunRecord* record(std::size_t i) { return replicas_[i] ? &replicas_[i]->record() : nullptr; }
  /// Of requests that no replica ever saw, and of what became of the replicas.
  [[nodiscard]] RunRecord& door() {
    if (fleet_) door_.record().fleet = fleet_->record();
    return door_.record();
  }

 private:
  void stop() {
    for (const auto& replica : replicas_) {
      if (replica) replica->stop(cutoff_);
    }
    if (cutoff_ && !held_.empty()) scrape_door(*cutoff_);
    for (std::deque<Request>* left : {&held_, &comebacks_}) {
      for (Request& request : *left) {
        door_.arrived(request);
        door_.unfinished(door_.track_of(std::move(request)));
      }
    }
  }

  [[nodiscard]] bool past_cutoff(FineInstant time) const { return cutoff_ && time > *cutoff_; }

  void complete(std::size_t i) {
    const FineInstant now = events_.top_time();
    changes_alone_ = 0;
    events_.clear(i);
    replicas_[i]->complete();
    // A client knows of its answer in the next whole nanosecond: the engine has gone on by then, on every
    // replica alike.
    const Instant known = now.floor() + setup_.delay_after + Duration{1};
    for (const RequestId id : replicas_[i]->finished()) {
      leave(i, id, now);
      source_.finished(id, known);
    }
    if (!held_.empty() && !replicas_[i]->finished().empty() && !retry_at_)
      retry_at_ = now.floor() + Duration{1};
    wakes_.wake(i, now);
  }

  void arrive() {
    Request request = source_.take();
    ++arrived_;
    if (hooks_.progress && (arrived_ & 0xFFF) == 0) hooks_.progress(arrived_);
    read_metrics(request.arrival);
    if (admission_ && !admits(request)) return;
    ++inside_;
    enter(std::move(request));
  }

  void enter(Request&& request) {
    changes_alone_ = 0;
    const std::optional<ReplicaId> picked =
        held_.empty() ? pick(request, request.arrival) : std::optional<ReplicaId>{};
    if (picked) {
      place(to_index(*picked), std::move(request));
    } else {
      scrape_door(FineInstant{request.arrival});
      held_.push_back(std::move(request));
    }
  }

  /// Some request has ended: those that wait at the router may have a place now.
  void retry() {
    const Instant now = *retry_at_;
    retry_at_.reset();
    read_metrics(now);
    while (!held_.empty()) {
      const std::optional<ReplicaId> picked = pick(held_.front(), now);
      if (!picked) return;
      scrape_door(FineInstant{now});
      Request request = std::move(held_.front());
      held_.pop_front();
      request.delay_before += now - request.arrival;
      request.arrival = now;
      place(to_index(*picked), std::move(request));
    }
  }

  /// Those who wait at the router count as waiting, up to a moment at which their number changes.
  void scrape_door(FineInstant until) {
    door_.scrape(until, [this](FineInstant) {
      return TimelinePoint{.waiting = static_cast<std::int64_t>(held_.size())};
    });
  }

  /// What engines report, where the router or the admission reads it.
  void read_metrics(Instant now) {
    if (setup_.scrape_interval == Duration{}) return;
    for (std::size_t i = 0; i < replicas_.size(); ++i)
      loads_[i].scraped = replicas_[i]->metrics_before(FineInstant{now});
  }

  /// Who is refused hears of it at once.
  [[nodiscard]] bool admits(const Request& request) {
    const std::optional<Outcome> refused = admission_->refuses(request, inside_, loads_);
    if (!refused) return true;
    door_.arrived(request);
    door_.refused(request, *refused);
    source_.finished(request.id, request.arrival + setup_.delay_after + Duration{1});
    return false;
  }

  [[nodiscard]] std::optional<ReplicaId> pick(const Request& request, Instant now) {
    if (needs_.held_prefix) {
      for (std::size_t i = 0; i < replicas_.size(); ++i)
        loads_[i].held_prefix = replicas_[i]->held_prefix(request, FineInstant{now});
    }
    if (fleet_ && open_ == 0) return std::nullopt;
    const std::optional<ReplicaId> picked = router_->pick(request, loads_);
    KVCAST_CHECK(!picked || (to_index(*picked) < replicas_.size() && loads_[to_index(*picked)].open));
    return picked;
  }

  void place(std::size_t i, Request&& request) {
    if (!replicas_[i]) return;
    const Instant at = request.arrival;
    const RequestId id = request.id;
    const Tokens input = request.input;
    if (!replicas_[i]->enqueue(std::move(request))) {
      --inside_;
      source_.finished(id, at + setup_.delay_after + Duration{1});
      return;
    }
    ++loads_[i].requests;
    if (needs_.prompt_tokens) {
      loads_[i].prompt_tokens += input.value;
      prompts_.emplace(id, input);
    }
    const FineInstant now{at};
    if (replicas_[i]->busy()) {
      events_.set(i, replicas_[i]->cut(now));
    } else {
      wakes_.wake(i, now);
    }
  }

  /// A request ends on replica i.
  void leave(std::size_t i, RequestId id, FineInstant now) {
    --inside_;
    --loads_[i].requests;
    if (fleet_ && loads_[i].requests == 0) fleet_->emptied(i, now.floor() + Duration{1});
    forget_prompt(i, id);
  }

  void forget_prompt(std::size_t i, RequestId id) {
    if (!needs_.prompt_tokens) return;
    const auto prompt = prompts_.find(id);
    loads_[i].prompt_tokens -= prompt->second.value;
    prompts_.erase(prompt);
  }

  void start_pending() {
    wakes_.start_all([this](std::size_t i, FineInstant now) {
      if (cutoff_ && now >= *cutoff_) return;
      if (const auto end = replicas_[i]->plan(now)) events_.set(i, *end);
    });
  }

  // ---- Replicas that come and go

  /// Before the next retry, or else the next of the source.
  [[nodiscard]] bool comes_before(Instant comeback, bool retries, const std::optional<Instant>& sent) const {
    if (retries) return comeback < *retry_at_;
    return !sent || comeback < *sent;
  }

  /// What happens to replicas matters as long as something else may happen, or somebody waits for it. Then it
  /// may be for ever that nothing helps (looks of an autoscaler, troubles of other replicas): the run ends.
  [[nodiscard]] std::optional<Instant> next_change(bool arrivals) {
    constexpr std::int64_t kAloneMax = 100'000;
    const bool goes_on = arrivals || !events_.empty() || !wakes_.empty();
    if (!goes_on && (changes_alone_ >= kAloneMax || !somebody_waits())) return std::nullopt;
    return fleet_->next();
  }

  [[nodiscard]] bool somebody_waits() const {
    return !held_.empty() || std::any_of(loads_.begin(), loads_.end(),
                                         [](const ReplicaLoad& load) { return load.requests > 0; });
  }

  /// First all runs of steps are cut, as by an arrival, so that the output up to this moment is in.
  void change_fleet(Instant now) {
    if (cut_at_ != now) {
      cut_at_ = now;
      for (std::size_t i = 0; i < replicas_.size(); ++i) {
        if (replicas_[i]->busy()) events_.set(i, replicas_[i]->cut(FineInstant{now}));
      }
      return;
    }
    ++changes_alone_;
    fleet_->act();
  }

  void open(std::size_t i, bool open) override {
    KVCAST_CHECK(loads_[i].open != open);
    loads_[i].open = open;
    open_ += open ? 1 : -1;
    router_->changed(i, loads_);
    if (open && !held_.empty() && !retry_at_) retry_at_ = cut_at_;
  }

  void renew(std::size_t i, Instant now) override {
    std::vector<Request> again = replicas_[i]->fail(FineInstant{now}, fleet_->retry());
    if (events_.contains(i)) events_.clear(i);
    wakes_.forget(i);
    for (const RequestId id : replicas_[i]->finished()) {
      --inside_;
      --loads_[i].requests;
      forget_prompt(i, id);
      source_.finished(id, now + setup_.delay_after + Duration{1});
    }
    for (Request& request : again) {
      --loads_[i].requests;
      forget_prompt(i, request.id);
      const Instant back = now + fleet_->retry().delay;
      request.delay_before += back - request.arrival;
      request.arrival = back;
      comebacks_.push_back(std::move(request));
    }
    KVCAST_CHECK(loads_[i].requests == 0);
    std::unique_ptr<Engine> fresh =
        setup_.engine.make(static_cast<ReplicaId>(i), setup_, *slowed_[i], hooks_);
    std::swap(fresh->record(), replicas_[i]->record());  // it goes on with the replica's
    replicas_[i] = std::move(fresh);
  }

  void hold(std::size_t i, bool held, Instant now) override {
    replicas_[i]->hold(held);
    if (!held && !replicas_[i]->busy()) wakes_.wake(i, FineInstant{now});
  }

  void slow_down(std::size_t i, double factor) override { slowed_[i]->slow_down(factor); }
  [[nodiscard]] bool is_empty(std::size_t i) const override { return loads_[i].requests == 0; }

  void look(std::size_t i, Instant now, ScaleSample& sample) override {
    const TimelinePoint seen = replicas_[i]->look(FineInstant{now});
    sample.waiting += seen.waiting;
    sample.inside += loads_[i].requests;
    if (loads_[i].blocks > 0)
      sample.kv_usage_sum += static_cast<double>(seen.blocks_used) / static_cast<double>(loads_[i].blocks);
  }

  void look_at_all(ScaleSample& sample) override {
    sample.waiting += static_cast<std::int64_t>(held_.size());
    sample.inside += static_cast<std::int64_t>(held_.size());
    sample.arrived = arrived_;
    for (const auto& replica : replicas_) {
      sample.first_tokens += replica->record().ttft.count();
      sample.ttft_sum_ns += replica->record().ttft.sum_ns();
    }
  }

  void come_back() {
    Request request = std::move(comebacks_.front());
    comebacks_.pop_front();
    read_metrics(request.arrival);
    enter(std::move(request));
  }

  const ClusterSetup& setup_;
  RequestSource& source_;
  const RunHooks& hooks_;
  std::unique_ptr<Router> router_;
  RouterNeeds needs_;
  std::vector<std::unique_ptr<Engine>> replicas_;
  EventQueue events_;
  std::vector<ReplicaLoad> loads_;
  std::unordered_map<RequestId, Tokens> prompts_;  // of requests inside, where the router reads their tokens
  std::deque<Request> held_;                       // at the router
  std::optional<Instant> retry_at_;                // when to ask for them again
  Recorder door_;
  std::optional<Admission> admission_;
  std::int64_t inside_ = 0;  // requests that were let in and have not ended
  Wakes wakes_;
  std::optional<FineInstant> cutoff_;
  std::int64_t arrived_ = 0;
  std::optional<Fleet> fleet_;
  std::vector<std::unique_ptr<SlowedTimer>> slowed_;  // of each replica, where there is a fleet
  std::deque<Request> comebacks_;                     // requests to be sent again, in order of time
  std::int64_t open_ = 0;                             // replicas that take requests
  std::optional<Instant> cut_at_;                     // the last change for which runs were cut
  std::int64_t changes_alone_ = 0;                    // with nothing else between them
};

RunRecord merge(const std::vector<std::unique_ptr<Cluster>>& shares, const Pools& pools) {
  RunRecord total;
  std::vector<RunRecord> of_pools(pools.count() > 1 ? pools.count() : 0);
  for (std::size_t i = 0; i < pools.replicas(); ++i) {
    const RunRecord& record = *shares[i % shares.size()]->record(i);
    total.merge(record);
    if (!of_pools.empty()) of_pools[pools.pool_of(i)].merge(record);
  }
  if (shares.size() == 1) total.merge(shares.front()->door());
  total.set_pools(std::move(of_pools));
  return total;
}

RunRecord run_stages(const ClusterSetup& given, const SourceMaker& source, const StepTimer& timer,
                     const RunHooks& hooks) {
  ClusterSetup setup = given;
  const Pools probe(given, timer);
  setup.scrape_interval = scrape_interval_of(probe, 0);
  setup.disaggregation->scrape_interval = scrape_interval_of(probe, 1);
  return run_disaggregated(Pools(setup, timer), *source(), hooks);
}

}  // namespace

RunRecord run(const ClusterSetup& given, const SourceMaker& source, const StepTimer& timer,
              const RunHooks& hooks, unsigned threads) {
  KVCAST_CHECK(given.replicas >= 1);
  if (given.disaggregation) return run_stages(given, source, timer, hooks);
  const RouterNeeds needs = given.router(Pools(given, timer).router_setup())->needs();
  ClusterSetup setup = given;
  setup.scrape_interval = needs.scrape_interval;
  if (setup.admission && setup.admission->shedding) setup.scrape_interval = setup.admission->scrape_interval;
  if (setup.engine.tiers) setup.shared_tiers = std::make_shared<SharedTiers>(*setup.engine.tiers);
  const Pools pools(setup, timer);
  std::vector<std::unique_ptr<RequestSource>> sources;
  sources.push_back(source());
  const bool watched = hooks.requests != nullptr || hooks.steps != nullptr || hooks.sizes != nullptr;
  const bool shares_store = setup.engine.tiers && shares_a_store(*setup.engine.tiers);
  const bool apart = !watched && !sources.front()->has_feedback() && !needs.any() && !shares_store &&
                     !setup.admission && !setup.fleet;
  const std::size_t shares = apart ? std::clamp<std::size_t>(threads, 1, pools.replicas()) : 1;
  while (sources.size() < shares) sources.push_back(source());

  static const RunHooks silent;
  std::vector<std::unique_ptr<Cluster>> clusters;
  for (std::size_t k = 0; k < shares; ++k) {
    clusters.push_back(
        std::make_unique<Cluster>(pools, *sources[k], k == 0 ? hooks : silent, Cluster::Share{k, shares}));
  }
  std::vector<std::exception_ptr> failures(shares);
  std::vector<std::thread> workers;
  const auto work = [&](std::size_t k) {
    try {
      clusters[k]->run();
    } catch (...) {
      failures[k] = std::current_exception();
    }
  };
  for (std::size_t k = 1; k < shares; ++k) workers.emplace_back(work, k);
  work(0);
  for (std::thread& worker : workers) worker.join();
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return merge(clusters, pools);
}

}  // namespace kvcast
