// The event loop of a cluster whose prompts and answers are made by different replicas (Zhong et al. 2024,
// "DistServe"; Patel et al. 2024, "Splitwise"; Qin et al. 2025, "Mooncake"). At one moment output comes
// first, then KV that has arrived, then requests, then new plans. What a router learns of an engine it knows
// in the next whole nanosecond, as clients do; a transfer between engines begins at once.
#include "sim/cluster/disaggregated.h"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <vector>

#include "sim/cluster/kv_peer.h"
#include "sim/cluster/prefix_index.h"
#include "sim/cluster/recorder.h"
#include "sim/cluster/wakes.h"
#include "sim/engine/event_queue.h"

namespace kvcast {
namespace {

constexpr std::size_t kPrefill = 0, kDecode = 1;

/// The replicas of one pool and the router in front of them.
struct Stage {
  std::size_t first = 0;
  std::unique_ptr<Router> router;
  RouterNeeds needs;
  std::vector<ReplicaLoad> loads;
};

RouterSetup router_setup(const Pools& pools, std::size_t pool) {
  RouterSetup all = pools.router_setup();
  const std::size_t first = pool == kPrefill ? 0 : static_cast<std::size_t>(pools.setup(kPrefill).replicas);
  const auto begin = all.replicas.begin() + static_cast<std::ptrdiff_t>(first);
  all.replicas =
      std::vector<ReplicaFacts>(begin, begin + static_cast<std::ptrdiff_t>(pools.setup(pool).replicas));
  return all;
}

const RouterMaker& router_of(const Pools& pools, std::size_t pool) {
  const ClusterSetup& setup = pools.setup(kPrefill);
  return pool == kPrefill ? setup.router : setup.disaggregation->decode_router;
}

/// A request that two replicas serve.
struct UnderWay {
  std::size_t prefill = 0, decode = 0;  // replicas
  bool decode_picked = false;
  Request request;  // to be moved on with it
  Tokens input;
  Reserved reserved;
  Prefilled prefilled;
  KvNetwork::Transfer transfer = 0;  // 0: not begun
  FineInstant begun;
  Tokens sent;  // of the prompt, what is cached where it decodes included
  KvTransfer total;
};

class StagedCluster {
 public:
  StagedCluster(const Pools& pools, RequestSource& source, const RunHooks& hooks)
      : setup_(pools.setup(kPrefill)),
        plan_(*setup_.disaggregation),
        source_(source),
        hooks_(hooks),
        events_(pools.replicas()),
        network_(std::vector<PortRates>(pools.replicas(), plan_.rates), plan_.latency),
        door_(ReplicaId{0}, setup_, hooks, Blocks{0}) {
    KVCAST_CHECK(pools.count() == 2 && plan_.block_bytes > 0 && plan_.layers >= 1);
    if (setup_.sim_time_max) cutoff_ = FineInstant{kStart + *setup_.sim_time_max};
    for (const std::size_t p : {kPrefill, kDecode}) {
      Stage& stage = stages_[p];
      const EngineSetup& engine = pools.setup(p).engine;
      KVCAST_CHECK(engine.role == (p == kPrefill ? Role::prefill : Role::decode));
      stage.first = replicas_.size();
      stage.router = router_of(pools, p)(router_setup(pools, p));
      stage.needs = stage.router->needs();
      for (std::int64_t i = 0; i < pools.setup(p).replicas; ++i) {
        const auto id = static_cast<ReplicaId>(replicas_.size());
        replicas_.push_back(engine.make(id, pools.setup(p), pools.timer(p), hooks));
        peers_.push_back(replicas_.back()->peer());
        KVCAST_CHECK(peers_.back() != nullptr);
        stage.loads.emplace_back().blocks = engine.pool.blocks.value;
      }
    }
    const bool counts_hits = plan_.decode_caches && plan_.local_prompt_max > Tokens{0};
    if (counts_hits) sent_.emplace(router_setup(pools, kDecode), PrefixKnowledge::approximate);
  }

