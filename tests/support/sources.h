/// Request sources for tests.
#pragma once

#include <vector>

#include "sim/cluster/cluster.h"

namespace kvcast::test {

/// Streams copies of a list, in its order; arrivals must not fall.
[[nodiscard]] SourceMaker list_source(const std::vector<Request>& requests);

/// `concurrency` clients; each sends its next request from the list `think` after its last one ended.
[[nodiscard]] SourceMaker closed_loop_source(const std::vector<Request>& requests, std::int64_t concurrency,
                                             Duration think);

}  // namespace kvcast::test
