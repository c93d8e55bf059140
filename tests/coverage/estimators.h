/// What each command states of one sample after another, held against what is true of the load.
#pragma once

#include "tests/coverage/tally.h"
#include "tests/coverage/truth.h"

namespace kvcast::coverage {

struct Replications {
  std::size_t count = 200;
  std::string folder;  // for trace files; must exist
  unsigned threads = 1;
};

struct Judged {
  Coverage coverage;
  std::vector<Stated> stated;  // of plan only
};

/// `kvcast plan` on synthetic traffic, or on a trace that holds one sample of it.
[[nodiscard]] Judged judge_plan(const Load& load, const Truths& truths, const Replications& replications,
                                bool trace);

/// `kvcast compare`: the differences between two cells. (The numbers of one are judged as plan judges them.)
[[nodiscard]] Judged judge_compare(const Load& load, const Truths& truths, const Replications& replications,
                                   bool trace);

/// `kvcast simulate` of a calibrated engine: the same requests on an engine of another speed, which is all
/// that its intervals speak of.
[[nodiscard]] Judged judge_simulate(const Load& load, const Truths& truths, const Replications& replications);

}  // namespace kvcast::coverage
