/// engine.speculative of a scenario.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/affine_timer.h"
#include "hwmodels/speculation.h"
#include "sim/sched/drawn_speculation.h"

namespace kvcast {

struct SpeculationPlan {
  DraftMethod method = DraftMethod::ngram;
  DrawnSpeculationSettings drawn;  // but for the seed
  std::shared_ptr<const ModelSpec> draft_model;
  std::int64_t draft_tensor_parallel_size = 1;
  double lookup_ns_per_token = 0;  // of ngram
  double overhead_us = 0;          // of the host, for each pass of a drafting network
  std::optional<AffineTime> pass;  // a pass by formula
  std::string acceptance_source;   // "0.7 for every draft", "metrics.txt"
  std::string acceptance_path;     // of a file; empty: none

  /// Drafters that run as a part of the engine's own steps: they need KV slots ahead and may be asynchronous.
  [[nodiscard]] bool with_target() const {
    return method != DraftMethod::ngram && method != DraftMethod::medusa;
  }
  /// vLLM's use_eagle(): a prefix hit loses its last block, whose hidden states the drafter needs.
  [[nodiscard]] bool drops_last_block() const {
    return method == DraftMethod::eagle || method == DraftMethod::eagle3 || method == DraftMethod::mtp;
  }
};

}  // namespace kvcast