  void run() {
    for (;;) {
      const std::optional<Instant> sent = source_.next_arrival();
      const bool hands = !handovers_.empty() && (!sent || handovers_.front().at <= *sent);
      const std::optional<Instant> arrival = hands ? handovers_.front().at : sent;
      const std::optional<FineInstant> event = next_event();
      const bool settled =
          (!arrival || FineInstant{*arrival} > wakes_.latest()) && (!event || *event > wakes_.latest());
      if (!wakes_.empty() && settled) {
        start_pending();
      } else if (event && (!arrival || *event <= FineInstant{*arrival})) {
        if (past_cutoff(*event)) break;
        take_event(*event);
      } else if (arrival) {
        if (past_cutoff(FineInstant{*arrival})) break;
        hands ? hand_over() : arrive();
      } else {
        break;
      }
    }
    for (const auto& replica : replicas_) replica->stop(cutoff_);
    for (Handover& handover : handovers_) {
      if (handover.to_prefill) continue;  // where it will decode it is known
      door_.taken_over(handover.request);
      door_.unfinished(door_.track_of(std::move(handover.request)));
    }
  }

  /// Of all replicas, in order, and of requests that were on their way from one to the other.
  [[nodiscard]] RunRecord merged(const Pools& pools) {
    RunRecord total;
    std::vector<RunRecord> of_pools(2);
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
      total.merge(replicas_[i]->record());
      of_pools[pools.pool_of(i)].merge(replicas_[i]->record());
    }
    total.merge(door_.record());
    of_pools[kDecode].transfers.local = total.transfers.local = local_;
    total.set_pools(std::move(of_pools));
    return total;
  }

 private:
  /// A request that goes to its next replica.
  struct Handover {
    Instant at;
    bool to_prefill = false;
    Request request;
  };

  [[nodiscard]] bool past_cutoff(FineInstant time) const { return cutoff_ && time > *cutoff_; }
  [[nodiscard]] Instant known_behind(FineInstant now) const { return now.floor() + Duration{1}; }
  [[nodiscard]] KvPeer& peer(std::size_t i) { return *peers_[i]; }

  [[nodiscard]] std::optional<FineInstant> next_event() const {
    std::optional<FineInstant> next;
    if (!events_.empty()) next = events_.top_time();
    if (network_.next() >= kFineNever) return next;
    const FineInstant network{network_.next()};
    return next && *next <= network ? next : std::optional(network);
  }

  void take_event(FineInstant now) {
    if (!events_.empty() && events_.top_time() == now) return complete(events_.top(), now);
    for (const KvNetwork::Arrival& arrival : network_.advance(now.value)) arrived(arrival.transfer, now);
  }

  // ---- Requests

  void arrive() {
    Request request = source_.take();
    if (hooks_.progress && (++arrived_ & 0xFFF) == 0) hooks_.progress(arrived_);
    const Instant now = request.arrival;
    const RequestId id = request.id;
    const bool one_stage = setup_.engine.tells_first && ends_with_first_token(request, setup_.engine);
    const bool reserves = plan_.push && !one_stage;
    UnderWay way;
    way.input = request.input;
    if (reserves || plan_.local_prompt_max > Tokens{0}) {
      way.decode = pick(kDecode, request, now);
      way.decode_picked = true;
      if (stays_local(request, way.decode)) {
        ++local_;
        return enter(kDecode, way.decode, std::move(request));
      }
    }
    way.request = copy_of(request);
    UnderWay& kept = under_way_.insert_or_assign(id, std::move(way)).first->second;
    if (reserves) return await(kept, std::move(request), true);
    kept.prefill = pick(kPrefill, request, now);
    enter(kPrefill, kept.prefill, std::move(request));
  }

  /// Whether the prompt is so short, or so much of it has been sent there before, that it is computed where
  /// it decodes.
  [[nodiscard]] bool stays_local(const Request& request, std::size_t decode) {
    if (plan_.local_prompt_max == Tokens{0}) return false;
    std::int64_t held = 0;
    if (sent_) {
      const std::size_t i = decode - stages_[kDecode].first;
      sent_->look_up(request, stages_[kDecode].loads);
      held = std::min(sent_->matched(i), request.input.value - 1);
      sent_->insert(i);
    }
    return request.input - Tokens{held} <= plan_.local_prompt_max;
  }

  /// The first of those that go on has its moment.
  void hand_over() {
    Handover handover = std::move(handovers_.front());
    handovers_.pop_front();
    Request request = std::move(handover.request);
    request.delay_before += handover.at - request.arrival;
    request.arrival = handover.at;
    UnderWay& way = under_way_.at(request.id);
    if (handover.to_prefill) {
      way.prefill = pick(kPrefill, request, handover.at);
      const Tokens input = request.input;
      KVCAST_CHECK(peer(way.prefill).enqueue_for(std::move(request)));  // where it decodes has taken it
      joined(kPrefill, way.prefill, input);
      act(way.prefill, FineInstant{handover.at});
      return;
    }
    if (!way.decode_picked) way.decode = pick(kDecode, request, handover.at);
    await(way, std::move(request), false);
  }

