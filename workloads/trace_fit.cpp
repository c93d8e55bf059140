#include "workloads/trace_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <ostream>
#include <unordered_map>

#include "sim/base/error.h"
#include "sim/base/portable_math.h"
#include "workloads/special_functions.h"
#include "workloads/trace_stats.h"

namespace kvcast {
namespace {

/// Runs through a fresh stream, answering closed loops at once.
template <class Visit>
void each_request(const WorkloadSetup& setup, const Visit& visit) {
  const std::unique_ptr<RequestSource> source = setup.make_source();
  while (source->next_arrival()) {
    const Request request = source->take();
    visit(request);
    source->finished(request.id, request.arrival);
  }
}

/// A table of counts, its last step refined as far as there are values to say something about it.
QuantileTable table_of(const TokenCounts& counts, std::size_t points) {
  constexpr double kValuesMin = 2;  // beyond a point of the tail
  QuantileTable table;
  table.steps = counts.quantiles(points);
  const double step = 1 / static_cast<double>(points - 1);
  for (const double part : {0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001}) {
    if (static_cast<double>(counts.count()) * step * part < kValuesMin) break;
    table.tail_p.push_back(1 - step * part);
    table.tail_q.push_back(counts.quantile(1 - step * part));
  }
  return table;
}

/// P(length <= value): a length is the nearest whole number, at least 1.
double table_cdf(const QuantileTable& table, std::int64_t value) {
  return value < 1 ? 0 : table.below(static_cast<double>(value) + 0.5);
}

/// Of the data and a mixture of equally likely tables.
double table_distance(const TokenCounts& counts, const std::vector<QuantileTable>& tables) {
  const auto cdf = [&](std::int64_t value) {
    double sum = 0;
    for (const auto& table : tables) sum += table_cdf(table, value);
    return sum / static_cast<double>(tables.size());
  };
  double largest = 0;
  std::int64_t seen = 0;
  const double n = static_cast<double>(counts.count());
  counts.each([&](std::int64_t value, std::int64_t times) {
    largest = std::max(largest, std::fabs(cdf(value - 1) - static_cast<double>(seen) / n));
    seen += times;
    largest = std::max(largest, std::fabs(cdf(value) - static_cast<double>(seen) / n));
  });
  return largest;
}

/// Output counts by band of the input's rank; equal inputs rank in order of arrival.
std::vector<TokenCounts> outputs_by_band(const WorkloadSetup& setup, const TraceStats& stats,
                                         std::size_t bands) {
  std::unordered_map<std::int64_t, std::int64_t> next_rank;  // by input; looked up only
  std::int64_t before = 0;
  stats.input.each([&](std::int64_t value, std::int64_t times) {
    next_rank[value] = before;
    before += times;
  });
  std::vector<TokenCounts> result(bands);
  each_request(setup, [&](const Request& request) {
    const std::int64_t rank = next_rank[request.input.value]++;
    result[static_cast<std::size_t>(rank * static_cast<std::int64_t>(bands) / stats.requests)].add(
        request.output.value);
  });
  return result;
}

void fit_lengths(WorkloadFit& fit, const WorkloadSetup& setup, const TraceStats& stats,
                 const FitOptions& options) {
  constexpr std::int64_t kBandRequestsMin = 100;  // fewer say little about a distribution
  fit.input = table_of(stats.input, options.points);
  const auto bands = static_cast<std::size_t>(std::clamp<std::int64_t>(
      stats.requests / kBandRequestsMin, 1, static_cast<std::int64_t>(options.bands)));
  if (bands == 1) {
    fit.outputs = {table_of(stats.output, options.points)};
  } else {
    for (const TokenCounts& counts : outputs_by_band(setup, stats, bands))
      fit.outputs.push_back(table_of(counts, options.band_points));
  }
  fit.distance_input = table_distance(stats.input, {fit.input});
  fit.distance_output = table_distance(stats.output, fit.outputs);
}

/// Distances of gaps with this mean and the fitted cv.
void set_gap_distances(WorkloadFit& fit, const GapCounts& gaps) {
  const double mean = gaps.mean_ns();
  fit.distance_poisson = gaps.distance([mean](double gap) { return 1 - portable_exp(-gap / mean); });
  const double shape = 1 / (fit.cv * fit.cv);
  fit.distance_gaps =
      gaps.distance([mean, shape](double gap) { return gamma_cdf(gap, shape, mean / shape); });
}

/// Rates by window, then the gaps in operational time: the integral of the rate between arrivals, here in
/// billionths of a request.
void fit_profile(WorkloadFit& fit, const WorkloadSetup& setup, double window_s) {
  constexpr double kUnit = 1e9;
  const double window_ns = window_s * 1e9;
  std::vector<std::int64_t> counts;
  Instant first;
  bool started = false;
  each_request(setup, [&](const Request& request) {
    if (!started) first = request.arrival;
    started = true;
    const auto window =
        static_cast<std::size_t>(static_cast<double>((request.arrival - first).count()) / window_ns);
    if (window >= counts.size()) counts.resize(window + 1);
    ++counts[window];
  });
  fit.window_s = window_s;
  std::vector<double> mass(counts.size() + 1);  // expected requests before each window
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double length_s =
        i + 1 < counts.size() ? window_s
                              : std::max(fit.duration_s - window_s * static_cast<double>(i), 1e-3 * window_s);
    fit.rates.push_back(static_cast<double>(counts[i]) / length_s);
    mass[i + 1] = mass[i] + fit.rates[i] * window_s;
  }
  GapCounts gaps;
  double last = 0;
  each_request(setup, [&](const Request& request) {
    const double at_s = static_cast<double>((request.arrival - first).count()) * 1e-9;
    const auto window = std::min(static_cast<std::size_t>(at_s / window_s), counts.size() - 1);
    const double now = mass[window] + fit.rates[window] * (at_s - window_s * static_cast<double>(window));
    if (now > last) gaps.add(static_cast<std::int64_t>((now - last) * kUnit));
    last = std::max(last, now);
  });
  fit.cv = std::clamp(gaps.cv(), 0.01, 100.0);
  set_gap_distances(fit, gaps);
}

void fit_arrivals(WorkloadFit& fit, const WorkloadSetup& setup, const TraceStats& stats,
                  const FitOptions& options) {
  fit.rate = stats.rate();
  if (fit.rate == 0) return;
  if (options.profile_window_s > 0) {
    fit_profile(fit, setup, options.profile_window_s);
    return;
  }
  fit.cv = std::clamp(stats.gaps.cv(), 0.01, 100.0);
  set_gap_distances(fit, stats.gaps);
}

/// Numbers in a YAML list, ten a line.
void write_list(const std::vector<double>& values, const std::string& indent, std::ostream& out) {
  constexpr std::size_t kPerLine = 10;
  out << "[";
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out << (i % kPerLine == 0 ? ",\n" + indent : std::string(", "));
    out << fmt::format("{:.6g}", values[i]);
  }
  out << "]";
}

