#include "sim/kv/link.h"

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr int kLevelBits = 32;

}  // namespace

Link::Link(LinkSpec spec) : spec_(std::move(spec)) {
  KVCAST_CHECK(spec_.bytes_per_s >= 0 && spec_.latency >= 0);
  FineTime end = -1;
  for (const Outage& outage : spec_.outages) {
    KVCAST_CHECK(outage.from > end && outage.until > outage.from);
    end = outage.until;
  }
}

FineTime Link::service(std::int64_t bytes) const {
  if (bytes == 0) return 0;
  if (spec_.bytes_per_s <= 0) return kFineNever;
  constexpr double kUnitsPerSecond = 1e9 * static_cast<double>(std::int64_t{1} << kFineBits);
  const double units = static_cast<double>(bytes) * (kUnitsPerSecond / spec_.bytes_per_s);
  constexpr double kUnitsMax = 9e18;
  return units > kUnitsMax ? kFineNever : FineTime{std::llround(units)};
}

/// The clock that stands still in outages.
FineTime Link::moving_time(FineTime at) const {
  FineTime lost = 0;
  for (const Outage& outage : spec_.outages) {
    if (outage.from >= at) break;
    lost += std::min(at, outage.until) - outage.from;
  }
  return at - lost;
}

/// The first moment at which that clock shows `moving`.
FineTime Link::moment_of(FineTime moving) const {
  FineTime at = moving;
  for (const Outage& outage : spec_.outages) {
    if (outage.from >= at) break;
    at += outage.until - outage.from;
  }
  return at;
}

std::size_t Link::first_to_leave() const {
  if (spec_.sharing == LinkSharing::fifo) return 0;
  std::size_t first = 0;
  for (std::size_t i = 1; i < on_link_.size(); ++i) {
    if (on_link_[i].work < on_link_[first].work) first = i;
  }
  return first;
}

/// When flow i leaves if nobody comes, on the clock that stands still in outages; kFineNever: not at all.
FineTime Link::departure_of(std::size_t i) const {
  const FineTime work = on_link_[i].work;
  if (work >= kFineNever) return kFineNever;
  if (spec_.sharing == LinkSharing::fifo) return served_until_ + work;
  const FineTime left = (work - level_) * static_cast<FineTime>(on_link_.size());
  return served_until_ + ((left + (FineTime{1} << kLevelBits) - 1) >> kLevelBits);
}

void Link::serve_until(FineTime moving) {
  while (!on_link_.empty()) {
    const std::size_t first = first_to_leave();
    const FineTime end = departure_of(first);
    const FineTime until = std::min(end, moving);
    busy_ += until - served_until_;
    if (end > moving) {
      if (spec_.sharing == LinkSharing::fair) {
        level_ += ((until - served_until_) << kLevelBits) / static_cast<FineTime>(on_link_.size());
      } else if (on_link_.front().work < kFineNever) {
        on_link_.front().work -= until - served_until_;
      }
      break;
    }
    if (spec_.sharing == LinkSharing::fair) level_ = on_link_[first].work;
    in_the_air_.push_back({moment_of(end) + spec_.latency, on_link_[first].flow});
    on_link_.erase(on_link_.begin() + static_cast<std::ptrdiff_t>(first));
    served_until_ = end;
  }
  served_until_ = moving;
}

Link::Flow Link::start(FineTime now, std::int64_t bytes) {
  KVCAST_CHECK(bytes >= 0);
  serve_until(moving_time(now));
  const FineTime work = service(bytes);
  if (spec_.sharing == LinkSharing::fair && on_link_.empty()) level_ = 0;
  const bool counts_level = spec_.sharing == LinkSharing::fair && work < kFineNever;
  on_link_.push_back({next_flow_, counts_level ? level_ + (work << kLevelBits) : work});
  return next_flow_++;
}

FineTime Link::next() {
  FineTime at = in_the_air_.empty() ? kFineNever : in_the_air_.front().at;
  if (on_link_.empty()) return at;
  const FineTime end = departure_of(first_to_leave());
  return end == kFineNever ? at : std::min(at, moment_of(end) + spec_.latency);
}

const std::vector<Link::Arrival>& Link::advance(FineTime now) {
  serve_until(moving_time(now));
  arrived_.clear();
  while (!in_the_air_.empty() && in_the_air_.front().at <= now) {
    arrived_.push_back(in_the_air_.front());
    in_the_air_.pop_front();
  }
  return arrived_;
}

bool Link::cancel(FineTime now, Flow flow) {
  serve_until(moving_time(now));
  const auto on =
      std::find_if(on_link_.begin(), on_link_.end(), [&](const OnLink& f) { return f.flow == flow; });
  if (on != on_link_.end()) {
    on_link_.erase(on);
    return true;
  }
  const auto air =
      std::find_if(in_the_air_.begin(), in_the_air_.end(), [&](const Arrival& a) { return a.flow == flow; });
  if (air == in_the_air_.end()) return false;
  in_the_air_.erase(air);
  return true;
}

FineTime Link::estimate(FineTime now, std::int64_t bytes) {
  serve_until(moving_time(now));
  const FineTime own = service(bytes);
  if (own >= kFineNever) return kFineNever;
  FineTime ahead = 0;
  for (const OnLink& flow : on_link_) {
    if (flow.work >= kFineNever && spec_.sharing == LinkSharing::fifo) return kFineNever;
    // Fair: while this one is on the link, each other takes as much as it does, or what it has left.
    const bool for_ever = flow.work >= kFineNever;
    const bool fifo = spec_.sharing == LinkSharing::fifo;
    ahead += fifo ? flow.work : for_ever ? own : std::min(own, (flow.work - level_) >> kLevelBits);
  }
  return moment_of(served_until_ + ahead + own) + spec_.latency;
}

}  // namespace kvcast
