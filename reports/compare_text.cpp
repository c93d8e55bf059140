#include "reports/compare_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/compare_report.h"
#include "reports/format.h"

namespace kvcast {
namespace {

const char* const kHeadlines[] = {"request_goodput",
                                  "output_throughput",
                                  "p99_ttft_ms",
                                  "p99_tpot_ms",
                                  "mean_e2el_ms",
                                  "kv.tokens_total",
                                  "cost.per_million_output_tokens"};

std::string lower_first(const char* title) {
  std::string text = title;
  // "Mean TTFT" -> "mean TTFT", but "KV tokens" and "GPU busy" stay.
  if (text.size() > 1 && text[1] >= 'a' && text[1] <= 'z' && text[0] >= 'A' && text[0] <= 'Z')
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

std::string signed_percent(double fraction) {
  const double value = 100 * fraction;
  const int digits = std::abs(value) < 9.95 ? 1 : 0;
  return fmt::format("{:+.{}f}", value, digits);
}

const ComparedCell& baseline_of(const Comparison& comparison) {
  return comparison.cells[comparison.baseline];
}

/// Whether a change is worth a word: significant, or exact and there.
bool differs(const Difference& difference) {
  const bool shows = std::abs(difference.relative) >= 0.0005 ||  // as more than 0.0 %
                     (std::isnan(difference.relative) && difference.absolute != 0);
  return shows && (!difference.interval || difference.significant);
}

bool improves(const ComparedMetric& metric, const Difference& difference) {
  return metric.better == Better::lower ? difference.absolute < 0 : difference.absolute > 0;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == parts.size() ? " and " : ", ") + parts[i];
  }
  return text;
}

std::string change_in_words(const Comparison& comparison, const ComparedCell& cell, std::size_t at) {
  const ComparedMetric& metric = compared_metrics()[at];
  const Difference& difference = cell.differences[at];
  const double base = baseline_of(comparison).values[at];
  const std::string values =
      fmt::format("{} instead of {}", value_text(metric, cell.values[at]), value_text(metric, base));
  // The mean over samples is not what lies between the values of one of them.
  if (comparison.replicating == Replicating::by_seed && difference.interval &&
      !std::isnan(difference.relative))
    return fmt::format("{} {} (90 % interval {}; {} in the sample shown)", lower_first(metric.title),
                       change_text(metric, difference), interval_text(metric, difference, base), values);
  std::string text = lower_first(metric.title) + " " + values;
  if (std::isnan(difference.relative)) return text;
  text += fmt::format(" ({}", change_text(metric, difference));
  if (difference.interval) text += fmt::format("; 90 % interval {}", interval_text(metric, difference, base));
  return text + ")";
}

}  // namespace

std::string value_text(const ComparedMetric& metric, double value) {
  if (std::isnan(value)) return "-";
  const std::string unit = metric.unit;
  if (unit == "ms") return latency(value);
  if (unit == "share") return percent(value);
  if (unit == "USD") return fixed(value, 2) + " USD";
  if (unit.empty()) return grouped(std::llround(value));
  if (unit == "tokens" || unit == "B") return grouped(std::llround(value)) + " " + unit;
  return significant(value) + " " + unit;
}

std::string change_text(const ComparedMetric& metric, const Difference& difference) {
  if (std::isnan(difference.absolute)) return "-";
  if (difference.absolute == 0) return "=";
  const bool points = std::string(metric.unit) == "share";  // of shares, the change in points
  if (points) return fmt::format("{:+.1f} points", 100 * difference.absolute);
  if (std::isnan(difference.relative)) {
    return (difference.absolute > 0 ? "+" : "-") + value_text(metric, std::abs(difference.absolute));
  }
  if (difference.relative >= 9.995) return fmt::format("x {}", significant(1 + difference.relative));
  return signed_percent(difference.relative) + " %";
}

std::string interval_text(const ComparedMetric& metric, const Difference& difference, double baseline) {
  if (!difference.interval || std::isnan(difference.interval->low)) return "";
  if (difference.interval->low == 0 && difference.interval->high == 0) return "";
  const Interval& interval = *difference.interval;
  if (!difference.relative_interval || std::isnan(baseline)) {
    return fmt::format("{} to {}", value_text(metric, interval.low), value_text(metric, interval.high));
  }
  const double low = difference.relative_interval->low, high = difference.relative_interval->high;
  if (high >= 9.995) return fmt::format("x {} to {}", significant(1 + low), significant(1 + high));
  return fmt::format("{} to {} %", signed_percent(low), signed_percent(high));
}

std::string mark_text(const Difference& difference) {
  if (difference.interval) return difference.significant ? "*" : "";
  return differs(difference) ? "exact" : "";
}

bool is_shown(const Comparison& comparison, std::size_t metric) {
  return std::any_of(comparison.cells.begin(), comparison.cells.end(), [&](const ComparedCell& cell) {
    return !cell.values.empty() && !std::isnan(cell.values[metric]);
  });
}

std::vector<std::size_t> headline_metrics(const Comparison& comparison) {
  std::vector<std::size_t> list;
  for (const char* key : kHeadlines) {
    if (is_shown(comparison, metric_index(key))) list.push_back(metric_index(key));
  }
  return list;
}

