/// Which beams of a search go on: a model, since kvcast knows no probabilities of tokens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/rng.h"
#include "sim/base/units.h"

namespace kvcast {

/// In a step, with probability `fork_rate`, each of the k beams that go on continues one of the k before it,
/// drawn independently and all alike: the neutral model of Wright and Fisher, in which two beams have a
/// common beginning about k / fork_rate steps back. In the other steps every beam continues itself, as where
/// the best next tokens belong to different beams. Draws come from a stream of the request's own
/// ("beams/ID"), so nothing else moves them.
class BeamModel {
 public:
  BeamModel(std::uint64_t seed, RequestId id, std::int64_t beams, double fork_rate);

  /// The beam that each of the next ones continues, ascending. Valid until the next call.
  [[nodiscard]] const std::vector<std::uint32_t>& next();

 private:
  RandomStream random_;
  double fork_rate_;
  std::vector<std::uint32_t> parents_;
};

}  // namespace kvcast
