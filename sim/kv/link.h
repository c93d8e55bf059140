/// A link that carries KV blocks: PCIe, NVLink, a NIC, an SSD's bus. Bandwidth, latency, contention.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <vector>

#include "sim/base/units.h"

namespace kvcast {

/// A moment or a length of time in units of 2^-20 ns, as engines' clocks count.
using FineTime = Int128;
constexpr FineTime kFineNever = static_cast<FineTime>(std::numeric_limits<std::int64_t>::max()) << 40;

/// How flows that are on a link at once share it.
enum class LinkSharing : std::uint8_t {
  fifo,  // one after the other, in order of start (a DMA engine's queue)
  fair,  // each gets an equal part of the bandwidth (processor sharing: flows of a network)
};

/// A span of time in which nothing moves.
struct Outage {
  FineTime from = 0;
  FineTime until = 0;
};

/// One direction of a link; two directions that do not disturb each other are two links.
struct LinkSpec {
  double bytes_per_s = 0;  // 0: what is sent never arrives
  FineTime latency = 0;    // from the last byte's departure to its arrival; occupies nothing
  LinkSharing sharing = LinkSharing::fifo;
  std::vector<Outage> outages;  // apart, in order of time
};

/// Contract: event-driven and deterministic.
/// - start() and advance() are told of moments that never go back.
/// - A flow of b bytes alone takes b / bytes_per_s + latency. FIFO: it begins when those before it have left.
///   Fair: n flows progress at 1/n of the bandwidth each.
/// - FIFO is exact in units of 2^-20 ns. Fair sharing counts the service that each flow has had with 32
/// further bits, and
///   rounds a departure up to the next unit.
/// - next() is when the next flow arrives; advance(now) returns what has arrived by then, in order of (time,
/// id).
class Link {
 public:
  using Flow = std::uint64_t;
  struct Arrival {
    FineTime at = 0;
    Flow flow = 0;
  };

  explicit Link(LinkSpec spec);

  /// \param bytes at least 0
  Flow start(FineTime now, std::int64_t bytes);
  [[nodiscard]] FineTime next();
  /// The returned list is valid until the next call.
  const std::vector<Arrival>& advance(FineTime now);
  /// Takes a flow off, wherever it is; false: it has arrived or was never there.
  bool cancel(FineTime now, Flow flow);

  /// Time that one flow of so many bytes occupies the link alone; kFineNever for ever.
  [[nodiscard]] FineTime service(std::int64_t bytes) const;
  /// When a flow that starts now would arrive, were it the last to come; kFineNever: not at all.
  [[nodiscard]] FineTime estimate(FineTime now, std::int64_t bytes);
  [[nodiscard]] std::size_t flows() const { return on_link_.size() + in_the_air_.size(); }
  /// Time in which at least one flow was on the link, up to the last moment told of.
  [[nodiscard]] FineTime busy() const { return busy_; }
  [[nodiscard]] const LinkSpec& spec() const { return spec_; }

 private:
  struct OnLink {
    Flow flow;
    FineTime work;  // fifo: service left. fair: service level at which it leaves, in 2^-32 units
  };

  [[nodiscard]] FineTime moving_time(FineTime at) const;
  [[nodiscard]] FineTime moment_of(FineTime moving) const;
  [[nodiscard]] std::size_t first_to_leave() const;
  [[nodiscard]] FineTime departure_of(std::size_t i) const;
  void serve_until(FineTime moving);

  LinkSpec spec_;
  std::deque<OnLink> on_link_;      // in order of start
  std::deque<Arrival> in_the_air_;  // have left, in order of arrival
  std::vector<Arrival> arrived_;
  FineTime served_until_ = 0;  // on the clock that stands still in outages
  FineTime level_ = 0;         // fair: service that a flow on the link since ever has had, in 2^-32 units
  FineTime busy_ = 0;
  Flow next_flow_ = 1;
};

}  // namespace kvcast
