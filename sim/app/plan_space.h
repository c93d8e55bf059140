/// The `plan:` section of a scenario: what `kvcast plan` may choose, and what for.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/config.h"

namespace kvcast {

/// What the answer should be best at.
enum class PlanGoal : std::uint8_t {
  cost,     // the cheapest cluster that meets the SLO
  goodput,  // the most requests per second within the SLO on max_gpus
  rate,     // the largest multiple of the traffic that max_gpus carry within the SLO
};

/// Names of one choice; empty: as the scenario says.
struct PlanSpace {
  PlanGoal goal = PlanGoal::cost;
  std::vector<std::string> gpus;
  std::vector<std::string> tensor_parallel_size, kv_cache_dtype, block_size, max_num_seqs,
      max_num_batched_tokens, enable_prefix_caching, router;
  std::map<std::string, std::vector<std::string>> vary;  // any other path of the scenario
  std::int64_t max_gpus = 32;
  std::map<std::string, double> prices;  // USD per GPU and hour, by name; others as the catalogue has them
  double growth = 1;                     // the traffic's rate is multiplied by it
  std::int64_t requests_max = 50'000;    // longer traffic is cut
};

/// Reads `plan`; an absent section gives the defaults.
/// \throws InputError for unknown keys (at the root's finish()) and impossible values
[[nodiscard]] PlanSpace read_plan_space(Config& root);

/// \throws InputError at `where` for a path that plan sets itself, or that traffic and SLO hang on
void refuse_fixed_path(const std::string& where, const std::string& path);

[[nodiscard]] std::string to_string(PlanGoal goal);

}  // namespace kvcast