  [[nodiscard]] std::size_t pick(std::size_t pool, const Request& request, Instant now) {
    Stage& stage = stages_[pool];
    if (stage.needs.scrape_interval > Duration{}) {
      for (std::size_t i = 0; i < stage.loads.size(); ++i)
        stage.loads[i].scraped = replicas_[stage.first + i]->metrics_before(FineInstant{now});
    }
    if (stage.needs.held_prefix) {
      for (std::size_t i = 0; i < stage.loads.size(); ++i)
        stage.loads[i].held_prefix = replicas_[stage.first + i]->held_prefix(request, FineInstant{now});
    }
    const std::optional<ReplicaId> picked = stage.router->pick(request, stage.loads);
    KVCAST_CHECK(picked && to_index(*picked) < stage.loads.size());
    return stage.first + to_index(*picked);
  }

  /// One replica serves the request, or begins with its prompt and answers for it.
  void enter(std::size_t pool, std::size_t i, Request&& request) {
    const FineInstant now{request.arrival};
    const RequestId id = request.id;
    const Tokens input = request.input;
    if (!replicas_[i]->enqueue(std::move(request))) return refused(id, now);
    inputs_[id] = input;
    joined(pool, i, input);
    act(i, now);
  }

  /// The request waits for its KV where it will decode.
  void await(UnderWay& way, Request&& request, bool first_seen) {
    const FineInstant now{request.arrival};
    const RequestId id = request.id;
    const std::size_t decode = way.decode;
    if (!peer(decode).enqueue_awaiting(std::move(request), first_seen)) {
      if (!first_seen) {
        const std::size_t prefill = way.prefill;
        peer(prefill).release(id, now);
        act(prefill, now);
      }
      return refused(id, now);
    }
    inputs_[id] = way.input;
    joined(kDecode, decode, way.input);
    act(decode, now);
  }

  void refused(RequestId id, FineInstant now) {
    under_way_.erase(id);
    inputs_.erase(id);
    source_.finished(id, now.floor() + setup_.delay_after + Duration{1});
  }

  void joined(std::size_t pool, std::size_t i, Tokens input) {
    ReplicaLoad& load = stages_[pool].loads[i - stages_[pool].first];
    ++load.requests;
    load.prompt_tokens += input.value;
  }
  void left(std::size_t i, Tokens input) {
    Stage& stage = stages_[i < stages_[kDecode].first ? kPrefill : kDecode];
    ReplicaLoad& load = stage.loads[i - stage.first];
    --load.requests;
    load.prompt_tokens -= input.value;
  }

  // ---- Steps

  void complete(std::size_t i, FineInstant now) {
    events_.clear(i);
    replicas_[i]->complete();
    for (const RequestId id : replicas_[i]->finished()) {
      const auto input = inputs_.find(id);
      left(i, input->second);
      inputs_.erase(input);
      under_way_.erase(id);
      source_.finished(id, now.floor() + setup_.delay_after + Duration{1});
    }
    for (const Prefilled& done : peer(i).prefilled()) prefilled(i, done, now);
    wakes_.wake(i, now);
  }

  void prefilled(std::size_t i, const Prefilled& done, FineInstant now) {
    UnderWay& way = under_way_.at(done.id);
    left(i, way.input);
    way.prefilled = done;
    if (!plan_.push) {
      handovers_.push_back({known_behind(now), false, std::move(way.request)});
      return;
    }
    if (!plan_.by_layers) send(done.id, way, way.input, now, now);
    KVCAST_CHECK(way.sent == way.input);
    network_.close(now.value, way.transfer);
  }

  /// A replica may start a step at `now`, or learns at `now` of something in the midst of one.
  void act(std::size_t i, FineInstant now) {
    if (replicas_[i]->busy()) {
      events_.set(i, replicas_[i]->cut(now));
    } else {
      wakes_.wake(i, now);
    }
  }

