/// KV on its way between replicas: each has a rate out and a rate in, which the transfers under way share.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "sim/kv/link.h"

namespace kvcast {

/// What a replica's NICs carry, all together; infinity: no limit.
struct PortRates {
  double out_bytes_per_s = 0;
  double in_bytes_per_s = 0;
};

/// Contract: event-driven and deterministic; told of moments that never go back.
/// - Transfers under way share rates max-min fairly, as flows of a network with congestion control do
/// (progressive filling:
///   Bertsekas and Gallager, "Data Networks", 2nd ed., sec. 6.5.2): at the replica that leaves its transfers
///   least, they get equal parts; what they do not use elsewhere is divided among the others.
/// - A transfer is a chain of parts. A part is sent when it is ready and those before it have left; the
/// transfer arrives when
///   its last part has left and `latency` has passed, and later than it was begun.
/// - A part of b bytes with nothing beside it takes b / rate, to 2^-20 ns.
class KvNetwork {
 public:
  using Transfer = std::uint64_t;
  struct Arrival {
    FineTime at = 0;
    Transfer transfer = 0;
  };

  KvNetwork(std::vector<PortRates> ports, FineTime latency);

  /// \param from, to replicas
  Transfer open(FineTime now, std::size_t from, std::size_t to);
  /// A further part. \param ready from when on it may be sent, not before now
  void add(FineTime now, Transfer transfer, FineTime ready, std::int64_t bytes);
  /// It has no further parts.
  void close(FineTime now, Transfer transfer);

  /// When a transfer may arrive or something else happens; kFineNever: nothing is under way.
  [[nodiscard]] FineTime next() const { return next_; }
  /// What has arrived by then, in order of (time, transfer); valid until the next call.
  const std::vector<Arrival>& advance(FineTime now);

  [[nodiscard]] std::size_t under_way() const { return transfers_.size(); }

 private:
  struct Part {
    FineTime ready;
    std::int64_t bytes;
  };
  struct State {
    Transfer transfer;
    std::size_t from, to;
    FineTime begun;
    std::deque<Part> parts;  // the first may be on its way
    bool sending = false;
    bool closed = false;
    double left = 0;  // bytes of the part on its way, at `since`
    double rate = 0;  // bytes a second, from then on
    FineTime since = 0;
    FineTime end = kFineNever;  // of the part on its way
  };

  [[nodiscard]] State& state(Transfer transfer);
  void step_to(FineTime at);
  [[nodiscard]] bool finish_parts(FineTime at);
  [[nodiscard]] bool begin_parts(FineTime at);
  void land(FineTime at);
  void share(FineTime at);
  void set_rate(State& transfer, double rate, FineTime at);
  void find_next();

  std::vector<PortRates> ports_;
  FineTime latency_;
  std::vector<State> transfers_;     // in order of begin
  std::vector<Arrival> in_the_air_;  // in order of (time, transfer)
  std::vector<Arrival> arrived_;
  FineTime next_ = kFineNever;
  Transfer next_transfer_ = 1;
  // Of share(); out ports, then in ports.
  std::vector<double> free_;
  std::vector<std::int64_t> open_;
};

}  // namespace kvcast
