// TensorRT-LLM's in-flight batching (cpp/tensorrt_llm/batch_manager/capacityScheduler.cpp and
// microBatchScheduler.cpp of 1.x; its Executor documentation). The capacity scheduler decides who holds
// blocks:
// - guaranteed_no_evict admits a request only if the blocks of everybody inside and its own suffice to the
// end, prompt and max_tokens (without
//   them: max_model_len), so nobody is ever paused;
// - max_utilization admits what fits the next step, and pauses the last started when blocks lack: it is
// recomputed later, and nobody is
//   admitted in that step.
// The micro-batch scheduler shares max_num_batched_tokens (max_num_tokens): decodes first, then prompts in
// order; whole ones, or with chunked context (enable_chunked_prefill) the one that does not fit is cut to a
// multiple of the block size. A prompt takes all its blocks at once. Requests with more than one beam, LoRA
// and skipping for block reuse are not modelled.
#include <algorithm>
#include <vector>

#include "sim/base/config.h"
#include "sim/sched/batch.h"
#include "sim/sched/scheduler.h"

namespace kvcast {
namespace {

struct Parameters {
  std::int64_t max_num_seqs;
  Tokens max_num_batched_tokens;
  Tokens max_model_len;
  bool guaranteed_no_evict;
  bool chunked_context;
};

class TensorRtLlm final : public Scheduler {
 public:
  explicit TensorRtLlm(const Parameters& parameters) : parameters_(parameters) {}

  void plan(Batch& batch) override {
    batch.begin_step(parameters_.max_num_batched_tokens);
    const Tokens unit = batch.allocator().block_size();
    const bool undisturbed = batch.schedule_running({.decodes_first = true, .chunk_unit = unit});
    KVCAST_CHECK(undisturbed || !parameters_.guaranteed_no_evict);
    if (!undisturbed || batch.waiting() == 0 || batch.running() >= parameters_.max_num_seqs) return;
    Blocks unpromised =
        parameters_.guaranteed_no_evict ? batch.allocator().total() - promised(batch) : Blocks{0};
    while (batch.budget() > Tokens{0} && batch.waiting() > 0 && batch.running() < parameters_.max_num_seqs) {
      if (batch.load_front()) continue;
      if (!admit(batch, unit, unpromised)) break;  // nobody overtakes the head of the queue
    }
  }

  [[nodiscard]] bool can_ever_run(const Batch& batch, const Sequence& sequence) const override {
    const Tokens tokens = parameters_.guaranteed_no_evict ? longest(sequence) : sequence.known;
    return batch.allocator().needed(sequence.table, tokens) <= batch.allocator().total();
  }

 private:
  [[nodiscard]] Tokens longest(const Sequence& sequence) const {
    if (sequence.output_limit == Tokens{0}) return sequence.table.limit;
    return std::min(sequence.input + sequence.output_limit, sequence.table.limit);
  }

  /// Blocks that everybody running holds or may come to hold.
  [[nodiscard]] Blocks promised(const Batch& batch) const {
    Blocks sum;
    for (SeqIndex seq = batch.first_running(); seq != kNoSeq; seq = batch.next_running(seq))
      sum += to_the_end_[to_index(seq)];
    return sum;
  }

  [[nodiscard]] bool admit(Batch& batch, Tokens unit, Blocks& unpromised) {
    const SeqIndex seq = batch.waiting_front();
    const Tokens cached = batch.lookup_front();
    const Sequence& head = batch.sequence(seq);
    const Tokens rest = head.known - cached;
    Tokens n = rest;
    if (rest > batch.budget())
      n = parameters_.chunked_context ? batch.budget() - Tokens{batch.budget().value % unit.value}
                                      : Tokens{0};
    if (n == Tokens{0}) return false;
    Blocks to_the_end;
    if (parameters_.guaranteed_no_evict) {
      BlockTable nothing_shared;  // whom it shares blocks with may leave before it
      nothing_shared.limit = head.table.limit;
      to_the_end = batch.allocator().needed(nothing_shared, longest(head));
      if (to_the_end > unpromised) return false;
    }
    if (!batch.admit_front(n, Tokens{0}, rest - n)) return false;
    unpromised -= to_the_end;
    if (to_index(seq) >= to_the_end_.size()) to_the_end_.resize(to_index(seq) + 1);
    to_the_end_[to_index(seq)] = to_the_end;
    return true;
  }

  Parameters parameters_;
  std::vector<Blocks> to_the_end_;  // of who runs, by SeqIndex
};

}  // namespace

SchedulerMaker make_tensorrt_llm(Config& engine, const EngineDefaults& defaults) {
  Parameters parameters{};
  const std::string policy = engine.get_choice(
      "capacity_scheduler_policy", {"guaranteed_no_evict", "max_utilization"}, "guaranteed_no_evict");
  parameters.guaranteed_no_evict = policy == "guaranteed_no_evict";
  parameters.chunked_context = engine.get_bool("enable_chunked_prefill", false);
  parameters.max_num_seqs = engine.get_int("max_num_seqs", {1, 1 << 20}, defaults.max_num_seqs);
  const std::int64_t tokens = parameters.chunked_context
                                  ? defaults.max_num_batched_tokens
                                  : std::max(defaults.max_num_batched_tokens, defaults.max_model_len.value);
  parameters.max_num_batched_tokens = Tokens{engine.get_int("max_num_batched_tokens", {1, 1 << 24}, tokens)};
  if (parameters.max_num_batched_tokens.value < parameters.max_num_seqs) {
    engine.fail("max_num_batched_tokens", "must be at least max_num_seqs (" +
                                              std::to_string(parameters.max_num_seqs) +
                                              "): the decodes of all sequences go first");
  }
  if (!parameters.chunked_context && parameters.max_num_batched_tokens < defaults.max_model_len) {
    engine.fail("max_num_batched_tokens",
                "must be at least max_model_len (" + std::to_string(defaults.max_model_len.value) +
                    ") when enable_chunked_prefill is false: a longer prompt could never be scheduled");
  }
  return [parameters] { return std::make_unique<TensorRtLlm>(parameters); };
}

}  // namespace kvcast
