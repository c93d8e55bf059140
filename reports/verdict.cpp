#include <fmt/format.h>

#include "reports/format.h"
#include "reports/report.h"

namespace kvcast {
namespace {

std::string describe(const SloTerm& term) {
  return fmt::format("{} {} {} ({} {})", term.statistic, latency_text(term.metric).name,
                     latency(term.value_ms), term.met ? "limit" : "above", latency(term.limit_ms));
}

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

/// Requests that did not complete, by reason; empty when there are none.
std::string failures(const Metrics& metrics) {
  if (metrics.failed == 0) return "";
  std::vector<std::string> reasons;
  if (metrics.rejected_too_long > 0) {
    reasons.push_back(grouped(metrics.rejected_too_long) + " longer than max_model_len allows");
  }
  if (metrics.rejected_never_fits > 0) {
    reasons.push_back(grouped(metrics.rejected_never_fits) + " larger than the KV pool");
  }
  if (metrics.rejected_rate_limit > 0)
    reasons.push_back(grouped(metrics.rejected_rate_limit) + " over a rate limit");
  if (metrics.rejected_overload > 0)
    reasons.push_back(grouped(metrics.rejected_overload) + " refused under overload");
  if (metrics.unfinished > 0) reasons.push_back(grouped(metrics.unfinished) + " unfinished at the cut-off");
  return fmt::format(" {} of {} requests failed: {}.", grouped(metrics.failed),
                     grouped(metrics.completed + metrics.failed), join(reasons));
}

std::string rate(const Metrics& metrics) {
  return fmt::format("{} req/s ({} output tok/s)", significant(metrics.request_throughput),
                     significant(metrics.output_throughput));
}

std::string outcome(const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  if (metrics.stuck) {
    return fmt::format("Stuck: request {} can never be scheduled, a real engine would hang.",
                       metrics.stuck_request);
  }
  if (metrics.completed == 0) return "No request completed.";
  if (forecast.slo.empty()) {
    std::vector<std::string> parts{"p99 TTFT " + latency(metrics.ttft.p99)};
    if (metrics.tpot.count > 0) parts.push_back("p99 TPOT " + latency(metrics.tpot.p99));
    return fmt::format("Serves {} with {}; no SLO was set.", rate(metrics), join(parts));
  }
  std::vector<std::string> missed;
  std::vector<std::string> met;
  for (const SloTerm& term : forecast.slo) (term.met ? met : missed).push_back(describe(term));
  if (missed.empty()) return fmt::format("Meets the SLO at {}: {}.", rate(metrics), join(met));
  const std::string rest = met.empty() ? "" : "; within it: " + join(met);
  return fmt::format("Misses the SLO at {}: {}{}.", rate(metrics), join(missed), rest);
}

}  // namespace

std::string uncalibrated_text(const Forecast& forecast) {
  return "step times come from " + (forecast.timer.empty() ? "a formula" : forecast.timer) +
         ", not from measurements on this GPU.";
}

std::string verdict_of(const Forecast& forecast) {
  std::string text = outcome(forecast) + failures(forecast.metrics);
  if (forecast.metrics.preemptions > 0) {
    text += fmt::format(" The KV cache ran full: {} preemption{}.", grouped(forecast.metrics.preemptions),
                        forecast.metrics.preemptions == 1 ? "" : "s");
  }
  return text;
}

}  // namespace kvcast
