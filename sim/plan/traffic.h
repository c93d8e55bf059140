/// The requests of a plan, held in memory: every simulated cluster is given the same ones, or the same ones
/// changed.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "sim/request_source.h"

namespace kvcast {

using Traffic = std::shared_ptr<const std::vector<Request>>;

/// Up to `requests_max` requests of a source without feedback. \throws InputError from the source
[[nodiscard]] Traffic read_traffic(RequestSource& source, std::size_t requests_max);

/// The first `requests` of it. Calls from several threads are safe.
[[nodiscard]] std::function<std::unique_ptr<RequestSource>()> traffic_source(Traffic traffic,
                                                                             std::size_t requests);

/// The first `requests` of any source, told of their ends as ever.
[[nodiscard]] std::unique_ptr<RequestSource> first_of(std::unique_ptr<RequestSource> source,
                                                      std::size_t requests);

/// What-if changes to all requests.
struct TrafficChange {
  double rate = 1;        // arrivals come so many times as fast
  double output = 1;      // outputs are so many times as long, at least one token
  double burstiness = 1;  // gaps between arrivals are raised to this power and scaled to the same total
};
[[nodiscard]] Traffic changed(const Traffic& traffic, const TrafficChange& change);

}  // namespace kvcast
