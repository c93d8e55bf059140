/// The CSV half of workloads/step_log.h.
#pragma once

#include "workloads/step_log.h"

namespace kvcast {

/// \throws InputError (bad_data) "file:line:column: what"
void read_csv_step_log(const TraceFile& file, const StepColumns* columns, StepLog& log);

/// The index of a name, appended where it is new.
[[nodiscard]] std::size_t index_of(std::vector<std::string>& names, const std::string& name);

}  // namespace kvcast
