#include "sim/metrics/uncertainty.h"

#include <algorithm>

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

/// Moved as the ends moved the base; a base of 0 is moved by the difference.
double moved(double forecast, double base, double end) {
  return base > 0 ? forecast * (end / base) : forecast + (end - base);
}

UncertainValue value_of(const char* metric, const char* statistic, double forecast, double base, double slow,
                        double fast) {
  const double a = moved(forecast, base, slow);
  const double b = moved(forecast, base, fast);
  return {metric, statistic, std::min({a, b, forecast}), std::max({a, b, forecast})};
}

}  // namespace

const UncertainValue* Uncertainty::find(const std::string& metric, const std::string& statistic) const {
  for (const UncertainValue& value : values) {
    if (value.metric == metric && value.statistic == statistic) return &value;
  }
  return nullptr;
}

std::vector<UncertainValue> spread_of(const Metrics& forecast, const Metrics& base, const Metrics& slow,
                                      const Metrics& fast) {
  std::vector<UncertainValue> values;
  for (const Latency& latency : kLatencies) {
    if ((forecast.*latency.summary).count == 0) continue;
    for (const LatencyStatistic& statistic : kStatistics) {
      const auto of = [&](const Metrics& metrics) { return metrics.*latency.summary.*statistic.value; };
      values.push_back(
          value_of(latency.metric, statistic.statistic, of(forecast), of(base), of(slow), of(fast)));
    }
  }
  for (const Rate& rate : kRates) {
    values.push_back(value_of(rate.metric, "", forecast.*rate.value, base.*rate.value, slow.*rate.value,
                              fast.*rate.value));
  }
  return values;
}

}  // namespace kvcast
