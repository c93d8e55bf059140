#include "sim/app/load_forecast.h"

#include <algorithm>

#include "sim/app/uncertainty.h"

namespace kvcast {
namespace {

constexpr double kNsPerMs = 1e6;
constexpr double kNsPerSecond = 1e9;

/// Sorts requests into parts by their arrival.
class PartObserver final : public RequestObserver {
 public:
  explicit PartObserver(const std::vector<StageWindow>& stages)
      : stages_(stages), parts_(std::max<std::size_t>(1, stages.size())) {}

  void on_request(const RequestRow& row) override {
    if (row.outcome != Outcome::completed) return;
    PartSummary& part = parts_[part_of(row.arrival)];
    const Duration decode = row.last_token - row.first_token;
    const Duration whole = row.last_token - row.arrival;
    ++part.completed;
    part.input_tokens += row.input.value;
    part.output_tokens += row.output.value;
    part.ttft.add(row.first_token - row.arrival);
    part.e2el.add(whole);
    part.ntpot.add(whole / row.output.value);
    part.queue.add(row.scheduled - row.arrival);
    if (row.output > Tokens{1}) part.tpot.add(decode / (row.output.value - 1));
    part.gaps_ns += decode.count();
    part.gaps += row.output.value - 1;
    part.first_arrival = std::min(part.first_arrival, row.arrival);
    part.last_token = std::max(part.last_token, row.last_token);
  }

  [[nodiscard]] std::vector<PartSummary> take() { return std::move(parts_); }

 private:
  /// The last stage that has begun; a stage ends with its last arrival, at its end.
  [[nodiscard]] std::size_t part_of(Instant arrival) const {
    std::size_t part = 0;
    while (part + 1 < stages_.size() && stages_[part + 1].begin < arrival) ++part;
    return part;
  }

  const std::vector<StageWindow>& stages_;
  std::vector<PartSummary> parts_;
};

LoadRun run_load(const Experiment& experiment, double step_factor, double frontend_factor) {
  PartObserver observer(experiment.workload.stages);
  RunHooks hooks;
  hooks.requests = &observer;
  const RunRecord record = run_scaled(experiment, step_factor, frontend_factor, 0, hooks, 1);
  return {observer.take(), reduce(record, experiment.frame.facts)};
}

const Samples* samples_of(const PartSummary& part, const std::string& metric) {
  if (metric == "ttft") return &part.ttft;
  if (metric == "tpot") return &part.tpot;
  if (metric == "ntpot") return &part.ntpot;
  if (metric == "e2el") return &part.e2el;
  return nullptr;
}

std::optional<double> percent_of(const std::string& statistic) {
  if (statistic == "p50") return 50;
  if (statistic == "p90") return 90;
  if (statistic == "p95") return 95;
  if (statistic == "p99") return 99;
  return std::nullopt;
}

std::optional<double> rate_of(const PartSummary& part, const std::string& metric) {
  const double seconds = static_cast<double>((part.last_token - part.first_arrival).count()) / kNsPerSecond;
  if (part.completed == 0 || seconds <= 0) return std::nullopt;
  if (metric == "request_throughput") return static_cast<double>(part.completed) / seconds;
  if (metric == "output_throughput") return static_cast<double>(part.output_tokens) / seconds;
  if (metric == "total_token_throughput")
    return static_cast<double>(part.input_tokens + part.output_tokens) / seconds;
  return std::nullopt;
}

std::optional<double> gap_statistic(const LoadRun& run, const PartSummary& part,
                                    const std::string& statistic) {
  if (part.gaps == 0) return std::nullopt;
  if (statistic == "mean")
    return static_cast<double>(part.gaps_ns) / static_cast<double>(part.gaps) / kNsPerMs;
  if (run.parts.size() > 1) return std::nullopt;
  return statistic_ms(run.metrics, "itl", statistic);
}

}  // namespace

LoadForecast forecast_load(const Experiment& experiment) {
  LoadForecast forecast{run_load(experiment, 1, 1), {}, {}};
  if (!experiment.frame.calibrated) return forecast;
  const TimeErrors errors = time_errors(experiment, forecast.base.metrics);
  if (errors.steps == 0) return forecast;
  const auto at = [&](double standard_errors) {
    return run_load(experiment, factor_of(errors.steps, standard_errors),
                    factor_of(errors.frontend, standard_errors));
  };
  forecast.slow = at(Uncertainty::kStandardErrors);
  forecast.fast = at(-Uncertainty::kStandardErrors);
  return forecast;
}

std::optional<double> statistic_of(const LoadRun& run, std::size_t part, const std::string& metric,
                                   const std::string& statistic) {
  KVCAST_CHECK(part < run.parts.size());
  const PartSummary& summary = run.parts[part];
  if (metric == "itl") return gap_statistic(run, summary, statistic);
  if (statistic.empty()) return rate_of(summary, metric);
  const Samples* samples = samples_of(summary, metric);
  if (samples == nullptr || samples->count() == 0) return std::nullopt;
  if (statistic == "mean") return samples->mean_ns() / kNsPerMs;
  if (statistic == "std") return samples->std_ns() / kNsPerMs;
  if (const auto percent = percent_of(statistic)) return samples->percentile_ns(*percent) / kNsPerMs;
  return std::nullopt;
}

LatencyParts latency_parts(const Experiment& experiment, const LoadRun& run, std::size_t part) {
  const PartSummary& summary = run.parts[part];
  LatencyParts parts;
  if (summary.completed == 0) return parts;
  const Tokens input{summary.input_tokens / summary.completed};
  const double before_ms = static_cast<double>(experiment.frontend.before_engine(input).count()) / kNsPerMs;
  parts.frontend_ms = before_ms + static_cast<double>(experiment.frontend.after.count()) / kNsPerMs;
  parts.queue_ms = std::max(0.0, summary.queue.mean_ns() / kNsPerMs - before_ms);
  parts.prefill_ms = std::max(0.0, summary.ttft.mean_ns() / kNsPerMs - parts.queue_ms - parts.frontend_ms);
  parts.decode_ms = (summary.e2el.mean_ns() - summary.ttft.mean_ns()) / kNsPerMs;
  parts.preemptions = run.metrics.preemptions;
  parts.kv_usage_peak = run.metrics.kv_usage_peak;
  return parts;
}

}  // namespace kvcast