void write_table(const QuantileTable& table, const std::string& indent, const std::string& first,
                 std::ostream& out) {
  out << first << "quantiles: ";
  write_list(table.steps, indent + "  ", out);
  out << "\n";
  if (table.tail_p.empty()) return;
  out << indent << "tail: {p: ";
  write_list(table.tail_p, indent + "  ", out);
  out << ", q: ";
  write_list(table.tail_q, indent + "  ", out);
  out << "}\n";
}

void write_arrivals(const WorkloadFit& fit, std::ostream& out) {
  if (fit.rate == 0) {
    out << "    arrivals: {process: at-once}\n";
  } else if (fit.rates.empty()) {
    out << fmt::format("    arrivals: {{process: gamma, rate: {:.6g}, cv: {:.4g}}}\n", fit.rate, fit.cv);
  } else {
    out << fmt::format(
        "    arrivals:\n      process: rates\n      window_s: {}\n      cv: {:.4g}\n      rates: ",
        fit.window_s, fit.cv);
    write_list(fit.rates, "        ", out);
    out << "\n";
  }
}

void write_outputs(const WorkloadFit& fit, std::ostream& out) {
  out << "    output:\n";
  if (fit.outputs.size() == 1) {
    write_table(fit.outputs.front(), "      ", "      ", out);
    return;
  }
  out << fmt::format(
      "      # One table for each of {} bands of equally many inputs, the shortest first: outputs depend on "
      "inputs.\n",
      fit.outputs.size());
  out << "      given_input:\n";
  for (const QuantileTable& table : fit.outputs) write_table(table, "          ", "        - ", out);
}

}  // namespace

WorkloadFit fit_workload(const WorkloadSetup& setup, const FitOptions& options) {
  KVCAST_CHECK(options.bands >= 1);
  KVCAST_CHECK(options.points >= 2);
  KVCAST_CHECK(options.band_points >= 2);
  const TraceStats stats = trace_stats(*setup.make_source());
  if (stats.requests == 0) throw InputError(setup.description + ": no request in it", ExitCode::bad_data);
  WorkloadFit fit;
  fit.requests = stats.requests;
  fit.duration_s = static_cast<double>(stats.duration_ns) * 1e-9;
  fit_lengths(fit, setup, stats, options);
  fit_arrivals(fit, setup, stats, options);
  return fit;
}

void write_fit(const WorkloadFit& fit, const WorkloadSetup& setup, std::ostream& out) {
  out << fmt::format("# A workload like {} requests in {:.6g} s, fitted by `kvcast trace fit` to\n",
                     fit.requests, fit.duration_s);
  for (const InputFile& input : setup.inputs) {
    out << "#   " << std::filesystem::path(input.path).filename().string() << " (XXH3 " << input.hash
        << ")\n";
  }
  if (!setup.credit.empty()) out << "# Source of the data: " << setup.credit << "\n";
  out << fmt::format(
      "# Largest distance between the distribution functions of model and data: input {:.3g}, output {:.3g}",
      fit.distance_input, fit.distance_output);
  if (fit.rate > 0) {
    out << fmt::format(",\n# gaps between arrivals {:.3g} (a Poisson process would have {:.3g})",
                       fit.distance_gaps, fit.distance_poisson);
  }
  out << ".\nworkload:\n  synthetic:\n";
  out << fmt::format("    requests: {}\n", fit.requests);
  write_arrivals(fit, out);
  out << "    input:\n";
  write_table(fit.input, "      ", "      ", out);
  write_outputs(fit, out);
}

}  // namespace kvcast
