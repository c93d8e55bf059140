#include "sim/plan/seasons.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "sim/base/portable_math.h"

namespace kvcast {
namespace {

constexpr std::size_t kParts = 8;  // of a period
constexpr std::size_t kCyclesMin = 3;
constexpr std::size_t kCyclesMax = 128;
constexpr std::size_t kRequestsPerCycle = 32;
constexpr double kDetected = 5;   // standard deviations, of the best of some hundred periods
constexpr double kExplained = 3;  // of one comparison

double cube_root(double x) { return x > 0 ? portable_exp(portable_log(x) / 3) : 0; }

/// How many standard deviations beyond chance a ratio of variances is. Source: Paulson 1942.
double normal_score(double ratio, double above, double below) {
  const double a = 2 / (9 * above), b = 2 / (9 * below), root = cube_root(ratio);
  return ((1 - b) * root - (1 - a)) / std::sqrt(b * root * root + a);
}

/// Arrivals as offsets from the first, in nanoseconds.
struct Arrivals {
  std::vector<double> at;
  double span = 0;
};

Arrivals arrivals_of(const std::vector<Request>& requests) {
  Arrivals arrivals;
  for (const Request& request : requests)
    arrivals.at.push_back(static_cast<double>((request.arrival - requests.front().arrival).count()));
  if (!arrivals.at.empty()) arrivals.span = arrivals.at.back();
  return arrivals;
}

/// Counts of a period's parts, one row for each whole cycle.
struct Fold {
  std::size_t cycles = 0, parts = 0;
  std::vector<double> counts;

  [[nodiscard]] double mean_of(std::size_t part, std::size_t parts_in_all) const {
    double sum = 0;
    for (std::size_t i = part; i < counts.size(); i += parts_in_all) sum += counts[i];
    return sum / (static_cast<double>(counts.size()) / static_cast<double>(parts_in_all));
  }

  /// Squares that are left where every part of a period of so many parts has its own mean. The number of
  /// counts is a multiple of `parts_in_all`.
  [[nodiscard]] double squares_within(std::size_t parts_in_all) const {
    double squares = 0;
    for (std::size_t part = 0; part < parts_in_all; ++part) {
      const double mean = mean_of(part, parts_in_all);
      for (std::size_t i = part; i < counts.size(); i += parts_in_all)
        squares += (counts[i] - mean) * (counts[i] - mean);
    }
    return squares;
  }
};

Fold fold(const Arrivals& arrivals, double period, std::size_t parts) {
  Fold folded;
  folded.parts = parts;
  folded.cycles = static_cast<std::size_t>(arrivals.span / period + 1e-9);
  folded.counts.assign(folded.cycles * parts, 0);
  const double width = period / static_cast<double>(parts);
  for (const double at : arrivals.at) {
    const auto cell = static_cast<std::size_t>(at / width);
    if (cell >= folded.counts.size()) break;
    ++folded.counts[cell];
  }
  return folded;
}

/// How far beyond chance `more` parts explain the counts better than `fewer` (a divisor of them) do.
double score_of(const Fold& folded, std::size_t fewer, std::size_t more) {
  const auto cells = static_cast<double>(folded.counts.size());
  const double between = static_cast<double>(more - fewer), left = cells - static_cast<double>(more);
  const double within = folded.squares_within(more);
  if (!(left > 0) || !(within > 0)) return 0;
  const double explained = folded.squares_within(fewer) - within;
  return normal_score((explained / between) / (within / left), between, left);
}

double score_of(const Arrivals& arrivals, double cycles) {
  return score_of(fold(arrivals, arrivals.span / cycles, kParts), 1, kParts);
}

/// The number of cycles, not whole, that folds best.
std::optional<double> best_cycles(const Arrivals& arrivals) {
  constexpr double kStep = 1.0 / 8;  // over all of the traffic an eighth of a cycle
  const auto most = static_cast<double>(std::min(kCyclesMax, arrivals.at.size() / kRequestsPerCycle));
  double best = 0, best_score = kDetected;
  const auto look = [&](double cycles) {
    if (cycles < static_cast<double>(kCyclesMin) || cycles > most) return;
    const double score = score_of(arrivals, cycles);
    if (score > best_score) {
      best_score = score;
      best = cycles;
    }
  };
  for (double cycles = static_cast<double>(kCyclesMin); cycles <= most; cycles += kStep) look(cycles);
  if (best == 0) return std::nullopt;
  const double around = best;
  for (int i = -7; i <= 7; ++i) look(around + i * kStep / 8);
  return best;
}

/// A period with the number of parts that its waves are told apart by.
struct Period {
  double length = 0;
  std::size_t parts = kParts;
};

/// The longer period that explains more, or the shorter one that explains as much.
Period settled(const Arrivals& arrivals, double period) {
  constexpr std::size_t kMultiples[] = {2, 3, 4, 6};
  for (const std::size_t times : kMultiples) {
    const double longer = period * static_cast<double>(times);
    if (longer * static_cast<double>(kCyclesMin) > arrivals.span) break;
    if (score_of(fold(arrivals, longer, kParts * times), kParts, kParts * times) > kExplained)
      return {longer, kParts * times};
  }
  Period settled{period, kParts};
  for (const std::size_t parts : {std::size_t{4}, std::size_t{2}}) {
    if (score_of(fold(arrivals, period, kParts), parts, kParts) > kExplained) break;
    settled.length = period * static_cast<double>(parts) / static_cast<double>(kParts);
  }
  return settled;
}

}  // namespace

double Season::intensity_at(Duration after) const {
  if (none()) return 1;
  const std::int64_t into = after.count() % period.count();
  const auto part = static_cast<std::size_t>(static_cast<double>(into) / static_cast<double>(period.count()) *
                                             static_cast<double>(intensity.size()));
  return intensity[std::min(part, intensity.size() - 1)];
}

Season season_of(const std::vector<Request>& requests) {
  const Arrivals arrivals = arrivals_of(requests);
  if (!(arrivals.span > 0)) return {};
  const std::optional<double> cycles = best_cycles(arrivals);
  if (!cycles) return {};
  const Period period = settled(arrivals, arrivals.span / *cycles);
  const Fold folded = fold(arrivals, period.length, period.parts);
  Season season;
  season.period = Duration{std::llround(period.length)};
  double sum = 0;
  for (std::size_t part = 0; part < period.parts; ++part) {
    season.intensity.push_back(folded.mean_of(part, period.parts));
    sum += season.intensity.back();
  }
  for (double& intensity : season.intensity) intensity *= static_cast<double>(period.parts) / sum;
  return season;
}

}  // namespace kvcast
