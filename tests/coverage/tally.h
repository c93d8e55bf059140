/// Counts of intervals that hold what is true, and of probabilities beside what came of them.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/plan/bootstrap.h"

namespace kvcast::coverage {

/// Of one estimator on one load.
struct Coverage {
  std::string estimator, load;
  std::size_t count = 0;                    // replications
  std::map<std::string, std::size_t> held;  // by figure

  void add(const std::string& figure, const Interval& interval, double truth) {
    held[figure] += interval.low <= truth && truth <= interval.high ? 1U : 0U;
  }
};

/// A stated probability of meeting the SLO, and the share of further samples that do.
struct Stated {
  double probability = 0;
  double truth = 0;
  bool own_met = false;  // the sample that it was stated from meets the SLO, as a plan's winner does
};

/// Probabilities of one tenth.
struct Bin {
  std::size_t count = 0;
  double stated = 0, truth = 0;  // sums
};
/// Ten. \param own_met_only of samples alone that meet the SLO themselves
[[nodiscard]] std::vector<Bin> binned(const std::vector<Stated>& all, bool own_met_only);

/// The bins of all samples in tables that reliability_table() wrote, below a line that holds `title`; added
/// up where there are several. \throws std::invalid_argument for a row that is none of it
[[nodiscard]] std::vector<Bin> read_bins(const std::string& text, const std::string& title);

/// Outside [85 %, 95 %] by more than so few replications explain: where an estimator that holds just 85 % (95
/// %) would show so few (so many) with a probability below 0.1 %.
struct Bounds {
  std::size_t least = 0, most = 0;
};
[[nodiscard]] Bounds bounds_for(std::size_t count);

/// Markdown: a row for each figure, a column for each load.
[[nodiscard]] std::string coverage_table(const std::vector<Coverage>& all);
/// Markdown: stated probability by tenths, and what came of it.
[[nodiscard]] std::string reliability_table(const std::vector<Stated>& all);

/// What no luck explains, one line each.
[[nodiscard]] std::vector<std::string> failures_of(const std::vector<Coverage>& all);
[[nodiscard]] std::vector<std::string> failures_of(const std::string& estimator,
                                                   const std::vector<Stated>& all);

}  // namespace kvcast::coverage
