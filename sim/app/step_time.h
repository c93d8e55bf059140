/// engine.step_time of a scenario: where step times come from.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "hwmodels/affine_timer.h"
#include "hwmodels/bench_model.h"
#include "hwmodels/kernel_model.h"
#include "hwmodels/layer_profile.h"
#include "hwmodels/step_model.h"
#include "sim/base/config.h"

namespace kvcast {

/// A calibration of whole steps that a scenario names.
struct StepCalibration {
  StepModel model;
  CalibrationHeader header;
  std::string path;  // as the user named it
};

/// A calibration of kvcast's own kernels (kvcast calibrate) that a scenario names.
struct OwnKernels {
  std::vector<BenchFit> fits;
  CalibrationHeader header;
  std::string path;  // as the user named it, or the embedded file's
  bool embedded = false;
};

/// A calibration of an engine's kernels (kvcast calibrate import) that a scenario names.
struct KernelCalibration {
  std::shared_ptr<const KernelModel> model;
  CalibrationHeader header;
  std::string path;  // as the user named it, or the embedded file's
  bool embedded = false;
};

/// A profile of whole layers (kvcast calibrate import) that a scenario names.
struct LayerCalibration {
  std::vector<LayerProfile> profiles;
  CalibrationHeader header;
  std::string path;  // as the user named it
};

/// engine.step_time as written; the hardware model where neither is set.
struct StepTime {
  std::optional<AffineTime> affine;          // by formula
  std::optional<StepCalibration> steps;      // fitted to an engine's step log
  std::optional<OwnKernels> own_kernels;     // fitted to kvcast's own kernels; needs the model
  std::optional<KernelCalibration> kernels;  // fitted to tables of an engine's kernels; needs the model
  std::optional<LayerCalibration> layers;    // profiled layers of one model; needs the model
  bool roofline = false;                     // the datasheet alone, although a calibration may be at hand
  std::optional<double> host_overhead_us;    // added to each step, in place of the engine profile's
  double speed_factor = 1;                   // multiplies every step time
  /// Neither needs a model or a GPU.
  [[nodiscard]] bool by_formula() const { return affine.has_value() || steps.has_value(); }
  /// The scenario says where step times come from; else the best that is known of the GPU is used.
  [[nodiscard]] bool named() const {
    return by_formula() || own_kernels.has_value() || kernels.has_value() || layers.has_value() || roofline;
  }
};

/// \param folder paths are looked up here first (ScenarioText)
/// \throws InputError for unknown forms, files that are not there, and calibrations that are none
[[nodiscard]] StepTime read_step_time(Config& engine, const std::string& folder);

/// A path as the scenario names it: beside the scenario where it is there, else as it stands.
[[nodiscard]] std::string locate(const std::string& path, const std::string& folder);

}  // namespace kvcast
