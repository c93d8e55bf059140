/// Replicas of several shapes in one experiment.
#pragma once

#include "sim/app/compose.h"

namespace kvcast {

/// Puts the pools behind the router of an experiment that was composed of the first one.
/// \param first the name of that
/// \param pools what compose() makes of each of the others
void add_pools(Experiment& experiment, const std::string& first,
               std::vector<std::pair<std::string, Experiment>> pools);

/// The numbers of each pool, of a finished run.
void finish_pools(const RunRecord& record, Forecast& forecast);

}  // namespace kvcast
