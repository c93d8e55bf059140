/// What `compare` and `sweep` share: grids of settings (--vary), and running one point of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/app/experiments.h"
#include "sim/plan/traffic.h"

namespace kvcast {

/// One `--vary path=a,b,c`.
struct Variation {
  std::string path;
  std::vector<std::string> values;  // at least two, unlike
};

/// \throws InputError where the text is no "path=a,b" of at least two unlike values. Commas inside brackets
/// and quotes part nothing
[[nodiscard]] Variation parse_variation(const std::string& text);

/// parse_variation of each. \throws InputError where two have one path
[[nodiscard]] std::vector<Variation> parse_variations(const std::vector<std::string>& texts);

/// Number of combinations, 1 without variations.
/// \throws InputError where they are more than `max`
[[nodiscard]] std::int64_t count_combinations(const std::vector<Variation>& variations, std::int64_t max);

/// Combination `index` of count_combinations(): a setting for each variation, in their order; the last
/// variation changes fastest.
[[nodiscard]] std::vector<Setting> combination(const std::vector<Variation>& variations, std::int64_t index);

/// "kv_cache_dtype=fp8, block_size=16"
[[nodiscard]] std::string label_of(const std::vector<Setting>& settings);

/// Why a point of a grid was not run.
enum class Refusal : std::uint8_t {
  none,        // it was
  impossible,  // no engine takes these settings together
  infeasible,  // it does not fit
};

/// A point that was run, or why it was not.
struct RanPoint {
  std::optional<RanExperiment> run;
  Refusal refused = Refusal::none;
  std::string reason;
};

/// Opens, composes and runs `scenario` with `settings` and then the point's own. \param traffic in place of
/// the workload's; null: its own \throws InputError for input that cannot be read, and for a scenario that is
/// wrong without any setting of the point
[[nodiscard]] RanPoint run_point(const std::string& scenario, const std::vector<Setting>& settings,
                                 const std::vector<Setting>& point, const Traffic& traffic = nullptr);

/// How one point of a grid came out, for refuse_useless_values().
struct PointOutcome {
  std::vector<Setting> settings;
  Refusal refused = Refusal::none;
  std::string reason;
};

/// A value that no combination accepts is a mistake of the user, not a result.
/// \throws InputError with the reason of the first point that has such a value
void refuse_useless_values(const std::vector<PointOutcome>& points);

}  // namespace kvcast
