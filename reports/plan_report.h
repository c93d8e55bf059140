/// The writers of a plan (sim/plan/plan_result.h). All are pure and deterministic.
#pragma once

#include <string>

#include "sim/plan/plan_result.h"

namespace kvcast {

/// For a terminal, at most 100 columns where labels allow it.
[[nodiscard]] std::string to_table(const PlanResult& plan, bool color);
[[nodiscard]] std::string to_json(const PlanResult& plan);
/// One row for each point that is shown.
[[nodiscard]] std::string to_csv(const PlanResult& plan);
[[nodiscard]] std::string to_markdown(const PlanResult& plan);
/// One HTML file, no script, no outside address.
[[nodiscard]] std::string to_html(const PlanResult& plan);

/// How the search was done, in two sentences.
[[nodiscard]] std::string search_text(const PlanResult& plan);
/// What the intervals and the probability mean.
[[nodiscard]] std::string interval_method(const PlanResult& plan);
/// "p99 TTFT 84.2 ms [80.1 to 90.3], limit 2,000 ms, head room 95.8 %"
[[nodiscard]] std::string term_text(const PlanTerm& term);

}  // namespace kvcast
