/// kvcast calibrate: makes a calibration (hwmodels/calibration_file.h). Each child declares itself here and
/// lives in a file of its own.
#pragma once

#include "sim/app/commands.h"

namespace kvcast {

/// From per-kernel timing tables.
[[nodiscard]] Command add_calibrate_import(CLI::App& calibrate);
/// From an engine's own step log.
[[nodiscard]] Command add_calibrate_steps(CLI::App& calibrate);
/// From kernels run on this machine's GPU: `kvcast calibrate` without a child. Returns `calibrate` itself with
/// its run(), and adds the options to it.
[[nodiscard]] Command add_calibrate_run(CLI::App& calibrate);

}  // namespace kvcast
