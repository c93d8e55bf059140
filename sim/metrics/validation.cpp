#include "sim/metrics/validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr double kFullPool = 0.98;  // a peak use from which on requests wait for blocks

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

bool memory_bound(const LatencyParts& parts) {
  return parts.preemptions > 0 || parts.kv_usage_peak >= kFullPool;
}

/// The largest part of the time to the first token.
ErrorCause cause_before_first_token(const LatencyParts& parts) {
  if (parts.queue_ms >= parts.prefill_ms && parts.queue_ms >= parts.frontend_ms)
    return memory_bound(parts) ? ErrorCause::memory : ErrorCause::queueing;
  return parts.prefill_ms >= parts.frontend_ms ? ErrorCause::prefill : ErrorCause::host;
}

ErrorCause cause_between_tokens(const LatencyParts& parts) {
  return memory_bound(parts) ? ErrorCause::memory : ErrorCause::decode;
}

/// Milliseconds by which the forecast of a metric's mean is off; nothing where the mean was not measured.
std::optional<double> off_ms(const ValidatedLoad& load, const std::string& metric) {
  for (const ValidatedValue& value : load.values) {
    if (value.metric == metric && value.statistic == "mean") return value.forecast - value.measured;
  }
  return std::nullopt;
}

ErrorCause cause_of(const ValidatedLoad& load, const LatencyParts& parts) {
  const std::string& metric = load.values[load.worst].metric;
  if (metric == "ttft") return cause_before_first_token(parts);
  if (metric == "tpot" || metric == "itl") return cause_between_tokens(parts);
  const std::optional<double> ttft = off_ms(load, "ttft");
  const std::optional<double> e2el = off_ms(load, "e2el");
  if (ttft && e2el && std::abs(*ttft) > std::abs(*e2el - *ttft)) return cause_before_first_token(parts);
  return cause_between_tokens(parts);
}

}  // namespace

double ValidatedValue::error() const { return measured == 0 ? 0 : (forecast - measured) / measured; }

const char* name_of(ErrorCause cause) {
  switch (cause) {
    case ErrorCause::queueing:
      return "queueing";
    case ErrorCause::prefill:
      return "prefill";
    case ErrorCause::decode:
      return "decode";
    case ErrorCause::memory:
      return "memory";
    case ErrorCause::host:
      return "host";
  }
  KVCAST_CHECK(false);
}

std::vector<ErrorSummary> summarize_errors(const Validation& validation) {
  std::vector<ErrorSummary> summaries;
  std::vector<std::vector<double>> errors;
  for (const ValidatedLoad& load : validation.loads) {
    for (const ValidatedValue& value : load.values) {
      const auto known = std::find_if(summaries.begin(), summaries.end(), [&](const ErrorSummary& summary) {
        return summary.metric == value.metric && summary.statistic == value.statistic;
      });
      const auto at = static_cast<std::size_t>(known - summaries.begin());
      if (known == summaries.end()) {
        summaries.push_back({value.metric, value.statistic});
        errors.emplace_back();
      }
      errors[at].push_back(std::abs(value.error()));
    }
  }
  for (std::size_t i = 0; i < summaries.size(); ++i) {
    summaries[i].count = errors[i].size();
    summaries[i].largest = *std::max_element(errors[i].begin(), errors[i].end());
    summaries[i].median = median_of(std::move(errors[i]));
  }
  return summaries;
}

double largest_error(const Validation& validation) {
  double largest = 0;
  for (const ValidatedLoad& load : validation.loads) {
    for (const ValidatedValue& value : load.values) largest = std::max(largest, std::abs(value.error()));
  }
  return largest;
}

Coverage coverage_of(const Validation& validation) {
  Coverage coverage;
  for (const ValidatedLoad& load : validation.loads) {
    for (const ValidatedValue& value : load.values) {
      coverage.of += value.interval ? 1U : 0U;
      coverage.inside += value.covered() ? 1U : 0U;
    }
  }
  return coverage;
}

void find_cause(ValidatedLoad& load, const LatencyParts& parts) {
  KVCAST_CHECK(!load.values.empty());
  const auto larger = [](const ValidatedValue& a, const ValidatedValue& b) {
    return std::abs(a.error()) < std::abs(b.error());
  };
  load.worst = static_cast<std::size_t>(std::max_element(load.values.begin(), load.values.end(), larger) -
                                        load.values.begin());
  load.cause = cause_of(load, parts);
  load.why = fmt::format(
      "forecast on average: queue {:.1f} ms, host before and after the engine {:.1f} ms, prefill {:.1f} ms, "
      "first to last "
      "token {:.0f} ms, KV peak {:.0f} %, {} preemptions",
      parts.queue_ms, parts.frontend_ms, parts.prefill_ms, parts.decode_ms, 100 * parts.kv_usage_peak,
      parts.preemptions);
}

void add_provenance(const std::vector<Assumption>& assumptions, const std::vector<InputHash>& inputs,
                    Validation& validation) {
  for (const Assumption& assumption : assumptions) {
    const auto& known = validation.assumptions;
    if (std::none_of(known.begin(), known.end(),
                     [&](const Assumption& other) { return other.text == assumption.text; }))
      validation.assumptions.push_back(assumption);
  }
  for (const InputHash& input : inputs) {
    const auto& known = validation.inputs;
    if (std::none_of(known.begin(), known.end(), [&](const InputHash& other) {
          return other.path == input.path && other.hash == input.hash;
        }))
      validation.inputs.push_back(input);
  }
  std::stable_sort(validation.inputs.begin(), validation.inputs.end(),
                   [](const InputHash& a, const InputHash& b) { return a.path < b.path; });
}

}  // namespace kvcast
