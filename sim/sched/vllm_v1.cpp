// vLLM's v1 scheduler: one token budget for prefill chunks and decodes alike, running sequences first,
// admission behind a full-sequence gate, preemption by recompute. Rules as in vllm/v1/core/sched/scheduler.py
// of 0.11.2, 0.15.1, 0.19.0, 0.24.0 and 0.32.0.
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
  Tokens max_model_len;
  // By version.
  bool
      passes_over_long_prompts;  // with chunked prefill off, a prompt beyond the budget is passed over (0.11)
  bool looks_ahead_at_admission;  // lookahead slots are taken on admission too (from 0.24)
  bool pads_admissions;           // (from 0.32)
  bool caps_lone_prefills;        // the long-prefill cap acts on a request that is alone too (before 0.32)
};

class VllmV1 final : public Scheduler {
 public:
  explicit VllmV1(const Parameters& parameters) : parameters_(parameters) {}

  void plan(Batch& batch) override {
    batch.begin_step(parameters_.max_num_batched_tokens);
    const Tokens cap = chunk_cap(batch);
    if (!batch.schedule_running(cap)) return;  // after a preemption nobody is admitted in the same step
    const bool prefill_planned = plans_prefill(batch);
    while (batch.received() > 0 && batch.budget() > Tokens{0} &&
           batch.running() < parameters_.max_num_active_seqs) {
      if (!batch.admit_received()) break;
    }
    while (batch.budget() > Tokens{0} && batch.waiting() > 0 &&
           batch.running() < parameters_.max_num_active_seqs) {
      if (batch.front_awaits_kv()) {
        if (!reserve(batch)) break;
        continue;
      }
      if (batch.load_front()) continue;
      if (!admit(batch, cap, prefill_planned)) break;  // nobody overtakes the head of the queue
    }
    batch.restore_passed_over();
  }

 private:
  /// The long-prefill cap acts only when somebody else is there to profit from it.
  [[nodiscard]] Tokens chunk_cap(const Batch& batch) const {
    const std::int64_t inside = batch.running() + batch.waiting();
    if (inside == 0) return Tokens::max();  // an asynchronous engine may be asked with nobody left
    if (parameters_.long_prefill_token_threshold == Tokens{0}) return Tokens::max();
    if (inside <= 1 && !parameters_.caps_lone_prefills) return Tokens::max();
    const Tokens fair_share{parameters_.max_num_batched_tokens.value / inside};
    return parameters_.long_prefill_token_threshold_adaptive
               ? std::max(parameters_.long_prefill_token_threshold, fair_share)
               : parameters_.long_prefill_token_threshold;
  }

  /// Whether a running sequence of the step is in the middle of its prompt.
  [[nodiscard]] static bool plans_prefill(const Batch& batch) {
    return std::any_of(batch.chunks().begin(), batch.chunks().end(),
                       [&](const Chunk& chunk) { return batch.sequence(chunk.seq).in_prefill; });
  }

  [[nodiscard]] bool admit(Batch& batch, Tokens cap, bool prefill_planned) const {
    const Tokens cached = batch.lookup_front();
    const Sequence& head = batch.sequence(batch.waiting_front());
    Tokens n = std::min(head.known - cached, cap);
    if (!parameters_.enable_chunked_prefill && n > batch.budget()) {
      if (!parameters_.passes_over_long_prompts) return false;
      batch.pass_over_front();
      return true;
    }
    n = std::min(n, batch.budget());
    const Blocks free = batch.allocator().free();
    const Blocks reserve = batch.running() > 0 ? watermark_blocks(batch) : Blocks{0};
    const Tokens drafts = padding(batch, head, n, prefill_planned);
    if (n + drafts > batch.budget()) return false;
    const Tokens ahead = parameters_.looks_ahead_at_admission ? lookahead(batch) : Tokens{0};
    if (parameters_.reserve_full_isl &&
        batch.allocator().needed_whole(head.table, head.known) + reserve > free)
      return false;
    const Tokens slots = std::min(cached + n + drafts + ahead, parameters_.max_model_len);
    if (batch.allocator().needed(head.table, slots) + reserve > free) return false;
    return batch.admit_front(n, drafts, ahead);
  }

  /// Room for KV that another replica computes (0.32: allocate_slots() with num_external_computed_tokens; the
  /// request waits as WAITING_FOR_REMOTE_KVS).
  [[nodiscard]] bool reserve(Batch& batch) const {
    (void)batch.lookup_front();
    const Sequence& head = batch.sequence(batch.waiting_front());
    const Blocks spare = batch.running() > 0 ? watermark_blocks(batch) : Blocks{0};
    if (batch.allocator().needed(head.table, head.known) + spare > batch.allocator().free()) return false;
    return batch.reserve_front();
  }

