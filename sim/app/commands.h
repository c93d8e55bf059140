/// The subcommands: each file declares its options on the command line and runs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/app/command_parser.h"
#include "sim/base/error.h"

namespace kvcast {

/// Contract: add_x() declares the subcommand on `root`; run() does what its options ask, after they were
/// parsed, and returns the exit code. \throws InputError from run()
struct Command {
  CommandParser app;
  std::function<ExitCode()> run;
  std::vector<Command>
      children;  // commands of its own (trace stats, ...); run, where it is set, is called without one
};

/// \param command the command line as the user would type it, for the HTML report
[[nodiscard]] Command add_simulate(CommandParser root, const std::string& command);
[[nodiscard]] Command add_explain(CommandParser root, const std::string& command);
[[nodiscard]] Command add_compare(CommandParser root, const std::string& command);
[[nodiscard]] Command add_plan(CommandParser root, const std::string& command);
[[nodiscard]] Command add_sweep(CommandParser root);
[[nodiscard]] Command add_memory(CommandParser root, const std::string& command);
[[nodiscard]] Command add_trace(CommandParser root);
/// \param parent the command trace
[[nodiscard]] Command add_trace_cache(CommandParser parent);
[[nodiscard]] Command add_list(CommandParser root);
[[nodiscard]] Command add_validate(CommandParser root, const std::string& command);
[[nodiscard]] Command add_regress(CommandParser root, const std::string& command);
[[nodiscard]] Command add_calibrate(CommandParser root, const std::string& command);
[[nodiscard]] Command add_completion(CommandParser root);
[[nodiscard]] Command add_init(CommandParser root);
[[nodiscard]] Command add_schema(CommandParser root);

/// Parses the command line and runs the command that it names.
/// \throws InputError for wrong usage and from the command
[[nodiscard]] ExitCode run_command_line(int argc, const char* const* argv);

}  // namespace kvcast
