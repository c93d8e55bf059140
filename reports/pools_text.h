/// What reports say of replicas of several shapes behind one router.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/text_table.h"
#include "sim/metrics/forecast.h"

namespace kvcast {

/// The share of what a pool's links could carry in the run that KV between pools took; nothing where there is
/// none.
[[nodiscard]] std::optional<double> kv_link_fraction(const PoolForecast& pool, const Forecast& forecast);

/// A section of the result table; nothing where all replicas are of one shape.
void add_pools(TextTable& table, const Forecast& forecast);
/// A Markdown table; empty likewise.
[[nodiscard]] std::string pools_markdown(const Forecast& forecast);
/// A section of the HTML report, with the memory of each pool; empty likewise.
[[nodiscard]] std::string pools_html(const Forecast& forecast);

}  // namespace kvcast
