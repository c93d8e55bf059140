/// The subcommands: each file declares its options on the command line and runs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/base/error.h"

namespace CLI {
class App;
}

namespace kvcast {

/// Contract: add_x() declares the subcommand on `root`; run() does what its options ask, after they were
/// parsed, and returns the exit code. \throws InputError from run()
struct Command {
  CLI::App* app = nullptr;
  std::function<ExitCode()> run;
  std::vector<Command>
      children;  // commands of its own (trace stats, ...); run, where it is set, is called without one
};

/// \param command the command line as the user would type it, for the HTML report
[[nodiscard]] Command add_simulate(CLI::App& root, const std::string& command);
[[nodiscard]] Command add_compare(CLI::App& root, const std::string& command);
[[nodiscard]] Command add_plan(CLI::App& root, const std::string& command);
[[nodiscard]] Command add_sweep(CLI::App& root);
[[nodiscard]] Command add_memory(CLI::App& root);
[[nodiscard]] Command add_trace(CLI::App& root);
/// \param parent the command trace
[[nodiscard]] Command add_trace_cache(CLI::App& parent);
[[nodiscard]] Command add_list(CLI::App& root);
[[nodiscard]] Command add_validate(CLI::App& root);
[[nodiscard]] Command add_regress(CLI::App& root);
[[nodiscard]] Command add_calibrate(CLI::App& root);

/// Parses the command line and runs the command that it names.
/// \throws InputError for wrong usage and from the command
[[nodiscard]] ExitCode run_command_line(int argc, const char* const* argv);

}  // namespace kvcast