std::string cell_sentence(const Comparison& comparison, const ComparedCell& cell) {
  if (!cell.refusal.empty()) return cell.label + " was not run: " + cell.refusal;
  const ComparedCell& base = baseline_of(comparison);
  if (&cell == &base) return cell.label + " is the baseline.";
  std::vector<std::string> changed, same;
  for (const std::size_t at : headline_metrics(comparison)) {
    if (std::isnan(cell.values[at]) || std::isnan(base.values[at])) continue;
    if (differs(cell.differences[at])) {
      changed.push_back(change_in_words(comparison, cell, at));
    } else if (cell.differences[at].interval) {
      same.push_back(lower_first(compared_metrics()[at].title));
    }
  }
  // A sentence to quote: the table has the rest.
  constexpr std::size_t kChangesMax = 3;
  if (changed.size() > kChangesMax) {
    const std::size_t more = changed.size() - kChangesMax;
    changed.resize(kChangesMax);
    changed.push_back(fmt::format("{} more of the headline numbers", more));
  }
  std::string text = fmt::format("{} against {}: {}", cell.label, base.label,
                                 changed.empty() ? "no significant change" : joined(changed));
  if (!changed.empty() && !same.empty()) text += "; no significant change of " + joined(same);
  if (comparison.has_slo && cell.slo_met != base.slo_met)
    text += cell.slo_met ? "; it meets the SLO, which the baseline misses"
                         : "; it misses the SLO, which the baseline meets";
  return text + ".";
}

std::string sentence_of(const Comparison& comparison) {
  // The cell and headline metric with the largest significant improvement.
  const ComparedCell* best = nullptr;
  std::size_t variants = 0;
  double most = 0;
  for (const ComparedCell& cell : comparison.cells) {
    if (cell.differences.empty()) continue;
    ++variants;
    for (const std::size_t at : headline_metrics(comparison)) {
      const ComparedMetric& metric = compared_metrics()[at];
      const Difference& difference = cell.differences[at];
      if (!metric.sampled || !differs(difference) || !improves(metric, difference)) continue;
      const double base = baseline_of(comparison).values[at];
      const double gain = metric.better == Better::lower ? base / cell.values[at] : cell.values[at] / base;
      if (gain > most) {
        most = gain;
        best = &cell;
      }
    }
  }
  if (variants == 0) return "Only " + baseline_of(comparison).label + " could be run.";
  if (variants == 1) {
    const auto cell = std::find_if(comparison.cells.begin(), comparison.cells.end(),
                                   [](const ComparedCell& one) { return !one.differences.empty(); });
    return cell_sentence(comparison, *cell);
  }
  if (best == nullptr)
    return fmt::format("None of {} variants is significantly better than {} in a headline number.", variants,
                       baseline_of(comparison).label);
  return fmt::format("Of {} variants the largest gain is that of {}", variants,
                     cell_sentence(comparison, *best));
}

namespace {

/// Where measured step times stand against those of data sheets, the latter win what they would not on a real
/// GPU.
std::string calibration_text(const Comparison& comparison) {
  std::size_t ran = 0, calibrated = 0;
  for (const ComparedCell& cell : comparison.cells) {
    if (!cell.refusal.empty()) continue;
    ++ran;
    calibrated += cell.forecast.calibrated ? 1 : 0;
  }
  if (calibrated == ran) return "";
  if (calibrated == 0) return " Step times are uncalibrated, in all cells.";
  return " Beware: some cells have calibrated step times and others those of data sheets, which real engines "
         "do not reach.";
}

}  // namespace

std::string blocks_text(const TrafficBlocks& blocks, std::size_t requests) {
  const std::string text =
      fmt::format("in blocks of {} of its {} requests", grouped(static_cast<std::int64_t>(blocks.length)),
                  grouped(static_cast<std::int64_t>(requests)));
  if (blocks.period_s <= 0) return text;
  return text +
         fmt::format(", each in place of another at the same time of a period: arrivals repeat every {} s",
                     significant(blocks.period_s));
}

namespace {

std::string samples_text(const Comparison& comparison) {
  const std::string alike = comparison.paired
                                ? ", the same in all cells"
                                : "; cells with another number of requests have samples of their own";
  switch (comparison.replicating) {
    case Replicating::by_seed:
      return fmt::format(
          "Intervals (90 %) come from simulating {} more samples of the traffic{}; differences are means "
          "over "
          "all samples",
          comparison.samples, alike);
    case Replicating::by_blocks:
      return fmt::format("Intervals (90 %) come from simulating {} resamples of the traffic {}{}",
                         comparison.samples, blocks_text(comparison.blocks, comparison.requests), alike);
    case Replicating::by_outcomes:
      break;
  }
  return fmt::format(
      "Intervals hold 90 % of {} moving-block bootstrap replicates (blocks of {} of {} requests in order of "
      "arrival{})",
      grouped(static_cast<std::int64_t>(comparison.resampling.replicates)),
      grouped(static_cast<std::int64_t>(comparison.resampling.block_length)),
      grouped(static_cast<std::int64_t>(comparison.requests)), alike);
}

}  // namespace

std::string method_text(const Comparison& comparison) {
  return samples_text(comparison) +
         ": they say how much another sample of the same traffic would change the difference, not how wrong "
         "the step times are. * marks what differs with a false discovery rate of 10 % over the whole "
         "comparison (Benjamini-Hochberg); numbers without an interval follow from the deployment or from "
         "this run alone." +
         calibration_text(comparison);
}

}  // namespace kvcast
