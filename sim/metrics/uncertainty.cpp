#include "sim/metrics/uncertainty.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace kvcast {
namespace {

struct Latency {
  const char* metric;
  LatencySummary Metrics::*summary;
};
constexpr Latency kLatencies[] = {{"ttft", &Metrics::ttft},
                                  {"tpot", &Metrics::tpot},
                                  {"itl", &Metrics::itl},
                                  {"e2el", &Metrics::e2el},
                                  {"queue", &Metrics::queue}};
struct LatencyStatistic {
  const char* statistic;
  double LatencySummary::*value;
};
constexpr LatencyStatistic kStatistics[] = {{"mean", &LatencySummary::mean},
                                            {"p50", &LatencySummary::p50},
                                            {"p90", &LatencySummary::p90},
                                            {"p95", &LatencySummary::p95},
                                            {"p99", &LatencySummary::p99}};
struct Rate {
  const char* metric;
  double Metrics::*value;
};
constexpr Rate kRates[] = {{"request_throughput", &Metrics::request_throughput},
                           {"output_throughput", &Metrics::output_throughput},
                           {"total_token_throughput", &Metrics::total_token_throughput}};

/// How far one number moves.
struct Moves {
  double up = 0, down = 0;  // both positive

  void to(double from, double end) {
    up = std::max(up, end - from);
    down = std::max(down, from - end);
  }
};

/// Where the numbers of the other runs would be beside the forecast's; a base of 0 is moved by the
/// difference.
double moved(double forecast, double base, double end) {
  return base > 0 ? forecast * (end / base) : forecast + (end - base);
}

UncertainValue value_of(const char* metric, const char* statistic, double forecast, const SpeedRuns& runs,
                        const std::function<double(const Metrics&)>& of) {
  const double base = of(runs.base);
  Moves steps, frontend;
  steps.to(forecast, moved(forecast, base, of(runs.slow)));
  steps.to(forecast, moved(forecast, base, of(runs.fast)));
  if (runs.late) {
    const double late = moved(forecast, base, of(*runs.late));
    frontend.to(forecast, late);
    frontend.to(forecast, forecast - (late - forecast) / runs.late_factor);
  }
  const auto both = [](double a, double b) { return std::sqrt(a * a + b * b); };
  return {metric, statistic, std::max(0.0, forecast - both(steps.down, frontend.down)),
          forecast + both(steps.up, frontend.up)};
}

}  // namespace

const UncertainValue* Uncertainty::find(const std::string& metric, const std::string& statistic) const {
  for (const UncertainValue& value : values) {
    if (value.metric == metric && value.statistic == statistic) return &value;
  }
  return nullptr;
}

std::vector<UncertainValue> spread_of(const Metrics& forecast, const SpeedRuns& runs) {
  std::vector<UncertainValue> values;
  for (const Latency& latency : kLatencies) {
    if ((forecast.*latency.summary).count == 0) continue;
    for (const LatencyStatistic& statistic : kStatistics) {
      const auto of = [&](const Metrics& metrics) { return metrics.*latency.summary.*statistic.value; };
      values.push_back(value_of(latency.metric, statistic.statistic, of(forecast), runs, of));
    }
  }
  for (const Rate& rate : kRates) {
    const auto of = [&](const Metrics& metrics) { return metrics.*rate.value; };
    values.push_back(value_of(rate.metric, "", of(forecast), runs, of));
  }
  return values;
}

}  // namespace kvcast
