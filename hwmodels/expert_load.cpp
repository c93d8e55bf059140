#include "hwmodels/expert_load.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "sim/base/error.h"
#include "sim/base/hash.h"
#include "sim/base/portable_math.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr std::uint64_t kShuffles = 64;

/// Loads by popularity, the largest first; their mean is 1.
std::vector<double> zipf_loads(double exponent, std::int64_t experts) {
  std::vector<double> loads;
  for (std::int64_t i = 1; i <= experts; ++i)
    loads.push_back(portable_exp(-exponent * portable_log(static_cast<double>(i))));
  const double mean = std::accumulate(loads.begin(), loads.end(), 0.0) / static_cast<double>(experts);
  for (double& load : loads) load /= mean;
  return loads;
}

double busiest(const std::vector<double>& loads, std::size_t room) {
  double most = 0;
  for (std::size_t first = 0; first < loads.size(); first += room) {
    double sum = 0;
    for (std::size_t i = first; i < std::min(first + room, loads.size()); ++i) sum += loads[i];
    most = std::max(most, sum);
  }
  return most / static_cast<double>(room);
}

double shuffled_busiest(const std::vector<double>& loads, std::size_t room) {
  double sum = 0;
  for (std::uint64_t s = 0; s < kShuffles; ++s) {
    std::vector<std::pair<std::uint64_t, double>> order;
    for (std::size_t i = 0; i < loads.size(); ++i) order.emplace_back(mix64(mix64(s + 1) + i), loads[i]);
    std::sort(order.begin(), order.end());
    std::vector<double> dealt;
    for (const auto& [key, load] : order) dealt.push_back(load);
    sum += busiest(dealt, room);
  }
  return sum / static_cast<double>(kShuffles);
}

double packed_busiest(const std::vector<double>& loads, std::size_t ranks, std::size_t room) {
  std::vector<double> sums(ranks);
  std::vector<std::size_t> held(ranks);
  for (const double load : loads) {
    std::size_t best = ranks;
    for (std::size_t r = 0; r < ranks; ++r) {
      if (held[r] < room && (best == ranks || sums[r] < sums[best])) best = r;
    }
    sums[best] += load;
    ++held[best];
  }
  return *std::max_element(sums.begin(), sums.end()) / static_cast<double>(room);
}

}  // namespace

double expert_skew(const ExpertLoad& load, std::int64_t experts, std::int64_t ranks) {
  KVCAST_CHECK(experts >= 1 && ranks >= 1);
  if (ranks == 1) return 1;
  switch (load.popularity) {
    case ExpertLoad::Popularity::uniform:
      return 1;
    case ExpertLoad::Popularity::given:
      return std::min(load.max_over_mean, static_cast<double>(ranks));
    case ExpertLoad::Popularity::zipf:
      break;
  }
  const std::vector<double> loads = zipf_loads(load.exponent, experts);
  const auto room = static_cast<std::size_t>(ceil_div(experts, ranks));
  return load.placement == ExpertLoad::Placement::balanced
             ? packed_busiest(loads, static_cast<std::size_t>(ranks), room)
             : shuffled_busiest(loads, room);
}

double ranks_reached(std::int64_t top_k, std::int64_t ranks) {
  double missed = 1;
  for (std::int64_t i = 0; i < top_k; ++i) missed *= 1 - 1 / static_cast<double>(ranks);
  return static_cast<double>(ranks) * (1 - missed);
}

}  // namespace kvcast
