#include "sim/app/uncertainty.h"

#include <algorithm>
#include <cmath>

#include "hwmodels/scaled_timer.h"
#include "sim/app/first_requests.h"

namespace kvcast {
namespace {

// What each end costs at most, so that intervals stay cheap beside a long run, or one of long prompts.
constexpr std::int64_t kSample = 15'000;            // requests
constexpr std::int64_t kSampleTokens = 50'000'000;  // prompt tokens, by the run's mean

struct AverageSteps {
  StepShape decode;   // of the running sequences alone
  StepShape prefill;  // the same, and one average prompt
};

AverageSteps average_steps(const Metrics& metrics) {
  const auto completed = static_cast<double>(std::max<std::int64_t>(1, metrics.completed));
  const auto steps = static_cast<double>(std::max<std::int64_t>(1, metrics.steps));
  const double input = std::max(1.0, static_cast<double>(metrics.total_input_tokens) / completed);
  const double output = static_cast<double>(metrics.total_output_tokens) / completed;
  const double batch = std::max(1.0, static_cast<double>(metrics.total_output_tokens) / steps);
  AverageSteps average;
  StepShape& decode = average.decode;
  decode.tokens = decode.sampled = decode.decode_seqs = std::llround(batch);
  decode.decode_context = std::llround(batch * (input + output / 2));
  StepShape& prefill = average.prefill;
  prefill = decode;
  const double cached = std::min(input - 1, input * metrics.prefix_hit_rate_tokens);
  const std::int64_t chunk = std::max<std::int64_t>(1, std::llround(input - cached));
  prefill.tokens += chunk;
  prefill.sampled += 1;
  prefill.prefill_seqs = 1;
  prefill.prefill_context = std::llround(cached) + chunk;
  prefill.prefill_pairs = chunk * std::llround(cached) + chunk * (chunk + 1) / 2;
  return average;
}

/// Requests at each end.
std::int64_t sample_size(const Metrics& forecast) {
  const std::int64_t completed = std::max<std::int64_t>(1, forecast.completed);
  const std::int64_t prompt = std::max<std::int64_t>(1, forecast.total_input_tokens / completed);
  return std::min(kSample, kSampleTokens / prompt);
}

FrontendDelays scaled(const FrontendDelays& delays, double factor) {
  const auto times = [factor](std::int64_t count) {
    return std::llround(static_cast<double>(count) * factor);
  };
  return {Duration{times(delays.before.count())}, FineDuration{times(delays.per_input_token.count())},
          Duration{times(delays.after.count())}};
}

}  // namespace

TimeErrors time_errors(const Experiment& experiment, const Metrics& metrics) {
  const AverageSteps average = average_steps(metrics);
  const double decode = experiment.timer->relative_error(average.decode);
  const double prefill = experiment.timer->relative_error(average.prefill);
  if (!(decode > 0) || !(prefill > 0)) return {};
  // Weighted by the time that each kind takes: one step with a prompt for each request, the others without.
  const auto seconds = [&](const StepShape& shape) {
    return static_cast<double>(experiment.timer->step(shape).time.count());
  };
  const auto with_prompt = static_cast<double>(std::min(metrics.completed, metrics.steps));
  const double prefill_time = with_prompt * seconds(average.prefill);
  const double decode_time = (static_cast<double>(metrics.steps) - with_prompt) * seconds(average.decode);
  const double total = std::max(1.0, prefill_time + decode_time);
  const double timer = (prefill * prefill_time + decode * decode_time) / total;
  return {std::sqrt(timer * timer + experiment.model_error * experiment.model_error),
          experiment.frontend_error};
}

double factor_of(double error, double standard_errors) {
  const double up = 1 + error * std::abs(standard_errors);
  return standard_errors >= 0 ? up : 1 / up;
}

RunRecord run_scaled(const Experiment& experiment, double step_factor, double frontend_factor,
                     std::int64_t requests_max, const RunHooks& hooks, unsigned threads) {
  const std::unique_ptr<StepTimer> timer = scaled_timer(*experiment.timer, step_factor);
  const FrontendDelays delays = scaled(experiment.frontend, frontend_factor);
  ClusterSetup cluster = experiment.cluster;
  for (PoolSetup& pool : cluster.further_pools) {
    const std::shared_ptr<const StepTimer> own = pool.timer;
    pool.timer = std::shared_ptr<const StepTimer>(scaled_timer(*own, step_factor));
  }
  cluster.delay_after = delays.after;
  SourceMaker source = experiment.clients;
  if (requests_max > 0) {
    source = [clients = experiment.clients, requests_max] {
      return std::make_unique<FirstRequests>(clients(), requests_max);
    };
  }
  if (!delays.none()) source = with_frontend(std::move(source), delays);
  return run(cluster, source, *timer, hooks, threads);
}

Uncertainty find_uncertainty(const Experiment& experiment, const Metrics& forecast, std::int64_t arrived,
                             unsigned threads) {
  Uncertainty uncertainty;
  if (!experiment.frame.calibrated) {
    uncertainty.unknown = "step times are not calibrated, so that nobody knows how far they are off";
    return uncertainty;
  }
  const TimeErrors errors = time_errors(experiment, forecast);
  if (errors.steps == 0) {
    uncertainty.unknown = "the calibration states no standard error";
    return uncertainty;
  }
  uncertainty.step_error = errors.steps;
  uncertainty.frontend_error = errors.frontend;
  const std::int64_t sample = sample_size(forecast);
  const std::int64_t requests_max = arrived > sample ? sample : 0;
  uncertainty.requests = std::min(arrived, sample);
  const auto run_with = [&](double steps, double frontend) {
    return reduce(run_scaled(experiment, steps, frontend, requests_max, {}, threads), experiment.frame.facts);
  };
  SpeedRuns runs;
  runs.base = requests_max > 0 ? run_with(1, 1) : forecast;
  runs.slow = run_with(factor_of(errors.steps, Uncertainty::kStandardErrors), 1);
  runs.fast = run_with(factor_of(errors.steps, -Uncertainty::kStandardErrors), 1);
  if (errors.frontend > 0 && !experiment.frontend.none()) {
    runs.late_factor = factor_of(errors.frontend, Uncertainty::kStandardErrors);
    runs.late = run_with(1, runs.late_factor);
  }
  uncertainty.values = spread_of(forecast, runs);
  return uncertainty;
}

}  // namespace kvcast
