#include "sim/app/calibrate.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace kvcast {

Command add_calibrate(CLI::App& root) {
  CLI::App* app = root.add_subcommand("calibrate", "Make a calibration, from which step times are forecast");
  Command run = add_calibrate_run(*app);
  run.children = {add_calibrate_import(*app), add_calibrate_steps(*app)};
  return run;
}

}  // namespace kvcast
