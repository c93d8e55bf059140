/// Speculation whose drafts fare by chance: what a simulated engine uses.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/sched/speculation.h"

namespace kvcast {

/// How many drafts the engine asks for, step by step.
enum class DraftLength : std::uint8_t {
  constant,  // num_speculative_tokens
  /// Two more after a step whose drafts were all accepted, one less after any other, from 1 to
  /// num_speculative_tokens (transformers: num_assistant_tokens_schedule "heuristic").
  heuristic,
};

struct DrawnSpeculationSettings {
  std::int64_t num_speculative_tokens = 1;
  /// Probability that the draft at a position is accepted, given that those before it were; the last one goes
  /// on for further positions.
  std::vector<double> acceptance;
  DraftLength length = DraftLength::constant;
  std::int64_t disable_by_batch_size = 0;  // no drafts with so many sequences running or more; 0: never
  double proposal_rate = 1;  // share of the steps in which the drafter finds anything to propose
  bool with_target = true;   // the drafter runs with the target and needs KV slots ahead
  std::uint64_t seed = 1;
};

/// Contract: pure, and independent of the schedule: whether the draft of an output token is accepted depends
/// on the seed, the request and the token's number among its outputs, so runs with unlike schedules, lengths
/// or batches draw alike (Philox4x64-10, see RandomStream).
[[nodiscard]] std::unique_ptr<Speculation> make_drawn_speculation(const DrawnSpeculationSettings& settings);

/// Mean number of tokens that a verification of `drafts` drafts delivers: the accepted ones and one more,
/// 1 + a1 + a1 a2 + ... For equal rates a: (1 - a^(drafts + 1)) / (1 - a), equation 1 of Leviathan, Kalman
/// and Matias 2023, "Fast Inference from Transformers via Speculative Decoding".
[[nodiscard]] double expected_tokens(const std::vector<double>& acceptance, std::int64_t drafts);

}  // namespace kvcast
