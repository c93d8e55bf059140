/// How unevenly tokens spread over ranks that hold whole experts.
#pragma once

#include <cstdint>

namespace kvcast {

/// How often experts are chosen.
struct ExpertLoad {
  enum class Popularity : std::uint8_t {
    uniform,  // all alike
    zipf,     // the i-th most popular in proportion to i^-exponent
    given,    // max_over_mean says it of the ranks
  };
  enum class Placement : std::uint8_t {
    by_number,  // experts 0, 1, ... to rank 0, and so on: chance decides which popular ones meet
    balanced,   // the most popular first, each to the rank with the least load and room (as EPLB places them)
  };
  Popularity popularity = Popularity::uniform;
  double exponent = 1;       // of zipf
  double max_over_mean = 1;  // of given
  Placement placement = Placement::by_number;
};

/// The busiest rank's share of the tokens, relative to the mean: 1 where all are alike, at most `ranks`.
/// Each of `ranks` holds experts / ranks of them. By number, the mean over fixed shuffles of the experts.
[[nodiscard]] double expert_skew(const ExpertLoad& load, std::int64_t experts, std::int64_t ranks);

/// Ranks that a token is sent to when it chooses top_k experts that lie anywhere: ranks (1 - (1 - 1 /
/// ranks)^top_k), as if each choice were alone.
[[nodiscard]] double ranks_reached(std::int64_t top_k, std::int64_t ranks);

}  // namespace kvcast
