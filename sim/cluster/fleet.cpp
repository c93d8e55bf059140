#include "sim/cluster/fleet.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "sim/base/error.h"

namespace kvcast {
namespace {

/// The first scripted event of a replica is a start: until then it is not there.
bool starts_late(const FleetSetup& setup, std::size_t i) {
  for (const FleetEvent& event : setup.events) {
    if (event.action != FleetAction::upgrade && event.replica == i) return event.action == FleetAction::start;
  }
  return false;
}

RandomStream stream_of(const FleetSetup& setup, const char* kind, std::size_t i) {
  return {setup.seed, std::string("fleet/") + kind + "/" + std::to_string(i)};
}

/// At least a nanosecond, so that times move on.
Duration drawn(RandomStream& stream, Duration mean) {
  const double ns = stream.exponential(static_cast<double>(mean.count()));
  constexpr double kLongest = 4e18;
  return std::max(Duration{1}, Duration{std::llround(std::min(ns, kLongest))});
}

/// Never, where the sum is beyond all times.
Instant later(Instant at, Duration by) { return by > kNever - at ? kNever : at + by; }

}  // namespace

Fleet::Fleet(const FleetSetup& setup, std::size_t replicas, FleetHost& host) : setup_(setup), host_(host) {
  KVCAST_CHECK(setup.replicas >= 0 && static_cast<std::size_t>(setup.replicas) <= replicas);
  for (std::size_t i = 0; i < replicas; ++i) {
    replicas_.push_back({.streams = {stream_of(setup, "failures", i), stream_of(setup, "hangs", i),
                                     stream_of(setup, "slowdowns", i)}});
  }
  if (setup.autoscaler) autoscaler_.emplace(*setup.autoscaler);
}

void Fleet::begin() {
  for (std::size_t i = 0; i < static_cast<std::size_t>(setup_.replicas); ++i) {
    if (starts_late(setup_, i)) continue;
    Replica& replica = replicas_[i];
    replica.state = State::ready;
    replica.start_no = ++starts_;
    host_.open(i, true);
    draw_troubles(i, kStart);
  }
  for (std::size_t e = 0; e < setup_.events.size(); ++e) set_timer(setup_.events[e].at, Kind::script, e, 0);
  if (autoscaler_) set_timer(kStart + autoscaler_->setup().interval, Kind::look, 0, 0);
  count_levels(kStart);
}

std::optional<Instant> Fleet::next() {
  while (!timers_.empty() && is_stale(*timers_.begin())) timers_.erase(timers_.begin());
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->at;
}

void Fleet::act() {
  KVCAST_CHECK(next().has_value());
  const Timer timer = *timers_.begin();
  timers_.erase(timers_.begin());
  act_on(timer);
  count_levels(timer.at);
}

void Fleet::set_timer(Instant at, Kind kind, std::size_t replica, std::uint64_t number) {
  timers_.insert({at, timers_set_++, kind, replica, number});
}

bool Fleet::is_stale(const Timer& timer) const {
  switch (timer.kind) {
    case Kind::script:
    case Kind::look:
      return false;
    case Kind::hang_ends:
    case Kind::taken_out:
      return !replicas_[timer.replica].hung || replicas_[timer.replica].hang != timer.number;
    case Kind::slow_ends:
      return !replicas_[timer.replica].slow || replicas_[timer.replica].slowdown != timer.number;
    case Kind::ready:
    case Kind::repaired:
    case Kind::drained:
    case Kind::drain_timeout:
    case Kind::random_failure:
    case Kind::random_hang:
    case Kind::random_slowdown:
      return replicas_[timer.replica].life != timer.number;
  }
  KVCAST_CHECK(false);
}

void Fleet::act_on(const Timer& timer) {
  const std::size_t i = timer.replica;
  const Instant now = timer.at;
  switch (timer.kind) {
    case Kind::script:
      return script(setup_.events[i]);
    case Kind::ready:
      return become_ready(i, now);
    case Kind::repaired:
      return load(i, now);
    case Kind::drained:
    case Kind::drain_timeout:
      return end_drain(i, now);
    case Kind::hang_ends:
      return end_hang(i, now);
    case Kind::taken_out:
      return take_out(i, now);
    case Kind::slow_ends:
      return end_slow(i, now);
    case Kind::random_failure:
      return fail(i, now, drawn(replicas_[i].streams.failures, setup_.failures->mttr));
    case Kind::random_hang:
    case Kind::random_slowdown:
      return random_trouble(i, now, timer.kind);
    case Kind::look:
      return scale(now);
  }
}

void Fleet::script(const FleetEvent& event) {
  switch (event.action) {
    case FleetAction::start:
      return start(event.replica, event.at);
    case FleetAction::drain:
      return drain(event.replica, event.at, false);
    case FleetAction::fail:
      return fail(event.replica, event.at, event.lasts);
    case FleetAction::hang:
      return hang(event.replica, event.at, event.lasts);
    case FleetAction::slow:
      return slow(event.replica, event.at, event.factor, event.lasts);
    case FleetAction::upgrade:
      for (std::size_t i = 0; i < replicas_.size(); ++i) {
        const bool listed = std::find(upgrades_.begin(), upgrades_.end(), i) != upgrades_.end();
        if (replicas_[i].state == State::ready && !listed) upgrades_.push_back(i);
      }
      if (!upgrading_) upgrade_next(event.at);
      return;
  }
}

// ---- One replica

void Fleet::start(std::size_t i, Instant now) {
  if (replicas_[i].state == State::off) load(i, now);
}

void Fleet::load(std::size_t i, Instant now) {
  Replica& replica = replicas_[i];
  replica.state = State::loading;
  replica.start_no = ++starts_;
  note(now, i, FleetEventKind::starts);
  set_timer(later(now, setup_.load_time), Kind::ready, i);
}

void Fleet::become_ready(std::size_t i, Instant now) {
  replicas_[i].state = State::ready;
  note(now, i, FleetEventKind::ready);
  host_.open(i, true);
  draw_troubles(i, now);
  if (upgrading_ == i) upgrade_next(now);
}

void Fleet::drain(std::size_t i, Instant now, bool starts_again) {
  Replica& replica = replicas_[i];
  if (replica.state == State::loading && !starts_again) return stop(i, now);
  if (replica.state != State::ready) return;
  replica.state = State::draining;
  replica.starts_again = starts_again;
  note(now, i, FleetEventKind::drains);
  host_.open(i, false);
  if (host_.is_empty(i)) return end_drain(i, now);
  if (setup_.drain_timeout) set_timer(later(now, *setup_.drain_timeout), Kind::drain_timeout, i);
}

void Fleet::emptied(std::size_t i, Instant at) {
  if (replicas_[i].state == State::draining) set_timer(at, Kind::drained, i);
}

void Fleet::end_drain(std::size_t i, Instant now) {
  KVCAST_CHECK(replicas_[i].state == State::draining);
  const bool again = replicas_[i].starts_again;
  end_life(i, now);
  again ? load(i, now) : stop(i, now);
}

/// The engine is gone, and with it everything that was to happen to it.
void Fleet::end_life(std::size_t i, Instant now) {
  Replica& replica = replicas_[i];
  if (replica.state == State::ready) host_.open(i, false);
  if (replica.slow) host_.slow_down(i, 1);
  replica.hung = replica.slow = replica.starts_again = false;
  ++replica.life;
  host_.renew(i, now);
}

void Fleet::stop(std::size_t i, Instant now) {
  Replica& replica = replicas_[i];
  if (replica.state == State::loading) ++replica.life;
  replica.state = State::off;
  note(now, i, FleetEventKind::stops);
  if (upgrading_ == i) upgrade_next(now);
}

/// \param repair none: it gives its GPUs back
void Fleet::fail(std::size_t i, Instant now, std::optional<Duration> repair) {
  Replica& replica = replicas_[i];
  if (replica.state == State::off || replica.state == State::repairing) return;
  note(now, i, FleetEventKind::fails);
  const bool leaves = replica.state == State::draining && !replica.starts_again;
  if (replica.state == State::loading) {
    ++replica.life;
  } else {
    end_life(i, now);
  }
  if (leaves || !repair) return stop(i, now);
  replica.state = State::repairing;
  set_timer(later(now, *repair), Kind::repaired, i);
}

void Fleet::hang(std::size_t i, Instant now, std::optional<Duration> lasts) {
  Replica& replica = replicas_[i];
  if (replica.hung || (replica.state != State::ready && replica.state != State::draining)) return;
  note(now, i, FleetEventKind::hangs);
  replica.hung = true;
  ++replica.hang;
  host_.hold(i, true, now);
  const Instant end = lasts ? later(now, *lasts) : kNever;
  if (end != kNever) set_timer(end, Kind::hang_ends, i, replica.hang);
  if (!setup_.health_check) return;
  // Probes are at whole multiples of the interval; the first that fails is not before the hang.
  const HealthCheck& check = *setup_.health_check;
  const std::int64_t first = (now - kStart + check.interval - Duration{1}) / check.interval;
  const Instant noticed = kStart + check.interval * (first + check.failures - 1) + check.timeout;
  if (noticed < end) set_timer(noticed, Kind::taken_out, i, replica.hang);
}

void Fleet::end_hang(std::size_t i, Instant now) {
  replicas_[i].hung = false;
  note(now, i, FleetEventKind::recovers);
  host_.hold(i, false, now);
}

void Fleet::take_out(std::size_t i, Instant now) {
  note(now, i, FleetEventKind::taken_out);
  const bool leaves = replicas_[i].state == State::draining && !replicas_[i].starts_again;
  end_life(i, now);
  leaves ? stop(i, now) : load(i, now);
}

void Fleet::slow(std::size_t i, Instant now, double factor, std::optional<Duration> lasts) {
  Replica& replica = replicas_[i];
  if (replica.state != State::ready && replica.state != State::draining) return;
  note(now, i, FleetEventKind::slows);
  replica.slow = true;
  ++replica.slowdown;
  host_.slow_down(i, factor);
  if (lasts) set_timer(later(now, *lasts), Kind::slow_ends, i, replica.slowdown);
}

void Fleet::end_slow(std::size_t i, Instant now) {
  replicas_[i].slow = false;
  note(now, i, FleetEventKind::speeds_up);
  host_.slow_down(i, 1);
}

/// One after another; a replica that is not ready when its turn comes starts anew anyway, or not at all.
void Fleet::upgrade_next(Instant now) {
  upgrading_.reset();
  while (!upgrades_.empty()) {
    const std::size_t i = upgrades_.front();
    upgrades_.pop_front();
    if (replicas_[i].state != State::ready) continue;
    upgrading_ = i;
    drain(i, now, true);
    return;
  }
}

// ---- Random troubles

void Fleet::draw_troubles(std::size_t i, Instant now) {
  if (setup_.failures) draw(i, now, Kind::random_failure);
  if (setup_.hangs) draw(i, now, Kind::random_hang);
  if (setup_.slowdowns) draw(i, now, Kind::random_slowdown);
}

/// A hang or a slow-down; the next one is drawn from its end.
void Fleet::random_trouble(std::size_t i, Instant now, Kind kind) {
  const bool hangs = kind == Kind::random_hang;
  Streams& streams = replicas_[i].streams;
  const Duration lasts =
      hangs ? drawn(streams.hangs, setup_.hangs->mttr) : drawn(streams.slowdowns, setup_.slowdowns->mttr);
  draw(i, later(now, lasts), kind);
  hangs ? hang(i, now, lasts) : slow(i, now, setup_.slowdowns->factor, lasts);
}

void Fleet::draw(std::size_t i, Instant now, Kind kind) {
  Streams& streams = replicas_[i].streams;
  RandomStream& stream = kind == Kind::random_failure ? streams.failures
                         : kind == Kind::random_hang  ? streams.hangs
                                                      : streams.slowdowns;
  const RandomTrouble& trouble = kind == Kind::random_failure ? *setup_.failures
                                 : kind == Kind::random_hang  ? *setup_.hangs
                                                              : *setup_.slowdowns;
  set_timer(later(now, drawn(stream, trouble.mtbf)), kind, i);
}

// ---- Scaling

void Fleet::scale(Instant now) {
  set_timer(later(now, autoscaler_->setup().interval), Kind::look, 0, 0);
  ScaleSample sample;
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    const Replica& replica = replicas_[i];
    const bool leaves = replica.state == State::draining && !replica.starts_again;
    if (replica.state != State::off && !leaves) ++sample.current;
    if (replica.state != State::ready) continue;
    ++sample.ready;
    host_.look(i, now, sample);
  }
  host_.look_at_all(sample);
  scale_to(autoscaler_->look(now, sample), sample.current, now);
}

