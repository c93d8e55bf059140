#include "sim/cluster/cluster.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "sim/cluster/engine.h"
#include "sim/engine/event_queue.h"

namespace kvcast {
namespace {

/// Contract: one pass over a source. A cluster may be told to serve only some of its replicas (a share of the
/// threads); requests routed to others are dropped, which is right when the router reads no loads.
class Cluster {
 public:
  struct Share {
    std::size_t first = 0;
    std::size_t stride = 1;
  };

  Cluster(const ClusterSetup& setup, RequestSource& source, const StepTimer& timer, const RunHooks& hooks,
          Share share)
      : setup_(setup),
        source_(source),
        hooks_(hooks),
        router_(setup.router(setup.seed)),
        events_(static_cast<std::size_t>(setup.replicas)),
        loads_(static_cast<std::size_t>(setup.replicas)) {
    if (setup.sim_time_max) cutoff_ = FineInstant{kStart + *setup.sim_time_max};
    replicas_.resize(loads_.size());
    for (std::size_t i = share.first; i < replicas_.size(); i += share.stride) {
      replicas_[i] = setup.engine.make(static_cast<ReplicaId>(i), setup, timer, hooks_);
    }
  }

  /// Events in order of time; at equal times output first, then arrivals, then new steps.
  void run() {
    for (;;) {
      const std::optional<Instant> arrival = source_.next_arrival();
      const bool arrivals_in = !arrival || FineInstant{*arrival} > pending_time_;
      const bool outputs_in = events_.empty() || events_.top_time() > pending_time_;
      if (!pending_.empty() && arrivals_in && outputs_in) {
        start_pending();
        continue;
      }
      const bool event_first = !events_.empty() && (!arrival || events_.top_time() <= FineInstant{*arrival});
      if (event_first) {
        if (past_cutoff(events_.top_time())) break;
        complete(events_.top());
      } else if (arrival) {
        if (past_cutoff(FineInstant{*arrival})) break;
        arrive();
      } else {
        break;
      }
    }
    for (const auto& replica : replicas_) {
      if (replica) replica->stop(cutoff_);
    }
  }

  /// Record of replica i; null where this share does not serve it.
  [[nodiscard]] RunRecord* record(std::size_t i) { return replicas_[i] ? &replicas_[i]->record() : nullptr; }

 private:
  [[nodiscard]] bool past_cutoff(FineInstant time) const { return cutoff_ && time > *cutoff_; }

  void complete(std::size_t i) {
    const FineInstant now = events_.top_time();
    events_.clear(i);
    replicas_[i]->complete();
    // A client knows of its answer in the next whole nanosecond: the engine has gone on by then, on every
    // replica alike.
    const Instant known = now.floor() + setup_.delay_after + Duration{1};
    for (const RequestId id : replicas_[i]->finished()) {
      --loads_[i].requests;
      source_.finished(id, known);
    }
    wake(i, now);
  }

  void arrive() {
    Request request = source_.take();
    const Instant at = request.arrival;
    const RequestId id = request.id;
    const std::size_t i = to_index(router_->pick(request, loads_));
    KVCAST_CHECK(i < replicas_.size());
    if (hooks_.progress && (++arrived_ & 0xFFF) == 0) hooks_.progress(arrived_);
    if (!replicas_[i]) return;
    if (!replicas_[i]->enqueue(std::move(request))) {
      source_.finished(id, at + setup_.delay_after + Duration{1});
      return;
    }
    ++loads_[i].requests;
    const FineInstant now{at};
    if (replicas_[i]->busy()) {
      events_.set(i, replicas_[i]->cut(now));
    } else {
      wake(i, now);
    }
  }

  /// Replica i may start a step at `now`, once everything of that moment is in.
  void wake(std::size_t i, FineInstant now) {
    if (std::find(pending_.begin(), pending_.end(), i) != pending_.end()) return;
    pending_time_ = pending_.empty() ? now : std::max(pending_time_, now);
    pending_.push_back(i);
    wake_time_.push_back(now);
  }

  void start_pending() {
    for (std::size_t k = 0; k < pending_.size(); ++k) {
      if (cutoff_ && wake_time_[k] >= *cutoff_) continue;
      if (const auto end = replicas_[pending_[k]]->plan(wake_time_[k])) events_.set(pending_[k], *end);
    }
    pending_.clear();
    wake_time_.clear();
  }

  const ClusterSetup& setup_;
  RequestSource& source_;
  const RunHooks& hooks_;
  std::unique_ptr<Router> router_;
  std::vector<std::unique_ptr<Engine>> replicas_;
  EventQueue events_;
  std::vector<ReplicaLoad> loads_;
  std::vector<std::size_t> pending_;    // replicas that may start a step
  std::vector<FineInstant> wake_time_;  // of each
  FineInstant pending_time_;            // the latest of these
  std::optional<FineInstant> cutoff_;
  std::int64_t arrived_ = 0;
};

RunRecord merge(const std::vector<std::unique_ptr<Cluster>>& shares, std::size_t replicas) {
  RunRecord total;
  for (std::size_t i = 0; i < replicas; ++i) total.merge(*shares[i % shares.size()]->record(i));
  return total;
}

}  // namespace

RunRecord run(const ClusterSetup& setup, const SourceMaker& source, const StepTimer& timer,
              const RunHooks& hooks, unsigned threads) {
  KVCAST_CHECK(setup.replicas >= 1);
  const auto replicas = static_cast<std::size_t>(setup.replicas);
  std::vector<std::unique_ptr<RequestSource>> sources;
  sources.push_back(source());
  const bool watched = hooks.requests != nullptr || hooks.steps != nullptr;
  const bool apart = !watched && !sources.front()->has_feedback() && !setup.router(setup.seed)->reads_loads();
  const std::size_t shares = apart ? std::clamp<std::size_t>(threads, 1, replicas) : 1;
  while (sources.size() < shares) sources.push_back(source());

  static const RunHooks silent;
  std::vector<std::unique_ptr<Cluster>> clusters;
  for (std::size_t k = 0; k < shares; ++k) {
    clusters.push_back(std::make_unique<Cluster>(setup, *sources[k], timer, k == 0 ? hooks : silent,
                                                 Cluster::Share{k, shares}));
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
  return merge(clusters, replicas);
}

}  // namespace kvcast
