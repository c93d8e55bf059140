/// What speculative decoding came to, as the engine counts it and the record keeps it.
#pragma once

#include <cstdint>

namespace kvcast {

/// Without the drafts that only pad an admission.
struct SpeculationTotals {
  std::int64_t drafts = 0;  // verifications: sequences in steps that verified any
  std::int64_t draft_tokens = 0;
  std::int64_t accepted_tokens = 0;

  void add(const SpeculationTotals& other) {
    drafts += other.drafts;
    draft_tokens += other.draft_tokens;
    accepted_tokens += other.accepted_tokens;
  }
};

}  // namespace kvcast