  void start_pending() {
    wakes_.start_all([this](std::size_t i, FineInstant now) {
      if (cutoff_ && now >= *cutoff_) return;
      if (const auto end = replicas_[i]->plan(now)) events_.set(i, *end);
      for (const Reserved& reserved : peer(i).take_reserved()) room_taken(reserved, now);
      for (const Streamed& part : peer(i).take_streamed()) streamed(part, now);
    });
  }

  // ---- KV

  /// There is room for a request's KV where it will decode.
  void room_taken(const Reserved& reserved, FineInstant now) {
    UnderWay& way = under_way_.at(reserved.id);
    way.reserved = reserved;
    way.sent = reserved.cached;
    if (plan_.push) {
      handovers_.push_back({known_behind(now), true, std::move(way.request)});
      return;
    }
    send(reserved.id, way, way.input, now, now);
    network_.close(now.value, way.transfer);
  }

  /// A step computes a part of a prompt: each layer's KV can leave when the step has passed it.
  void streamed(const Streamed& part, FineInstant now) {
    if (!plan_.by_layers) return;
    UnderWay& way = under_way_.at(part.id);
    if (part.before > way.sent) send(part.id, way, part.before, part.begin, now);  // the prefix cache had it
    if (part.until <= way.sent) return;
    const std::int64_t bytes = bytes_until(part.until) - bytes_until(way.sent);
    const std::int64_t last = bytes / plan_.layers;
    const Int128 layer = (part.end - part.begin) / plan_.layers;
    if (plan_.layers > 1) send_bytes(part.id, way, bytes - last, part.begin + layer, now);
    send_bytes(part.id, way, plan_.layers > 1 ? last : bytes, part.end, now);
    way.sent = part.until;
  }

  /// Whole blocks.
  [[nodiscard]] std::int64_t bytes_until(Tokens tokens) const {
    return ceil_div(tokens.value, plan_.block_tokens.value) * plan_.block_bytes;
  }

  void send(RequestId id, UnderWay& way, Tokens until, FineInstant ready, FineInstant now) {
    if (until <= way.sent) return;
    send_bytes(id, way, bytes_until(until) - bytes_until(way.sent), ready, now);
    way.sent = until;
  }

  void send_bytes(RequestId id, UnderWay& way, std::int64_t bytes, FineInstant ready, FineInstant now) {
    if (way.transfer == 0) {
      way.transfer = network_.open(now.value, way.prefill, way.decode);
      transfers_.emplace(way.transfer, id);
      way.total.begin = ready;
    }
    network_.add(now.value, way.transfer, std::max(ready, now).value, bytes);
    way.total.bytes += bytes;
  }

  void arrived(KvNetwork::Transfer transfer, FineInstant now) {
    const auto at = transfers_.find(transfer);
    const RequestId id = at->second;
    transfers_.erase(at);
    UnderWay& way = under_way_.at(id);
    way.total.end = now;
    way.total.tokens = way.input - way.reserved.cached;
    const std::size_t prefill = way.prefill, decode = way.decode;
    peer(decode).receive(way.reserved.seq, way.prefilled, way.total);
    peer(prefill).release(id, now);
    under_way_.erase(id);
    act(decode, now);
    act(prefill, now);
  }

  const ClusterSetup& setup_;
  const Disaggregation& plan_;
  RequestSource& source_;
  const RunHooks& hooks_;
  Stage stages_[2];
  std::optional<PrefixIndex> sent_;  // to those that decode, where it decides
  std::vector<std::unique_ptr<Engine>> replicas_;
  std::vector<KvPeer*> peers_;  // of each
  EventQueue events_;
  KvNetwork network_;
  std::unordered_map<RequestId, UnderWay> under_way_;
  std::unordered_map<RequestId, Tokens> inputs_;  // of requests that some replica will tell the end of
  std::unordered_map<KvNetwork::Transfer, RequestId> transfers_;
  std::deque<Handover> handovers_;  // in order of time
  Recorder door_;
  Wakes wakes_;
  std::optional<FineInstant> cutoff_;
  std::int64_t arrived_ = 0;
  std::int64_t local_ = 0;
};

}  // namespace

RunRecord run_disaggregated(const Pools& pools, RequestSource& source, const RunHooks& hooks) {
  StagedCluster cluster(pools, source, hooks);
  cluster.run();
  return cluster.merged(pools);
}

Duration scrape_interval_of(const Pools& pools, std::size_t pool) {
  return router_of(pools, pool)(router_setup(pools, pool))->needs().scrape_interval;
}

}  // namespace kvcast
