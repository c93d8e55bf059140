#include "sim/app/compose_timer.h"

#include <fmt/format.h>

#include "hwmodels/calibrated_timer.h"
#include "hwmodels/roofline_timer.h"
#include "hwmodels/scaled_timer.h"
#include "sim/base/hash.h"

namespace kvcast {
namespace {

constexpr std::int64_t kTableTokensMax =
    16384;  // tokens of a step whose time is tabulated; larger: extrapolated

std::unique_ptr<StepTimer> by_formula(const AffineTime& affine, Forecast& frame) {
  frame.timer = fmt::format("the formula {} us + {} us per token + {} us per context token", affine.base_us,
                            affine.per_token_us, affine.per_context_token_us);
  return make_affine_timer(affine);
}

ComposedTimer by_step_log(const StepCalibration& steps, Forecast& frame) {
  frame.timer =
      fmt::format("whole steps fitted to a step log of {} on {} ({}{})",
                  steps.header.engine.empty() ? "an engine" : steps.header.engine, steps.header.device,
                  steps.path, steps.model.name.empty() ? "" : ", " + steps.model.name);
  frame.calibrated = true;
  ComposedTimer composed;
  std::unique_ptr<FittedStepTimer> timer = make_step_timer(steps.model);
  composed.note = [fitted = timer.get()] { return fitted->unseen(); };
  composed.timer = std::move(timer);
  return composed;
}

ComposedTimer by_own_kernels(const OwnKernels& kernels, const Deployment& deployment, Forecast& frame) {
  ModelSpec model = *deployment.model;
  if (!deployment.memory.dtype.empty()) set_dtype(model, deployment.memory.dtype);
  const KvDtype kv = deployment.memory.kv_cache_dtype;
  ComposedTimer composed;
  composed.timer = make_bench_timer(kernels.fits, model, deployment.memory.tensor_parallel_size,
                                    kv == KvDtype::model ? model.dtype : std::string(to_string(kv)));
  frame.timer = fmt::format("kvcast's own kernels, timed on {} ({})", kernels.header.device, kernels.path);
  frame.calibrated = true;
  return composed;
}

std::string first_upper(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

CalibratedOptions calibrated_options(const Deployment& deployment) {
  const MemoryOptions& memory = deployment.memory;
  CalibratedOptions options;
  options.timer.tensor_parallel_size = memory.tensor_parallel_size;
  options.timer.kv_cache_dtype = memory.kv_cache_dtype;
  options.timer.enable_kv_cache = deployment.enable_kv_cache;
  options.timer.host_overhead_us = memory.profile.host_overhead_us;
  // Without asynchronous scheduling the GPU waits for the host.
  const bool hidden = memory.async_scheduling.value_or(false);
  (hidden ? options.host_hidden_us : options.timer.host_overhead_us) += memory.profile.host_hidden_us;
  if (!memory.enforce_eager)
    options.capture_sizes = captured_sizes(memory.profile.cuda_graphs, memory.max_num_seqs);
  options.pads_prompts = memory.profile.cuda_graphs.prompts;
  options.tokens_max = std::min<std::int64_t>(memory.max_num_batched_tokens, kTableTokensMax);
  return options;
}

/// What a calibrated timer has to say, and what it assumes.
ComposedTimer calibrated(std::unique_ptr<CalibratedTimer> timer, const Deployment& deployment,
                         Forecast& frame) {
  const EngineProfile& profile = deployment.memory.profile;
  frame.calibrated = true;
  for (const std::string& text : timer->notes()) frame.notes.push_back(first_upper(text));
  if (profile.host_hidden_us > 0) {
    frame.assumptions.push_back(
        {fmt::format("The host's work for a step takes {:g} us, {}", profile.host_hidden_us,
                     deployment.memory.async_scheduling.value_or(false)
                         ? "hidden behind the GPU as far as that is busy for so long"
                         : "during which the GPU waits"),
         profile.host_hidden_source});
  }
  ComposedTimer composed;
  composed.timer = std::move(timer);
  return composed;
}

ComposedTimer by_kernels(const KernelCalibration& kernels, const Deployment& deployment, Forecast& frame) {
  frame.timer = fmt::format("kernels of {} timed on {} ({})",
                            kernels.header.engine.empty() ? "an engine" : kernels.header.engine,
                            deployment.gpu->title, kernels.path);
  return calibrated(make_calibrated_timer(kernels.model, *deployment.model, *deployment.gpu,
                                          calibrated_options(deployment)),
                    deployment, frame);
}

ComposedTimer by_layers(const LayerCalibration& layers, const Deployment& deployment, Forecast& frame) {
  const LayerProfile& profile =
      pick_layer_profile(layers.profiles, deployment.memory.tensor_parallel_size, layers.path);
  frame.timer = fmt::format("layers of {} in {} profiled on {} ({})", profile.model, layers.header.engine,
                            layers.header.device, layers.path);
  return calibrated(
      make_layer_timer(profile, *deployment.model, *deployment.gpu, calibrated_options(deployment)),
      deployment, frame);
}

/// The embedded calibration of this GPU with this engine's kernels, where there is one.
std::optional<KernelCalibration> default_kernels(const Deployment& deployment) {
  if (!deployment.gpu->from_catalogue) return std::nullopt;
  const auto file = find_calibration("kernels", deployment.gpu->name, deployment.memory.profile.engine);
  if (!file || is_bench_calibration(*file)) return std::nullopt;
  return KernelCalibration{std::make_shared<const KernelModel>(*file), file->header, file->name, true};
}

std::unique_ptr<StepTimer> by_roofline(const Deployment& deployment, Forecast& frame) {
  TimerOptions options;
  options.tensor_parallel_size = deployment.memory.tensor_parallel_size;
  options.kv_cache_dtype = deployment.memory.kv_cache_dtype;
  options.enable_kv_cache = deployment.enable_kv_cache;
  options.host_overhead_us = deployment.memory.profile.host_overhead_us;
  frame.timer = "the datasheet roofline of " + deployment.gpu->title;
  return make_roofline_timer(*deployment.model, *deployment.gpu, options);
}

}  // namespace

ComposedTimer compose_timer(const Scenario& scenario, Forecast& frame) {
  const StepTime& time = scenario.deployment.step_time;
  ComposedTimer composed;
  if (time.affine) {
    composed.timer = by_formula(*time.affine, frame);
  } else if (time.steps) {
    composed = by_step_log(*time.steps, frame);
    frame.inputs.push_back({time.steps->path, file_hash(time.steps->path)});
  } else if (time.own_kernels) {
    composed = by_own_kernels(*time.own_kernels, scenario.deployment, frame);
    frame.inputs.push_back({time.own_kernels->path, file_hash(time.own_kernels->path)});
  } else if (time.kernels) {
    composed = by_kernels(*time.kernels, scenario.deployment, frame);
    if (!time.kernels->embedded) frame.inputs.push_back({time.kernels->path, file_hash(time.kernels->path)});
  } else if (time.layers) {
    composed = by_layers(*time.layers, scenario.deployment, frame);
    frame.inputs.push_back({time.layers->path, file_hash(time.layers->path)});
  } else if (const auto kernels = time.roofline ? std::nullopt : default_kernels(scenario.deployment)) {
    composed = by_kernels(*kernels, scenario.deployment, frame);
  } else {
    composed.timer = by_roofline(scenario.deployment, frame);
  }
  if (time.speed_factor != 1) {
    frame.timer += fmt::format(", every step times {}", time.speed_factor);
    composed.timer = scaled_timer(std::move(composed.timer), time.speed_factor);
  }
  return composed;
}

}  // namespace kvcast
