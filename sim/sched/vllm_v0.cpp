// vLLM's v0 scheduler with its default policy (vllm/core/scheduler.py, _schedule_default, to 0.8; Kwon et
// al., SOSP 2023): a step is either whole prompts of newly admitted sequences or one token of everybody
// running. Prompts come first, so decodes wait as long as prompts fit. Blocks: an admission leaves a
// watermark free; a decode goes on while one block is free, needed or not (can_append_slots), and otherwise
// the last one running gives way. It is computed again later, in front of the queue, or its KV moves to host
// memory (preemption by swap): then nobody is admitted until all who were swapped are back, first out first
// in, when their blocks leave the watermark free; the step waits for the copies (blocks_to_swap_in and _out).
// A sequence with several branches (samples, beams) counts each of them, runs and gives way as one, and is
// always swapped. A sequence that grew beyond what the watermark leaves is aborted by vLLM; here it blocks
// the others and is reported.
#include <algorithm>

#include "sim/base/config.h"
#include "sim/sched/batch.h"
#include "sim/sched/scheduler.h"

namespace kvcast {
namespace {

struct Parameters {
  std::int64_t max_num_seqs;
  Tokens max_num_batched_tokens;
  double watermark;
};

class VllmV0 final : public Scheduler {
 public:
  explicit VllmV0(const Parameters& parameters) : parameters_(parameters) {}

  void plan(Batch& batch) override {
    batch.begin_step(parameters_.max_num_batched_tokens);
    if (batch.swapped() == 0) {
      while (batch.waiting() > 0 && admit(batch)) {
      }
    }
    if (!batch.chunks().empty()) return;
    if (!batch.schedule_running({.decodes_first = true, .spare = Blocks{1}})) return;
    while (may_swap_in(batch)) batch.swap_in_front();
  }

  /// Prompts that the pool less its watermark can never hold are refused (AllocStatus.NEVER).
  [[nodiscard]] bool can_ever_run(const Batch& batch, const Sequence& sequence) const override {
    const BlockAllocator& pool = batch.allocator();
    if (sequence.branches > parameters_.max_num_seqs) return false;
    return pool.needed(sequence.table, sequence.known) + watermark_blocks(batch) <= pool.total();
  }

 private:
  [[nodiscard]] bool has_room(const Batch& batch, SeqIndex seq) const {
    return batch.running_branches() + batch.sequence(seq).branches <= parameters_.max_num_seqs;
  }

  [[nodiscard]] bool admit(Batch& batch) const {
    if (!has_room(batch, batch.waiting_front())) return false;
    if (batch.load_front()) return true;
    const Tokens cached = batch.lookup_front();
    const Sequence& head = batch.sequence(batch.waiting_front());
    const Tokens n = head.known - cached;
    if (n > batch.budget()) return false;
    if (batch.allocator().needed(head.table, head.known) + watermark_blocks(batch) > batch.allocator().free())
      return false;
    return batch.admit_front(n);
  }

  [[nodiscard]] bool may_swap_in(const Batch& batch) const {
    if (batch.swapped() == 0 || batch.budget() == Tokens{0}) return false;
    if (!has_room(batch, batch.swapped_front())) return false;
    const Sequence& first = batch.sequence(batch.swapped_front());
    const BlockAllocator& pool = batch.allocator();
    return pool.needed(first.table, first.known) + watermark_blocks(batch) <= pool.free();
  }

  [[nodiscard]] Blocks watermark_blocks(const Batch& batch) const {
    return Blocks{static_cast<std::int64_t>(parameters_.watermark *
                                            static_cast<double>(batch.allocator().total().value))};
  }

  Parameters parameters_;
};

}  // namespace

SchedulerMaker make_vllm_v0(Config& engine, const EngineDefaults& defaults) {
  Parameters parameters{};
  parameters.max_num_seqs = engine.get_int("max_num_seqs", {1, 1 << 20}, defaults.max_num_seqs);
  const std::int64_t whole_prompt = std::max(defaults.max_num_batched_tokens, defaults.max_model_len.value);
  parameters.max_num_batched_tokens =
      Tokens{engine.get_int("max_num_batched_tokens", {1, 1 << 24}, whole_prompt)};
  parameters.watermark = engine.get_real("watermark", {0.0, 0.99}, 0.01);
  if (parameters.max_num_batched_tokens.value < parameters.max_num_seqs) {
    engine.fail("max_num_batched_tokens", "must be at least max_num_seqs (" +
                                              std::to_string(parameters.max_num_seqs) + "), as in vLLM");
  }
  if (parameters.max_num_batched_tokens < defaults.max_model_len) {
    engine.fail("max_num_batched_tokens",
                "must be at least max_model_len (" + std::to_string(defaults.max_model_len.value) +
                    ") with the scheduler vllm-v0, which computes every prompt in one step");
  }
  return [parameters] { return std::make_unique<VllmV0>(parameters); };
}

}  // namespace kvcast
