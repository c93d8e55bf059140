/// Where the time and the memory of a run went, and what single changes would do: what `kvcast explain` finds
/// out beside the forecast.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/metrics/breakdown.h"

namespace kvcast {

/// One line of a GPU's memory; the lines sum to it.
struct HbmLine {
  std::string item;
  std::int64_t bytes = 0;
  std::string source;
};

/// One change, simulated on the same requests.
struct WhatIf {
  std::string title;    // "one replica more"
  std::string setting;  // "cluster.replicas=5"; several, joined by a blank
  std::string refusal;  // why it was not run; empty: it was
  std::int64_t gpus = 0;
  double ttft_p99_ms = 0, tpot_p99_ms = 0, e2el_p99_ms = 0, output_throughput = 0;
  bool slo_met = false;
  /// What changes are ranked by: the largest ratio of a term of the SLO to its limit; without an SLO, E2EL
  /// p99 relative to the run's own. Smaller is better.
  double score = 0;
};

struct Explanation {
  std::vector<ExplainedStatistic> statistics;
  DeviceTime device;
  std::int64_t device_total_ns = 0;  // replicas x ranks x stages x (last token - first arrival)
  std::int64_t requests = 0;         // completed ones, all explained
  std::vector<HbmLine> hbm;          // of one GPU; empty where its memory is not known
  bool has_slo = false;
  WhatIf base;                  // the run itself
  std::vector<WhatIf> changes;  // the best first, then those that were refused
};

/// A change counts as one that helps where it lowers the score by more than this share.
inline constexpr double kHelps = 0.01;
/// The change to make first; null where none helps.
[[nodiscard]] inline const WhatIf* best_change(const Explanation& explanation) {
  if (explanation.changes.empty()) return nullptr;
  const WhatIf& first = explanation.changes.front();
  return first.refusal.empty() && first.score < explanation.base.score * (1 - kHelps) ? &first : nullptr;
}

}  // namespace kvcast
