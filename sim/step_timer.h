/// The only door between the simulator and hwmodels/ (or a real GPU): from what a step computes to how long
/// it takes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "sim/base/units.h"

namespace kvcast {

/// The statistics of one engine step that decide its time. Counts, not lists, so that a decode step costs
/// O(1) for any batch.
struct StepShape {
  std::int64_t tokens = 0;           // rows of every GEMM: new tokens of all sequences, padding included
  std::int64_t sampled = 0;          // rows of the LM head and the sampler
  std::int64_t decode_seqs = 0;      // sequences with one new token on top of a cache
  std::int64_t decode_context = 0;   // sum over them of the tokens attended to (cached + the new one)
  std::int64_t prefill_seqs = 0;     // sequences with a prompt chunk
  std::int64_t prefill_context = 0;  // sum over chunks of (cached + chunk) tokens
  std::int64_t prefill_pairs =
      0;  // sum over chunks of query-key pairs under the causal mask: q*cached + q*(q+1)/2
  /// Sum over the decoding sequences of the tokens that bounded layers attend to (windows, budgets of kept or
  /// selected tokens), where other layers attend to decode_context. 0: not counted, or there are none. Where
  /// every layer is bounded, decode_context itself is that sum.
  std::int64_t decode_reach = 0;
  // Speculative decoding. A decoding sequence that verifies drafts counts as one of decode_seqs, with what
  // its last query attends to in decode_context.
  std::int64_t verify_tokens = 0;  // its further queries, one for each draft; in tokens and sampled too
  std::int64_t verify_pairs = 0;   // query-key pairs of these under the causal mask
  std::int64_t draft_seqs = 0;     // sequences that drafts are proposed for behind the step
  std::int64_t draft_tokens = 0;   // the drafts, summed
  /// Of prompt chunks what bounded layers read (the keys) and compute (query-key pairs), where that is not
  /// what a window of their length would leave of the counts above: chunked local attention beside layers
  /// that attend to all. 0: not counted.
  std::int64_t prefill_reach = 0;
  std::int64_t prefill_reach_pairs = 0;
  /// Tokens of all data-parallel ranks that step together; 0: there is one rank, `tokens` it is.
  std::int64_t group_tokens = 0;
};

/// A chunk of a prompt alone in a step: `tokens` behind `cached` ones, with an output.
[[nodiscard]] inline StepShape chunk_shape(std::int64_t cached, std::int64_t tokens) {
  StepShape shape;
  shape.tokens = tokens;
  shape.sampled = 1;
  shape.prefill_seqs = 1;
  shape.prefill_context = cached + tokens;
  shape.prefill_pairs = tokens * cached + tokens * (tokens + 1) / 2;
  return shape;
}

/// What one step costs. Bytes and FLOP are those of one GPU.
struct StepCost {
  FineDuration time{};
  std::int64_t hbm_bytes = 0;
  std::int64_t flop = 0;
};

/// What one stage of a pipeline takes of a step.
struct StageCost {
  FineDuration time{};      // of its GPUs
  FineDuration transfer{};  // until the next stage has what it made; 0 for the last
};

/// What a step's time is spent on.
enum class StepPart : std::uint8_t {
  compute,        // kernels that arithmetic bounds
  weights,        // kernels that reading weights bounds
  kv,             // attention that reading the KV cache bounds
  activations,    // kernels that the memory traffic of activations bounds
  communication,  // between GPUs
  bubble,         // pipeline stages that wait for each other
  host,           // the engine's own work that the GPU waits for
  drafting,       // proposing tokens, whatever on
  unsplit,        // the timer does not say
};
inline constexpr std::size_t kStepParts = 9;

/// A step's time by what it is spent on, and the bytes of HBM by what they are of (communication, bubble and
/// host move none). By StepPart.
struct StepParts {
  std::array<std::int64_t, kStepParts> time{};  // 2^-20 ns
  std::array<std::int64_t, kStepParts> bytes{};

  [[nodiscard]] std::int64_t& time_of(StepPart part) { return time[static_cast<std::size_t>(part)]; }
  [[nodiscard]] std::int64_t& bytes_of(StepPart part) { return bytes[static_cast<std::size_t>(part)]; }
};

/// Cost of a pure decode step of a fixed number of sequences: affine in the context sum C, for every C up to
/// context_max.
struct DecodeLine {
  StepCost base;               // at C = 0
  StepCost per_context_token;  // added for each token of C
  std::int64_t context_max = std::numeric_limits<std::int64_t>::max();
  StepCost per_reach_token;  // added for each token of decode_reach, up to reach_max
  std::int64_t reach_max = std::numeric_limits<std::int64_t>::max();
};

/// Contract: pure and thread-safe; equal shapes cost equal times.
/// - decode(n, C) equals step() of the shape {tokens n, sampled n, decode_seqs n, decode_context C} exactly,
/// to 2^-20 ns, for every C
///   from the given one up to context_max. That is what lets a run of decode steps be summed in closed form.
/// - step() never falls when a count rises, but that attention may be faster over more sequences of as large
/// a
///   context sum (or more prompt tokens of as many pairs): they fill a GPU better.
class StepTimer {
 public:
  virtual ~StepTimer() = default;
  [[nodiscard]] virtual StepCost step(const StepShape& shape) const = 0;
  [[nodiscard]] virtual DecodeLine decode(std::int64_t seqs, std::int64_t context) const = 0;
  /// The same for shapes with a decode_reach of at least 1.
  [[nodiscard]] virtual DecodeLine decode_within(std::int64_t seqs, std::int64_t context,
                                                 std::int64_t /*reach*/) const {
    return decode(seqs, context);
  }
  /// What the stages of a pipeline take, in order: step(shape) is their sum. One stage, the whole step, where
  /// the model is not spread over several.
  virtual void stages(const StepShape& shape, std::vector<StageCost>& costs) const {
    costs.assign(1, {step(shape).time, {}});
  }
  /// Where step(shape) goes: times sum to its time, bytes to its hbm_bytes, exactly.
  [[nodiscard]] virtual StepParts parts(const StepShape& shape) const {
    const StepCost cost = step(shape);
    StepParts parts;
    parts.time_of(StepPart::unsplit) = cost.time.count();
    parts.bytes_of(StepPart::unsplit) = cost.hbm_bytes;
    return parts;
  }
  /// One standard error of step(shape).time, relative to it, from what the times rest on; 0: not known.
  [[nodiscard]] virtual double relative_error(const StepShape& /*shape*/) const { return 0; }
};

/// The timer of each replica, where they are of several shapes.
using TimerOf = std::function<const StepTimer&(ReplicaId)>;

}  // namespace kvcast
