#include "tests/coverage/tally.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>
#include <stdexcept>

#include "tests/coverage/loads.h"

namespace kvcast::coverage {
namespace {

/// The probability that a binomial number is at most k.
double binomial_below(std::size_t k, std::size_t n, double p) {
  double log_factorials = 0, sum = 0;  // of n choose i
  for (std::size_t i = 0; i <= k; ++i) {
    if (i > 0) log_factorials += std::log(static_cast<double>(n - i + 1)) - std::log(static_cast<double>(i));
    sum += std::exp(log_factorials + static_cast<double>(i) * std::log(p) +
                    static_cast<double>(n - i) * std::log1p(-p));
  }
  return sum;
}

constexpr std::size_t kBins = 10;

std::string shares(const Bin& bin) {
  if (bin.count == 0) return "0 | |";
  const auto n = static_cast<double>(bin.count);
  return fmt::format("{} | {:.2f} | {:.2f}", bin.count, bin.stated / n, bin.truth / n);
}

}  // namespace

std::vector<Bin> binned(const std::vector<Stated>& all, bool own_met_only) {
  std::vector<Bin> bins(kBins);
  for (const Stated& stated : all) {
    if (own_met_only && !stated.own_met) continue;
    const auto at = static_cast<std::size_t>(stated.probability * static_cast<double>(kBins));
    Bin& bin = bins[std::min(at, kBins - 1)];
    ++bin.count;
    bin.stated += stated.probability;
    bin.truth += stated.truth;
  }
  return bins;
}

std::vector<Bin> read_bins(const std::string& text, const std::string& title) {
  std::vector<Bin> bins(kBins);
  std::istringstream lines(text);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("meets the SLO with probability") != std::string::npos)
      inside = line.find(title) != std::string::npos;
    if (!inside || !line.starts_with("| 0.")) continue;
    double low = 0, high = 0, stated = 0, truth = 0;
    std::size_t count = 0;
    const int read =
        std::sscanf(line.c_str(), "| %lf to %lf | %zu | %lf | %lf |", &low, &high, &count, &stated, &truth);
    if (read < 3 || (count > 0 && read < 5))
      throw std::invalid_argument("no row of a reliability table: " + line);
    Bin& bin = bins.at(static_cast<std::size_t>(low * static_cast<double>(kBins) + 0.5));
    bin.count += count;
    bin.stated += stated * static_cast<double>(count);
    bin.truth += truth * static_cast<double>(count);
  }
  return bins;
}

Bounds bounds_for(std::size_t count) {
  constexpr double kLuck = 1e-3;
  Bounds bounds{0, count};
  while (binomial_below(bounds.least, count, 0.85) < kLuck) ++bounds.least;
  while (bounds.most > 0 && 1 - binomial_below(bounds.most - 1, count, 0.95) < kLuck) --bounds.most;
  return bounds;
}

std::string coverage_table(const std::vector<Coverage>& all) {
  std::string head = "| |", rule = "|---|";
  for (const Coverage& coverage : all) {
    head += " " + coverage.load + " |";
    rule += "---:|";
  }
  std::string text = head + "\n" + rule + "\n";
  for (const Figure& figure : figures()) {
    text += fmt::format("| {} |", figure.key);
    for (const Coverage& coverage : all) {
      const auto found = coverage.held.find(figure.key);
      text += found == coverage.held.end()
                  ? " |"
                  : fmt::format(" {:.1f} % |", 100.0 * static_cast<double>(found->second) /
                                                   static_cast<double>(coverage.count));
    }
    text += "\n";
  }
  return text;
}

std::string reliability_table(const std::vector<Stated>& all) {
  std::string text =
      "| stated | all | mean stated | came true | own sample meets | mean stated | came true |\n"
      "|---|---:|---:|---:|---:|---:|---:|\n";
  const std::vector<Bin> every = binned(all, false), own = binned(all, true);
  for (std::size_t k = 0; k < kBins; ++k)
    text += fmt::format("| {:.1f} to {:.1f} | {} | {} |\n", static_cast<double>(k) / kBins,
                        static_cast<double>(k + 1) / kBins, shares(every[k]), shares(own[k]));
  return text;
}

std::vector<std::string> failures_of(const std::vector<Coverage>& all) {
  std::vector<std::string> failures;
  for (const Coverage& coverage : all) {
    const Bounds bounds = bounds_for(coverage.count);
    for (const auto& [figure, held] : coverage.held) {
      if (held >= bounds.least && held <= bounds.most) continue;
      failures.push_back(fmt::format("{}, {}: {} of {} intervals of {} hold; {} to {} would be luck",
                                     coverage.estimator, coverage.load, held, coverage.count, figure,
                                     bounds.least, bounds.most));
    }
  }
  return failures;
}

std::vector<std::string> failures_of(const std::string& estimator, const std::vector<Stated>& all) {
  constexpr double kTolerance = 0.1;  // of a probability
  constexpr double kErrors = 3.5;     // standard errors that luck may add, of the bin's own spread
  std::vector<std::string> failures;
  const std::vector<Bin> bins = binned(all, false);
  for (const Bin& bin : bins) {
    if (bin.count < 2) continue;
    const auto n = static_cast<double>(bin.count);
    const double stated = bin.stated / n, truth = bin.truth / n;
    const double luck = kErrors * std::sqrt(std::max(stated * (1 - stated), 0.01) / n);
    if (std::abs(stated - truth) <= kTolerance + luck) continue;
    failures.push_back(fmt::format("{}: {} probabilities of {:.2f} on average came true in {:.2f}", estimator,
                                   bin.count, stated, truth));
  }
  return failures;
}

}  // namespace kvcast::coverage
