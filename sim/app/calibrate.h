/// kvcast calibrate: makes a calibration (hwmodels/calibration_file.h). Each child declares itself here and
/// lives in a file of its own. \param command the command line as the user would type it, for the HTML report
#pragma once

#include "sim/app/commands.h"

namespace kvcast {

/// From per-kernel timing tables.
[[nodiscard]] Command add_calibrate_import(CommandParser calibrate, const std::string& command);
/// From an engine's own step log.
[[nodiscard]] Command add_calibrate_steps(CommandParser calibrate, const std::string& command);
/// From kernels run on this machine's GPU: `kvcast calibrate` without a child. Returns `calibrate` itself
/// with its run(), and adds the options to it.
[[nodiscard]] Command add_calibrate_run(CommandParser calibrate, const std::string& command);

}  // namespace kvcast
