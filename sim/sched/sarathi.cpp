// Stall-free batching (Agrawal et al., "Taming Throughput-Latency Tradeoff in LLM Inference with
// Sarathi-Serve", OSDI 2024, algorithm 3; its scheduler with a fixed chunk size): every step takes all
// decodes first, then a chunk of the prompts begun, then of new ones, within a token budget (Sarathi's
// chunk_size, here max_num_batched_tokens). An admission takes the blocks of its whole prompt and leaves a
// watermark free; a decode goes on while one block is free, and otherwise the last one running is recomputed
// later.
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

class Sarathi final : public Scheduler {
 public:
  explicit Sarathi(const Parameters& parameters) : parameters_(parameters) {}

  void plan(Batch& batch) override {
    batch.begin_step(parameters_.max_num_batched_tokens);
    (void)batch.schedule_running({.decodes_first = true, .spare = Blocks{1}});
    while (batch.budget() > Tokens{0} && batch.waiting() > 0 && batch.running() < parameters_.max_num_seqs) {
      if (batch.load_front()) continue;
      if (!admit(batch)) break;
    }
  }

  [[nodiscard]] bool can_ever_run(const Batch& batch, const Sequence& sequence) const override {
    const BlockAllocator& pool = batch.allocator();
    return pool.needed(sequence.table, sequence.known) + watermark_blocks(batch) <= pool.total();
  }

 private:
  [[nodiscard]] bool admit(Batch& batch) const {
    const Tokens cached = batch.lookup_front();
    const Sequence& head = batch.sequence(batch.waiting_front());
    if (batch.allocator().needed(head.table, head.known) + watermark_blocks(batch) > batch.allocator().free())
      return false;
    const Tokens rest = head.known - cached;
    const Tokens n = std::min(rest, batch.budget());
    return batch.admit_front(n, Tokens{0}, rest - n);
  }

  [[nodiscard]] Blocks watermark_blocks(const Batch& batch) const {
    return Blocks{static_cast<std::int64_t>(parameters_.watermark *
                                            static_cast<double>(batch.allocator().total().value))};
  }

  Parameters parameters_;
};

}  // namespace

SchedulerMaker make_sarathi(Config& engine, const EngineDefaults& defaults) {
  Parameters parameters{};
  parameters.max_num_seqs = engine.get_int("max_num_seqs", {1, 1 << 20}, defaults.max_num_seqs);
  parameters.max_num_batched_tokens =
      Tokens{engine.get_int("max_num_batched_tokens", {1, 1 << 24}, defaults.max_num_batched_tokens)};
  parameters.watermark = engine.get_real("watermark", {0.0, 0.99}, 0.01);
  if (parameters.max_num_batched_tokens.value < parameters.max_num_seqs) {
    engine.fail("max_num_batched_tokens", "must be at least max_num_seqs (" +
                                              std::to_string(parameters.max_num_seqs) +
                                              "): the decodes of all sequences go first");
  }
  return [parameters] { return std::make_unique<Sarathi>(parameters); };
}

}  // namespace kvcast
