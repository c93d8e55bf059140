#include "sim/app/step_time.h"

#include <algorithm>
#include <filesystem>

#include "hwmodels/scaled_timer.h"

namespace kvcast {
namespace {

AffineTime read_affine(Config affine, Config& engine) {
  AffineTime time;
  time.base_us = affine.get_real("base_us", {0, 1e9}, 0);
  time.per_token_us = affine.get_real("per_token_us", {0, 1e9}, 0);
  time.per_context_token_us = affine.get_real("per_context_token_us", {0, 1e9}, 0);
  if (time.base_us == 0 && time.per_token_us == 0)
    engine.fail("step_time", "affine.base_us or affine.per_token_us must be above 0: a step takes time");
  return time;
}

void read_calibration(Config& step_time, const std::string& folder, StepTime& time) {
  const std::string path = locate(step_time.get_string("calibration"), folder);
  const std::string where = step_time.where("calibration");
  const std::string fit = step_time.contains("fit") ? step_time.get_string("fit") : "";
  const CalibrationFile file = load_calibration(path, where);
  if (!fit.empty() && file.header.kind != "steps")
    step_time.fail("fit",
                   "belongs to a calibration of whole steps; " + path + " is one of " + file.header.kind);
  if (is_bench_calibration(file)) {
    const bool embedded = file.name.starts_with("embedded:");
    time.own_kernels = OwnKernels{parse_bench_fits(file), file.header, embedded ? file.name : path, embedded};
  } else if (file.header.kind == "layers") {
    time.layers = LayerCalibration{parse_layer_profiles(file), file.header, path};
  } else if (file.header.kind == "kernels") {
    const bool embedded = file.name.starts_with("embedded:");
    time.kernels = KernelCalibration{std::make_shared<const KernelModel>(file), file.header,
                                     embedded ? file.name : path, embedded};
  } else {
    time.steps = StepCalibration{pick_step_model(file, fit, where), file.header, path};
  }
}

}  // namespace

std::string locate(const std::string& path, const std::string& folder) {
  namespace fs = std::filesystem;
  if (folder.empty() || fs::path(path).is_absolute()) return path;
  const fs::path beside = fs::path(folder) / path;
  std::error_code error;
  return fs::exists(beside, error) ? beside.string() : path;
}

StepTime read_step_time(Config& engine, const std::string& folder) {
  StepTime time;
  if (!engine.contains("step_time")) return time;
  Config step_time = engine.child("step_time");
  time.speed_factor = step_time.get_real("speed_factor", {1 / kSpeedFactorMax, kSpeedFactorMax}, 1);
  if (step_time.has("host_overhead_us"))
    time.host_overhead_us = step_time.get_real("host_overhead_us", {0, 1e6});
  if (step_time.has("affine") && step_time.has("calibration"))
    engine.fail("step_time", "has both affine and calibration; leave one out");
  if (step_time.has("affine")) {
    time.affine = read_affine(step_time.child("affine"), engine);
  } else if (step_time.has("calibration")) {
    if (step_time.get_bool("roofline", false))
      engine.fail("step_time", "has both roofline and calibration; leave one out");
    read_calibration(step_time, folder, time);
  } else if (step_time.has("roofline")) {
    time.roofline = step_time.get_bool("roofline", false);
  } else if (!step_time.has("speed_factor") && !time.host_overhead_us) {
    engine.fail("step_time",
                "holds nothing; write {affine: {base_us: 5000, per_token_us: 20}}, "
                "{calibration: FILE}, {roofline: true}, {host_overhead_us: 500} or {speed_factor: 1.1}");
  }
  return time;
}

}  // namespace kvcast
