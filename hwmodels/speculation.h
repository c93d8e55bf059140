/// What speculative decoding costs: the target's verification and the drafter's own passes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "hwmodels/gpu_spec.h"
#include "hwmodels/model_spec.h"
#include "hwmodels/roofline_timer.h"
#include "sim/step_timer.h"

namespace kvcast {

/// Who proposes.
enum class DraftMethod : std::uint8_t {
  draft_model,  // a small model of its own
  ngram,        // the prompt's and the answer's own text, looked up by the host
  eagle,        // one layer of the target's shape behind a projection of token and hidden state
  eagle3,       // likewise, from three hidden states, with a vocabulary of its own
  medusa,       // heads on the target's last hidden state, all at once
  mtp,          // the checkpoint's own prediction layers
};
[[nodiscard]] std::string_view to_string(DraftMethod method);

/// Contract: pure and thread-safe. The time that proposing takes behind a step, as it depends on the step's
/// shape; 0 where the shape asks for no drafts and nobody's prompt must be followed.
class Drafter {
 public:
  virtual ~Drafter() = default;
  [[nodiscard]] virtual StepCost cost(const StepShape& shape) const = 0;
};

/// A drafter that runs passes of a network: the first over the step's tokens, which keeps its KV up to date,
/// each further one over one token of each sequence.
/// \param pass the timer of one pass
/// \param overhead time that the host adds to each pass
[[nodiscard]] std::unique_ptr<Drafter> make_model_drafter(std::unique_ptr<StepTimer> pass,
                                                          FineDuration overhead);

/// Heads that propose all drafts at once: each a residual block and an LM head of its own (Cai et al. 2024,
/// "Medusa").
[[nodiscard]] std::unique_ptr<Drafter> make_head_drafter(const ModelSpec& target, const GpuSpec& gpu,
                                                         std::int64_t heads,
                                                         std::int64_t tensor_parallel_size);

/// The host looks each sequence's last tokens up in all of its tokens, one sequence after the other.
/// \param per_token for each token looked through
[[nodiscard]] std::unique_ptr<Drafter> make_lookup_drafter(FineDuration per_token);

/// The model that a drafting pass runs: the draft model itself, or the target with the drafter's layers
/// alone. \throws InputError where the target has no prediction layers (mtp)
[[nodiscard]] ModelSpec draft_pass_model(DraftMethod method, const ModelSpec& target, const ModelSpec* draft);

/// Bytes of Medusa's heads on one rank.
[[nodiscard]] std::int64_t medusa_bytes(const ModelSpec& target, std::int64_t heads,
                                        std::int64_t tensor_parallel_size);

/// What EAGLE-3's head has on one rank beside EAGLE's: a projection of three hidden states instead of token
/// and hidden state (one hidden x hidden more), the attention's second input (Q, K and V see token and hidden
/// state side by side), and an LM head over its own 32,000 tokens (Li et al. 2025, "EAGLE-3", as published
/// heads for Llama 3 have it).
[[nodiscard]] std::int64_t eagle3_bytes(const ModelSpec& target);

/// Steps of the target, each with what the drafter adds. decode() is that of a step that asks for no drafts.
[[nodiscard]] std::unique_ptr<StepTimer> make_speculative_timer(std::unique_ptr<StepTimer> target,
                                                                std::unique_ptr<Drafter> drafter);

/// A batch of `seqs` sequences with so many tokens each, decoded plainly and with `drafts` drafts each.
struct SpeculationPoint {
  std::int64_t seqs = 0;
  double plain_tokens_per_s = 0;
  double speculative_tokens_per_s = 0;
  [[nodiscard]] double speedup() const { return speculative_tokens_per_s / plain_tokens_per_s; }
};
/// \param timer of make_speculative_timer()
/// \param expected tokens that a verification delivers, on average
[[nodiscard]] SpeculationPoint speculation_point(const StepTimer& timer, std::int64_t seqs,
                                                 std::int64_t context, std::int64_t drafts, double expected);
/// The largest batch up to `seqs_max` at which speculation is faster than plain decoding; 0: none. Above 128
/// sequences only every 64th part of a size is looked at.
[[nodiscard]] std::int64_t largest_paying_batch(const StepTimer& timer, std::int64_t context,
                                                std::int64_t drafts, double expected, std::int64_t seqs_max);

}  // namespace kvcast
