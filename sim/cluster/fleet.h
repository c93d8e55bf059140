/// Replicas that come and go: late starts, drains, failures, hangs, slow-downs, rolling upgrades and scaling.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <vector>

#include "sim/base/rng.h"
#include "sim/base/units.h"
#include "sim/cluster/fleet_setup.h"
#include "sim/metrics/fleet_record.h"

namespace kvcast {

/// What a fleet does to a cluster, and asks of it. Replicas by number.
class FleetHost {
 public:
  virtual ~FleetHost() = default;
  /// The router may send it requests, or no longer.
  virtual void open(std::size_t i, bool open) = 0;
  /// The engine is lost with all that it holds; an empty one takes its place, closed.
  virtual void renew(std::size_t i, Instant now) = 0;
  virtual void hold(std::size_t i, bool held, Instant now) = 0;
  virtual void slow_down(std::size_t i, double factor) = 0;
  [[nodiscard]] virtual bool is_empty(std::size_t i) const = 0;
  /// Adds what a look at the engine sees to a sample.
  virtual void look(std::size_t i, Instant now, ScaleSample& sample) = 0;
  /// Adds what is known of the whole cluster: requests at the router, arrivals, first tokens.
  virtual void look_at_all(ScaleSample& sample) = 0;
};

/// Contract: next() is the time of what happens next, act() makes it happen; times never go back. Everything
/// that is drawn comes from streams named by replica and kind, in the order of that replica's own troubles.
class Fleet {
 public:
  /// \param replicas that may ever be
  Fleet(const FleetSetup& setup, std::size_t replicas, FleetHost& host);

  /// Opens the replicas that are ready at the start.
  void begin();
  [[nodiscard]] std::optional<Instant> next();
  /// The first of what happens next.
  void act();
  /// The last request inside a replica has ended. \param at not before now
  void emptied(std::size_t i, Instant at);
  [[nodiscard]] const RetryPolicy& retry() const { return setup_.retry; }
  [[nodiscard]] FleetRecord& record() { return record_; }

 private:
  enum class State : std::uint8_t { off, loading, ready, draining, repairing };
  enum class Kind : std::uint8_t {
    script,
    ready,
    repaired,
    drained,
    drain_timeout,
    hang_ends,
    taken_out,
    slow_ends,
    random_failure,
    random_hang,
    random_slowdown,
    look
  };
  struct Timer {
    Instant at;
    std::uint64_t order;
    Kind kind;
    std::size_t replica;   // or number of the event
    std::uint64_t number;  // of the replica's life, or of its hang or slow-down; stale where that is over
    friend bool operator<(const Timer& a, const Timer& b) {
      return a.at != b.at ? a.at < b.at : a.order < b.order;
    }
  };
  struct Streams {
    RandomStream failures, hangs, slowdowns;
  };
  struct Replica {
    State state = State::off;
    bool hung = false;
    bool slow = false;
    bool starts_again = false;  // after draining
    std::uint64_t life = 0;     // counts engines
    std::uint64_t hang = 0;     // counts hangs
    std::uint64_t slowdown = 0;
    std::uint64_t start_no = 0;  // order of starts
    Streams streams;
  };

  void set_timer(Instant at, Kind kind, std::size_t replica, std::uint64_t number);
  void set_timer(Instant at, Kind kind, std::size_t i) { set_timer(at, kind, i, replicas_[i].life); }
  [[nodiscard]] bool is_stale(const Timer& timer) const;
  void note(Instant now, std::size_t i, FleetEventKind kind);
  void count_levels(Instant now);

  void act_on(const Timer& timer);
  void script(const FleetEvent& event);
  void start(std::size_t i, Instant now);
  void load(std::size_t i, Instant now);
  void become_ready(std::size_t i, Instant now);
  void drain(std::size_t i, Instant now, bool starts_again);
  void end_drain(std::size_t i, Instant now);
  void fail(std::size_t i, Instant now, std::optional<Duration> repair);
  void hang(std::size_t i, Instant now, std::optional<Duration> lasts);
  void end_hang(std::size_t i, Instant now);
  void take_out(std::size_t i, Instant now);
  void slow(std::size_t i, Instant now, double factor, std::optional<Duration> lasts);
  void end_slow(std::size_t i, Instant now);
  void stop(std::size_t i, Instant now);
  void end_life(std::size_t i, Instant now);
  void upgrade_next(Instant now);
  void draw_troubles(std::size_t i, Instant now);
  void draw(std::size_t i, Instant now, Kind kind);
  void random_trouble(std::size_t i, Instant now, Kind kind);
  void scale(Instant now);
  void scale_to(std::int64_t wanted, std::int64_t current, Instant now);
  [[nodiscard]] std::optional<std::size_t> newest(State state) const;

  const FleetSetup& setup_;
  FleetHost& host_;
  std::vector<Replica> replicas_;
  std::set<Timer> timers_;
  std::uint64_t timers_set_ = 0;
  std::uint64_t starts_ = 0;
  std::deque<std::size_t> upgrades_;      // replicas that an upgrade has not come to
  std::optional<std::size_t> upgrading_;  // and the one that it is at
  std::optional<Autoscaler> autoscaler_;
  FleetRecord record_;
};

}  // namespace kvcast
