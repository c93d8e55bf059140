/// The reliability diagram of docs/planning.md.
#pragma once

#include <string>
#include <vector>

#include "tests/coverage/tally.h"

namespace kvcast::coverage {

/// An SVG of its own: by tenths of the stated probability what came true, with what luck allows (two standard
/// errors), for synthetic traffic and for traces.
[[nodiscard]] std::string reliability_diagram(const std::vector<Bin>& synthetic,
                                              const std::vector<Bin>& traces);

}  // namespace kvcast::coverage
