/// What a forecast says of speculative decoding beside its counts.
#pragma once

#include <cstdint>
#include <string>

namespace kvcast {

struct SpeculationFacts {
  std::string method;
  std::int64_t num_speculative_tokens = 0;
  double expected_tokens = 0;     // that a verification delivers, by the acceptance given
  std::int64_t context = 0;       // tokens of a sequence that the following hold for
  double speedup_alone = 0;       // of a single sequence
  std::int64_t paying_batch = 0;  // largest batch that speculation is faster for; 0: none
  std::int64_t batch_max = 0;     // that was looked at
};

}  // namespace kvcast
