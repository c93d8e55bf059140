#include "sim/app/calibrate.h"

namespace kvcast {

Command add_calibrate(CommandParser root, const std::string& command) {
  const CommandParser app =
      root.add_subcommand("calibrate", "Make a calibration, from which step times are forecast");
  Command run = add_calibrate_run(app, command);
  run.children = {add_calibrate_import(app, command), add_calibrate_steps(app, command)};
  return run;
}

}  // namespace kvcast
