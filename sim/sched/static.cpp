// Hugging Face style batching: take what waits, up to the batch size, pad it to the longest prompt, decode
// until the longest output ends, and only then take the next batch. Finished members keep their rows and
// their memory until that moment; their tokens are streamed as they come.
#include <algorithm>

#include "sim/base/config.h"
#include "sim/sched/batch.h"
#include "sim/sched/scheduler.h"

namespace kvcast {
namespace {

class Static final : public Scheduler {
 public:
  explicit Static(std::int64_t batch_size) : batch_size_(batch_size) {}

  void plan(Batch& batch) override {
    batch.begin_step(Tokens::max());
    if (batch.running() > 0) {
      KVCAST_CHECK(batch.schedule_running(Tokens::max()));
      pad_decodes(batch);
    } else {
      start_batch(batch);
    }
  }

  [[nodiscard]] bool can_ever_run(const Batch& batch, const Sequence& sequence) const override {
    return batch.allocator().needed(sequence.table, sequence.table.limit) <= batch.allocator().total();
  }
  [[nodiscard]] bool holds_finished() const override { return true; }

 private:
  void start_batch(Batch& batch) {
    members_ = 0;
    longest_ = Tokens{0};
    while (batch.waiting() > 0 && members_ < batch_size_) {
      const Tokens prompt = batch.sequence(batch.waiting_front()).known;
      if (!batch.admit_front_reserved(prompt)) break;
      ++members_;
      longest_ = std::max(longest_, prompt);
    }
    pad_prompts(batch, longest_.value);
  }

  /// Rows of unlike prompts are padded to the longest: every row computes that many tokens.
  void pad_prompts(Batch& batch, std::int64_t length) const {
    StepShape padding;
    padding.tokens = members_ * length;
    padding.sampled = members_ - batch.running();
    padding.prefill_seqs = members_ - batch.running();
    const Reach& reach = batch.reach();
    padding.prefill_context = members_ * reach.keys(0, length);
    padding.prefill_pairs = members_ * reach.pairs(0, length);
    if (reach.counts_prompts_apart()) {
      padding.prefill_reach = members_ * reach.chunk_keys(0, length);
      padding.prefill_reach_pairs = members_ * reach.chunk_pairs(0, length);
    }
    for (const Chunk& chunk : batch.chunks()) {
      const std::int64_t n = chunk.n.value;
      padding.tokens -= n;
      padding.prefill_context -= reach.keys(0, n);
      padding.prefill_pairs -= reach.pairs(0, n);
      if (!reach.counts_prompts_apart()) continue;
      padding.prefill_reach -= reach.chunk_keys(0, n);
      padding.prefill_reach_pairs -= reach.chunk_pairs(0, n);
    }
    batch.pad(padding);
  }

  /// Every row attends to the padded prompt and all outputs so far, whether its sequence still lives or not.
  void pad_decodes(Batch& batch) const {
    const SeqIndex any = batch.first_running();
    const std::int64_t outputs = batch.known(any).value - batch.sequence(any).input.value;
    const std::int64_t row = longest_.value + outputs;
    if (!batch.keeps_kv()) return pad_prompts(batch, row);
    StepShape padding;
    padding.tokens = members_ - batch.running();
    padding.sampled = members_ - batch.running();
    padding.decode_seqs = members_ - batch.running();
    padding.decode_context = members_ * row - batch.running_context();
    if (batch.reach().on()) bound_decodes(batch, row, padding);
    batch.pad(padding);
  }

  /// Layers with bounds attend to a row as to the longest prompt with as many outputs.
  void bound_decodes(const Batch& batch, std::int64_t row, StepShape& padding) const {
    const Reach& reach = batch.reach();
    const std::int64_t attended =
        members_ * reach.of(row, reach.dropped(longest_)) - batch.running_attended();
    (reach.everywhere ? padding.decode_context : padding.decode_reach) = attended;
  }

  std::int64_t batch_size_;
  std::int64_t members_ = 0;
  Tokens longest_;
};

}  // namespace

SchedulerMaker make_static(Config& engine, const EngineDefaults& defaults) {
  const std::int64_t batch_size = engine.get_int("max_num_seqs", {1, 1 << 20}, defaults.max_num_seqs);
  return [batch_size] { return std::make_unique<Static>(batch_size); };
}

}  // namespace kvcast