void Fleet::scale_to(std::int64_t wanted, std::int64_t current, Instant now) {
  for (std::size_t i = 0; i < replicas_.size() && current < wanted; ++i) {
    if (replicas_[i].state != State::off) continue;
    start(i, now);
    ++current;
  }
  for (; current > wanted; --current) {
    std::optional<std::size_t> leaves = newest(State::loading);
    if (!leaves) leaves = newest(State::ready);
    if (!leaves) return;  // the others are being repaired
    drain(*leaves, now, false);
  }
}

std::optional<std::size_t> Fleet::newest(State state) const {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    if (replicas_[i].state == state && (!found || replicas_[i].start_no > replicas_[*found].start_no))
      found = i;
  }
  return found;
}

// ---- Telling

void Fleet::note(Instant now, std::size_t i, FleetEventKind kind) {
  record_.events.push_back({now, static_cast<std::uint32_t>(i), kind});
}

void Fleet::count_levels(Instant now) {
  FleetLevel level;
  level.at = now;
  for (const Replica& replica : replicas_) {
    if (replica.state == State::ready) ++level.ready;
    if (replica.state != State::off) ++level.held;
  }
  if (!record_.levels.empty()) {
    const FleetLevel& last = record_.levels.back();
    if (last.ready == level.ready && last.held == level.held) return;
    if (last.at == now) record_.levels.pop_back();
  }
  record_.levels.push_back(level);
}

}  // namespace kvcast
