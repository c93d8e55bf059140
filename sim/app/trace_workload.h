/// The trace or workload that a `kvcast trace` command names.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "sim/app/command_parser.h"
#include "workloads/workload.h"

namespace kvcast {

struct TraceChoice {
  std::string file;
  std::string format;  // "": told by the content
  std::vector<std::string>
      settings;      // "key=value" of workload.trace, or of the scenario where the file is one
  std::string seed;  // "": 1, or the scenario's
};

/// Declares --format, --set and --seed.
void add_trace_options(CommandParser app, const std::shared_ptr<TraceChoice>& choice);

/// A trace file, with its `workload.trace` keys from the command line.
[[nodiscard]] WorkloadSetup open_trace(const TraceChoice& choice);
/// The `workload:` section of a scenario or of a file that `kvcast trace fit` wrote.
[[nodiscard]] WorkloadSetup open_section(const TraceChoice& choice);
/// Either, by the file's name.
[[nodiscard]] WorkloadSetup open_workload(const TraceChoice& choice);

/// What outputs call it: the file's name without folders.
[[nodiscard]] std::string name_of(const TraceChoice& choice);

/// Calls `write` with a stream to the output file, or to standard output ("-"). \throws InputError if it
/// cannot be written
void write_to(const std::string& path, const std::function<void(std::ostream&)>& write);

}  // namespace kvcast
