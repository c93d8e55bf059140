/// Calibrations of kvcast's own kernels (kvcast calibrate) that a scenario uses without naming them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hwmodels/gpu_spec.h"
#include "sim/app/step_time.h"

namespace kvcast {

/// A folder of the user's own calibrations.
inline constexpr const char* kCalibrationsVariable = "KVCAST_CALIBRATIONS";

/// Those made on this very GPU, in the order in which they are tried: of the user's folder
/// ($KVCAST_CALIBRATIONS) the last by name first, then the embedded ones (configs/calibrations) likewise.
/// None for a GPU of the scenario's own making that takes a catalogue GPU's name: its figures are not that
/// GPU's. \throws InputError where the folder is not there, or one of its *.jsonl files is no calibration
[[nodiscard]] std::vector<OwnKernels> own_calibrations(const GpuSpec& gpu);

/// The files among them that a forecast may rest on, because the scenario names nothing else.
[[nodiscard]] std::vector<std::string> own_calibration_files(const StepTime& time,
                                                             const std::optional<GpuSpec>& gpu);

}  // namespace kvcast
