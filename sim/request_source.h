/// The only door between the simulator and workloads/.
#pragma once

#include <optional>

#include "sim/request.h"

namespace kvcast {

/// Contract: a lazy stream of requests in order of arrival (ties in order of id).
/// - next_arrival() is the arrival of the next request that is known now; nullopt when none is. In an
/// open-loop source that is
///   the end; in a feedback source more may come after finished().
/// - take() removes and returns that request; its ids count up from 0 without gaps (delays in front of the engine,
/// sim/cluster/frontend.h, may let one overtake another). Only valid when next_arrival() has a value.
/// - A feedback source (closed loop, sessions with think time) is told of every end by finished(), in order
/// of time, and never
///   makes a request arrive before `when`, the first whole nanosecond after the end that caused it.
/// \throws InputError (exit code 4) from next_arrival() at the first line it cannot read.
class RequestSource {
 public:
  virtual ~RequestSource() = default;
  [[nodiscard]] virtual std::optional<Instant> next_arrival() = 0;
  [[nodiscard]] virtual Request take() = 0;
  [[nodiscard]] virtual bool has_feedback() const { return false; }
  virtual void finished(RequestId /*id*/, Instant /*when*/) {}
};

}  // namespace kvcast
