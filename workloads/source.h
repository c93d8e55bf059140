/// What the sources of this folder share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "sim/request_source.h"

namespace kvcast {

/// What a source knows of the request it gave last, beside the request itself.
struct RequestOrigin {
  std::uint64_t key = 0;  // equal for the same request of the same workload whatever the server does; the
                          // file's or session's order
  std::string after;      // name of the request whose end caused this one; empty: it arrived by itself
  Duration think{};       // from that end to the arrival
  Instant not_before;     // the arrival is not earlier than this either
};

/// A RequestSource that can say where its requests come from.
class WorkloadSource : public RequestSource {
 public:
  /// Of the request that take() returned last.
  [[nodiscard]] virtual RequestOrigin origin() const = 0;
  /// Whether the requests can be written down: each arrives by itself or after one other request.
  [[nodiscard]] virtual bool writable() const { return true; }
};

/// Base of the open-loop sources: read() makes one request after the other; arrivals must not fall.
class OpenLoopSource : public WorkloadSource {
 public:
  [[nodiscard]] std::optional<Instant> next_arrival() final {
    if (!have_next_ && !ended_) {
      next_ = Request{};
      have_next_ = read(next_);
      ended_ = !have_next_;
    }
    if (!have_next_) return std::nullopt;
    return next_.arrival;
  }
  [[nodiscard]] Request take() final;
  [[nodiscard]] RequestOrigin origin() const final { return {taken_ - 1, "", {}, kStart}; }

 protected:
  /// Fills everything but the id; false at the end.
  [[nodiscard]] virtual bool read(Request& request) = 0;

 private:
  Request next_;
  bool have_next_ = false;
  bool ended_ = false;
  std::uint64_t taken_ = 0;
};

}  // namespace kvcast
