/// The search for the best point of a design space. Every candidate stands at its least possible cost; again
/// and again those that stand lowest are simulated on more of the traffic, which raises them, until one
/// stands lowest on all of it. Every run sees the same requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

namespace kvcast {

/// What is searched for.
enum class Objective : std::uint8_t {
  cost,     // the cheapest number of replicas that meets the SLO
  goodput,  // the most requests per second within the SLO, on the largest number of replicas
};

/// Everything but the number of replicas is fixed: a ladder of clusters of growing cost.
struct Candidate {
  std::int64_t replicas_min = 1;  // fewer cannot meet the SLO
  std::int64_t replicas_max = 1;
  double cost_per_replica = 0;
};

/// How one run did.
struct Score {
  bool met = false;       // every term of the SLO, and nothing was left behind
  double strain = 0;      // the largest value / limit of all terms; infinite where the run failed
  double goodput = 0;     // requests per second within the SLO
  double good_share = 0;  // of all requests; comparable between runs of unlike length
};

/// One run: candidate, replicas, requests (the first so many).
struct Trial {
  std::size_t candidate = 0;
  std::int64_t replicas = 1;
  std::size_t requests = 0;
  Score score;
};

struct SearchSettings {
  Objective objective = Objective::cost;
  std::size_t requests = 0;       // of the whole traffic
  double work_share = 0.08;       // of simulating every point on all requests; small spaces may take more
  std::size_t finalists_min = 4;  // simulated on the whole traffic
  std::size_t finalists_max = 10;
  unsigned threads = 1;
};

/// The best that a candidate showed on the whole traffic.
struct Finalist {
  std::size_t candidate = 0;
  std::int64_t replicas = 1;
  Score score;
};

struct SearchResult {
  std::vector<Finalist> finalists;  // best first; those that meet the SLO come before those that do not
  std::vector<Trial> trials;        // every run, in an order that does not depend on threads
  std::size_t points = 0;           // candidates x replicas
  double work_share = 0;            // requests simulated / (points x requests)
};

/// \param run simulates one trial; called from several threads, equal trials give equal scores
/// \param progress runs done so far; called from one thread at a time
[[nodiscard]] SearchResult search(const std::vector<Candidate>& candidates, const SearchSettings& settings,
                                  const std::function<Score(const Trial&)>& run,
                                  const std::function<void(std::size_t)>& progress);

/// Every point that could win on the whole traffic, also those that bounds exclude: what search() is checked
/// against. Where the cheapest is sought, points are simulated in rising order of cost, those of equal cost
/// together, up to the first cost at which one meets the SLO: dearer ones cannot win, whatever they show.
/// \throws check failure where an excluded point meets the SLO
[[nodiscard]] SearchResult search_all(const std::vector<Candidate>& candidates,
                                      const SearchSettings& settings,
                                      const std::function<Score(const Trial&)>& run,
                                      const std::function<void(std::size_t)>& progress);

/// The order in which points are preferred: cost - meeting the SLO first, then the cheaper; goodput - the
/// higher; then the one further from its limits. \returns true where a is better than b
[[nodiscard]] bool is_better(const Finalist& a, double cost_a, const Finalist& b, double cost_b,
                             Objective objective);

}  // namespace kvcast
