/// Prompts and answers made by different replicas: cluster.disaggregation.
#pragma once

#include <string>

#include "sim/app/scenario.h"

namespace kvcast {

/// Reads `cluster.disaggregation`: what the pools `prefill` and `decode` are, and how KV goes from one to the
/// other. \returns false where there is no such key, and has read nothing \throws InputError for engines,
/// models and routers that cannot be part of it
bool read_disaggregation(Config& root, const std::string& folder, Scenario& scenario);

}  // namespace kvcast