  [[nodiscard]] static Tokens lookahead(const Batch& batch) {
    const Speculation* speculation = batch.speculation();
    return Tokens{speculation != nullptr && speculation->needs_lookahead() ? speculation->tokens_max() : 0};
  }

  /// An admission of one token takes dummy drafts along, so that the step keeps its shape, unless somebody
  /// computes a prompt anyway.
  [[nodiscard]] Tokens padding(const Batch& batch, const Sequence& head, Tokens n,
                               bool prefill_planned) const {
    if (!parameters_.pads_admissions || batch.speculation() == nullptr || n != Tokens{1} || prefill_planned)
      return Tokens{0};
    const Tokens drafts{batch.speculation()->tokens_max()};
    const bool beside_running = !batch.chunks().empty() && !batch.chunks().front().admitted;
    if (!beside_running && head.computed == Tokens{0}) return Tokens{0};
    return head.computed + Tokens{2} + drafts <= parameters_.max_model_len ? drafts : Tokens{0};
  }

  [[nodiscard]] Blocks watermark_blocks(const Batch& batch) const {
    constexpr std::int64_t kNullBlocks =
        1;  // vLLM counts its null block in the pool that the share is taken of
    const auto pool = static_cast<double>(batch.allocator().total().value + kNullBlocks);
    return Blocks{static_cast<std::int64_t>(parameters_.watermark * pool)};
  }

  Parameters parameters_;
};

}  // namespace

BatchOptions vllm_batch_rules(EngineVersion version) {
  BatchOptions options;
  options.windows_wait_for_output = version >= EngineVersion{0, 32};
  options.skips_after_early_victim = version < EngineVersion{0, 32};
  options.cuts_drafts_at_end = version < EngineVersion{0, 15};
  options.keeps_drafts_on_preemption = version < EngineVersion{0, 15};
  options.drafts_in_prefill = version < EngineVersion{0, 19};
  return options;
}

SchedulerMaker make_vllm_v1(Config& engine, const EngineDefaults& defaults) {
  Parameters parameters{};
  const std::int64_t max_num_seqs = engine.get_int("max_num_seqs", {1, 1 << 20}, defaults.max_num_seqs);
  parameters.max_num_active_seqs = engine.get_int("max_num_active_seqs", {1, max_num_seqs}, max_num_seqs);
  parameters.max_num_batched_tokens =
      Tokens{engine.get_int("max_num_batched_tokens", {1, 1 << 24}, defaults.max_num_batched_tokens)};
  parameters.enable_chunked_prefill =
      engine.get_bool("enable_chunked_prefill", defaults.enable_chunked_prefill);
  parameters.long_prefill_token_threshold =
      Tokens{engine.get_int("long_prefill_token_threshold", {0, 1 << 24}, 0)};
  parameters.long_prefill_token_threshold_adaptive =
      engine.get_bool("long_prefill_token_threshold_adaptive", false);
  parameters.reserve_full_isl =
      engine.get_bool("scheduler_reserve_full_isl", defaults.version >= EngineVersion{0, 19});
  parameters.watermark = engine.get_real("watermark", {0.0, 0.99}, 0.0);
  parameters.max_model_len = defaults.max_model_len;
  parameters.passes_over_long_prompts = defaults.version < EngineVersion{0, 15};
  parameters.looks_ahead_at_admission = defaults.version >= EngineVersion{0, 24};
  parameters.pads_admissions = defaults.version >= EngineVersion{0, 32};
  parameters.caps_lone_prefills = defaults.version < EngineVersion{0, 32};
  if (parameters.max_num_batched_tokens.value < max_num_seqs) {
    engine.fail("max_num_batched_tokens",
                "must be at least max_num_seqs (" + std::to_string(max_num_seqs) + "), as in vLLM");
  }
  if (!parameters.enable_chunked_prefill && parameters.max_num_batched_tokens < defaults.max_model_len) {
    engine.fail("max_num_batched_tokens",
                "must be at least max_model_len (" + std::to_string(defaults.max_model_len.value) +
                    ") when enable_chunked_prefill is false: a longer prompt could never be scheduled");
  }
  return [parameters] { return std::make_unique<VllmV1>(parameters); };
}

}  // namespace kvcast
