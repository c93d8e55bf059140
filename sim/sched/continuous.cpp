// Iteration-level scheduling (Yu et al., "Orca", OSDI 2022): at every step finished sequences leave and
// waiting ones enter; a prompt is prefilled whole beside the running decodes. Room for the longest possible
// output is reserved on entry, so nobody is ever preempted.
#include "sim/base/config.h"
#include "sim/sched/batch.h"
#include "sim/sched/scheduler.h"

namespace kvcast {
namespace {

class Continuous final : public Scheduler {
 public:
  explicit Continuous(std::int64_t max_num_seqs) : max_num_seqs_(max_num_seqs) {}

  void plan(Batch& batch) override {
    batch.begin_step(Tokens::max());
    KVCAST_CHECK(batch.schedule_running(Tokens::max()));
    while (batch.waiting() > 0 && batch.running() < max_num_seqs_) {
      const Sequence& head = batch.sequence(batch.waiting_front());
      if (!batch.admit_front_reserved(head.known)) return;
    }
  }

  [[nodiscard]] bool can_ever_run(const Batch& batch, const Sequence& sequence) const override {
    return batch.allocator().needed(sequence.table, sequence.table.limit) <= batch.allocator().total();
  }

 private:
  std::int64_t max_num_seqs_;
};

}  // namespace

SchedulerMaker make_continuous(Config& engine, const EngineDefaults& defaults) {
  const std::int64_t max_num_seqs = engine.get_int("max_num_seqs", {1, 1 << 20}, defaults.max_num_seqs);
  return [max_num_seqs] { return std::make_unique<Continuous>(max_num_seqs); };
}

}  // namespace kvcast
