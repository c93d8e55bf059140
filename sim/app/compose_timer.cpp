#include "sim/app/compose_timer.h"

#include <fmt/format.h>

#include <algorithm>

#include "hwmodels/calibrated_timer.h"
#include "hwmodels/roofline_timer.h"
#include "hwmodels/scaled_timer.h"
#include "sim/app/compose_spread.h"
#include "sim/app/own_calibrations.h"
#include "sim/app/scenario_speculation.h"

namespace kvcast {
namespace {

constexpr std::int64_t kTableTokensMax =
    16384;  // tokens of a step whose time is tabulated; larger: extrapolated

std::unique_ptr<StepTimer> by_formula(const AffineTime& affine, const Deployment& deployment,
                                      Forecast& frame) {
  frame.timer = fmt::format("the formula {} us + {} us per token + {} us per context token", affine.base_us,
                            affine.per_token_us, affine.per_context_token_us);
  return divide_over_stages(deployment, affine);
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

std::string first_upper(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

/// Without asynchronous scheduling the GPU waits for the host, but for the stages of a pipeline, whose next
/// step is there already, and for ranks that step together, whose dummy steps hide it.
bool hides_host(const MemoryOptions& memory) {
  return memory.async_scheduling.value_or(false) || memory.pipeline_parallel_size > 1 ||
         memory.data_parallel_size > 1;
}

CalibratedOptions calibrated_options(const Deployment& deployment) {
  const MemoryOptions& memory = deployment.memory;
  CalibratedOptions options;
  options.timer.tensor_parallel_size = memory.tensor_parallel_size;
  options.timer.kv_cache_dtype = memory.kv_cache_dtype;
  options.timer.enable_kv_cache = deployment.enable_kv_cache;
  options.timer.host_overhead_us = memory.profile.host_overhead_us;
  options.timer.spread = deployment.spread;
  if (deployment.top_k_top_p) options.timer.sort_ns_per_logit = memory.profile.sort_ns_per_logit;
  const bool hidden = hides_host(memory);
  (hidden ? options.host_hidden_us : options.timer.host_overhead_us) += memory.profile.host_hidden_us;
  if (!memory.enforce_eager)
    options.capture_sizes = captured_sizes(memory.profile.cuda_graphs, memory.max_num_seqs);
  options.pads_prompts = memory.profile.cuda_graphs.prompts;
  options.tokens_max = std::min<std::int64_t>(memory.max_num_batched_tokens, kTableTokensMax);
  return options;
}

/// What an engine adds to kvcast's own kernels. The CPU backend has neither captured graphs nor an engine's
/// host beside it.
BenchTimerOptions own_options(const OwnKernels& kernels, const Deployment& deployment) {
  BenchTimerOptions options;
  if (kernels.header.device == "cpu") {
    options.host_added_us = deployment.step_time.host_overhead_us.value_or(0);
    return options;
  }
  const CalibratedOptions engine = calibrated_options(deployment);
  options.host_added_us = engine.timer.host_overhead_us;
  options.host_hidden_us = engine.host_hidden_us;
  options.capture_sizes = engine.capture_sizes;
  options.pads_prompts = engine.pads_prompts;
  return options;
}

/// \throws InputError where the calibration does not cover the model
std::unique_ptr<BenchTimer> own_timer(const OwnKernels& kernels, const Deployment& deployment) {
  ModelSpec model = *deployment.model;
  if (!deployment.memory.dtype.empty()) set_dtype(model, deployment.memory.dtype);
  const KvDtype kv = deployment.memory.kv_cache_dtype;
  return make_bench_timer(kernels.fits, model, deployment.memory.tensor_parallel_size,
                          kv == KvDtype::model ? model.dtype : std::string(to_string(kv)),
                          own_options(kernels, deployment));
}

ComposedTimer by_own_kernels(const OwnKernels& kernels, std::unique_ptr<BenchTimer> timer, Forecast& frame) {
  frame.timer = fmt::format("kvcast's own kernels, timed on {} ({})", kernels.header.device, kernels.path);
  frame.calibrated = true;
  for (const std::string& text : timer->notes()) frame.notes.push_back(first_upper(text));
  ComposedTimer composed;
  composed.timer = std::move(timer);
  return composed;
}

/// The first calibration of kvcast's own kernels on this very GPU that covers the model. Those that do not
/// are noted.
std::optional<ComposedTimer> by_own_measurement(const Deployment& deployment, Forecast& frame) {
  if (!deployment.gpu || !deployment.model || deployment.step_time.named()) return std::nullopt;
  const MemoryOptions& memory = deployment.memory;
  if (memory.pipeline_parallel_size * memory.data_parallel_size * memory.context_parallel_size *
              memory.decode_context_parallel_size >
          1 ||
      memory.enable_expert_parallel || deployment.communication_overlap > 0)
    return std::nullopt;  // they time tensor parallelism at most
  for (const OwnKernels& kernels : own_calibrations(*deployment.gpu)) {
    try {
      std::unique_ptr<BenchTimer> timer = own_timer(kernels, deployment);
      ComposedTimer composed = by_own_kernels(kernels, std::move(timer), frame);
      frame.timer += ", as no other calibration is named";
      return composed;
    } catch (const InputError& error) {
      const std::string reason = error.what();
      frame.notes.push_back(fmt::format("The calibration {} of this GPU is not used: {}", kernels.path,
                                        reason.substr(0, reason.find(" (it has: "))));
    }
  }
  return std::nullopt;
}

/// What a calibrated timer has to say, each sentence once.
void take_notes(const CalibratedTimer& timer, Forecast& frame) {
  for (const std::string& text : timer.notes()) {
    const std::string note = first_upper(text);
    if (std::find(frame.notes.begin(), frame.notes.end(), note) == frame.notes.end())
      frame.notes.push_back(note);
  }
}

/// What a calibrated timer assumes.
ComposedTimer calibrated(std::unique_ptr<StepTimer> timer, const Deployment& deployment, Forecast& frame) {
  const EngineProfile& profile = deployment.memory.profile;
  frame.calibrated = true;
  if (profile.host_hidden_us > 0) {
    frame.assumptions.push_back(
        {fmt::format("The host's work for a step takes {:g} us, {}", profile.host_hidden_us,
                     hides_host(deployment.memory)
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
  const auto slice = [&](const SpreadOptions& spread, bool has_host) {
    CalibratedOptions options = calibrated_options(deployment);
    options.timer.spread = spread;
    if (!has_host) options.timer.host_overhead_us = 0;
    if (spread.ops == OpChoice::communicating) options.host_hidden_us = 0;
    auto timer = make_calibrated_timer(kernels.model, *deployment.model, *deployment.gpu, options);
    take_notes(*timer, frame);
    return timer;
  };
  return calibrated(compose_spread(deployment, slice), deployment, frame);
}

ComposedTimer by_layers(const LayerCalibration& layers, const Deployment& deployment, Forecast& frame) {
  const LayerProfile& profile =
      pick_layer_profile(layers.profiles, deployment.memory.tensor_parallel_size, layers.path);
  frame.timer = fmt::format("layers of {} in {} profiled on {} ({})", profile.model, layers.header.engine,
                            layers.header.device, layers.path);
  auto timer = make_layer_timer(profile, *deployment.model, *deployment.gpu, calibrated_options(deployment));
  take_notes(*timer, frame);
  return calibrated(std::move(timer), deployment, frame);
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
  if (deployment.top_k_top_p) options.sort_ns_per_logit = deployment.memory.profile.sort_ns_per_logit;
  frame.timer = "the datasheet roofline of " + deployment.gpu->title;
  const auto slice = [&](const SpreadOptions& spread, bool has_host) {
    TimerOptions part = options;
    part.spread = spread;
    if (!has_host) part.host_overhead_us = 0;
    return make_roofline_timer(*deployment.model, *deployment.gpu, part);
  };
  return compose_spread(deployment, slice);
}

}  // namespace

ComposedTimer compose_timer(const Scenario& scenario, Forecast& frame) {
  const StepTime& time = scenario.deployment.step_time;
  ComposedTimer composed;
  if (time.affine) {
    composed.timer = by_formula(*time.affine, scenario.deployment, frame);
  } else if (time.steps) {
    composed = by_step_log(*time.steps, frame);
  } else if (time.own_kernels) {
    composed = by_own_kernels(*time.own_kernels, own_timer(*time.own_kernels, scenario.deployment), frame);
  } else if (time.kernels) {
    composed = by_kernels(*time.kernels, scenario.deployment, frame);
  } else if (time.layers) {
    composed = by_layers(*time.layers, scenario.deployment, frame);
  } else if (auto own = by_own_measurement(scenario.deployment, frame)) {
    composed = std::move(*own);
  } else if (const auto kernels = time.roofline ? std::nullopt : default_kernels(scenario.deployment)) {
    composed = by_kernels(*kernels, scenario.deployment, frame);
  } else {
    composed.timer = by_roofline(scenario.deployment, frame);
  }
  composed.timer = with_drafting(scenario.deployment, std::move(composed.timer));
  if (time.speed_factor != 1) {
    frame.timer += fmt::format(", every step times {}", time.speed_factor);
    composed.timer = scaled_timer(std::move(composed.timer), time.speed_factor);
  }
  return composed;
}

}  // namespace kvcast
