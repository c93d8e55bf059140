// vLLM's v1 scheduler without prefix caching: one token budget for prefill chunks and decodes alike, running sequences first, admission behind a
// full-sequence gate, preemption by recompute. Rules as in vLLM 0.32 (vllm/v1/core/sched/scheduler.py).
#include <algorithm>

#include "sim/base/config.h"
#include "sim/sched/batch.h"
#include "sim/sched/scheduler.h"

namespace kvcast {
namespace {

struct Parameters {
  std::int64_t max_num_active_seqs;  // running at once; max_num_seqs unless set
  Tokens max_num_batched_tokens;
  Tokens long_prefill_token_threshold;  // 0: none
  bool long_prefill_token_threshold_adaptive;
  bool enable_chunked_prefill;
  bool reserve_full_isl;
  double watermark;
};

class VllmV1 final : public Scheduler {
 public:
  explicit VllmV1(const Parameters& parameters) : parameters_(parameters) {}

  void plan(Batch& batch) override {
    batch.begin_step(parameters_.max_num_batched_tokens);
    const Tokens cap = chunk_cap(batch);
    if (!batch.schedule_running(cap)) return;  // after a preemption nobody is admitted in the same step
    while (batch.budget() > Tokens{0} && batch.waiting() > 0 && batch.running() < parameters_.max_num_active_seqs) {
      if (!admit(batch, cap)) return;  // nobody overtakes the head of the queue
    }
  }

 private:
  /// The long-prefill cap acts only when somebody else is there to profit from it.
  [[nodiscard]] Tokens chunk_cap(const Batch& batch) const {
    const std::int64_t inside = batch.running() + batch.waiting();
    if (parameters_.long_prefill_token_threshold == Tokens{0} || inside <= 1) return Tokens::max();
    const Tokens fair_share{parameters_.max_num_batched_tokens.value / inside};
    return parameters_.long_prefill_token_threshold_adaptive ? std::max(parameters_.long_prefill_token_threshold, fair_share)
                                                             : parameters_.long_prefill_token_threshold;
  }

  [[nodiscard]] bool admit(Batch& batch, Tokens cap) const {
    const Sequence& head = batch.sequence(batch.waiting_front());
    Tokens n = std::min(head.known, cap);
    if (!parameters_.enable_chunked_prefill && n > batch.budget()) return false;
    n = std::min(n, batch.budget());
    const Tokens must_fit = parameters_.reserve_full_isl ? head.known : n;
    const Blocks reserve = batch.running() > 0 ? watermark_blocks(batch) : Blocks{0};
    if (batch.allocator().needed(head.table, must_fit) + reserve > batch.allocator().free()) return false;
    return batch.admit_front(n);
  }

  [[nodiscard]] Blocks watermark_blocks(const Batch& batch) const {
    constexpr std::int64_t kNullBlocks = 1;  // vLLM counts its null block in the pool that the share is taken of
    const auto pool = static_cast<double>(batch.allocator().total().value + kNullBlocks);
    return Blocks{static_cast<std::int64_t>(parameters_.watermark * pool)};
  }

  Parameters parameters_;
};

}  // namespace

SchedulerMaker make_vllm_v1(Config& engine, const EngineDefaults& defaults) {
  Parameters parameters{};
  const std::int64_t max_num_seqs = engine.get_int("max_num_seqs", {1, 1 << 20}, defaults.max_num_seqs);
  parameters.max_num_active_seqs = engine.get_int("max_num_active_seqs", {1, max_num_seqs}, max_num_seqs);
  parameters.max_num_batched_tokens = Tokens{engine.get_int("max_num_batched_tokens", {1, 1 << 24}, defaults.max_num_batched_tokens)};
  parameters.enable_chunked_prefill = engine.get_bool("enable_chunked_prefill", defaults.enable_chunked_prefill);
  parameters.long_prefill_token_threshold = Tokens{engine.get_int("long_prefill_token_threshold", {0, 1 << 24}, 0)};
  parameters.long_prefill_token_threshold_adaptive = engine.get_bool("long_prefill_token_threshold_adaptive", false);
  parameters.reserve_full_isl = engine.get_bool("scheduler_reserve_full_isl", true);
  parameters.watermark = engine.get_real("watermark", {0.0, 0.99}, 0.0);
  if (parameters.max_num_batched_tokens.value < max_num_seqs) {
    engine.fail("max_num_batched_tokens", "must be at least max_num_seqs (" + std::to_string(max_num_seqs) + "), as in vLLM");
  }
  if (!parameters.enable_chunked_prefill && parameters.max_num_batched_tokens < defaults.max_model_len) {
    engine.fail("max_num_batched_tokens", "must be at least max_model_len (" + std::to_string(defaults.max_model_len.value) +
                                              ") when enable_chunked_prefill is false: a longer prompt could never be scheduled");
  }
  return [parameters] { return std::make_unique<VllmV1>(parameters); };
}

}  // namespace kvcast
