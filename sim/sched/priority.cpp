// vLLM's policy "priority": the smallest (priority, arrival, id) first, preempted or not. The running
// sequence with the largest (priority, arrival) gives way; of equals, the one admitted first.
#include "sim/sched/batch.h"
#include "sim/sched/keyed_queue.h"
#include "sim/sched/queue_order.h"

namespace kvcast {
namespace {

class Priority final : public QueueOrder {
 public:
  void push(const Sequence& sequence, SeqIndex seq) override {
    queue_.push(sequence.priority, sequence, seq);
  }
  void push_preempted(const Sequence& sequence, SeqIndex seq) override { push(sequence, seq); }
  [[nodiscard]] SeqIndex front() const override { return queue_.front(); }
  void remove(SeqIndex seq) override { queue_.remove(seq); }
  void pop() override { queue_.pop(); }
  [[nodiscard]] std::size_t size() const override { return queue_.size(); }

  [[nodiscard]] SeqIndex victim(const Batch& batch) const override {
    SeqIndex worst = batch.first_running();
    for (SeqIndex seq = worst; seq != kNoSeq; seq = batch.next_running(seq)) {
      const Sequence& a = batch.sequence(seq);
      const Sequence& b = batch.sequence(worst);
      if (std::tie(a.priority, a.arrival) > std::tie(b.priority, b.arrival)) worst = seq;
    }
    return worst;
  }

 private:
  KeyedQueue queue_;
};

}  // namespace

QueueOrderMaker make_priority(Config& /*engine*/) {
  return [] { return std::make_unique<Priority>(); };
}

}  // namespace kvcast
