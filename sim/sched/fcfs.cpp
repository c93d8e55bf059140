// First come, first served; preempted sequences return to the front, and the last admitted gives way (vLLM's
// default policy).
#include <algorithm>
#include <deque>

#include "sim/sched/batch.h"
#include "sim/sched/queue_order.h"

namespace kvcast {
namespace {

class Fcfs final : public QueueOrder {
 public:
  void push(const Sequence& /*sequence*/, SeqIndex seq) override { queue_.push_back(seq); }
  void push_preempted(const Sequence& /*sequence*/, SeqIndex seq) override { queue_.push_front(seq); }
  [[nodiscard]] SeqIndex front() const override { return queue_.front(); }
  void remove(SeqIndex seq) override { queue_.erase(std::find(queue_.begin(), queue_.end(), seq)); }
  void pop() override { queue_.pop_front(); }
  [[nodiscard]] std::size_t size() const override { return queue_.size(); }
  [[nodiscard]] SeqIndex victim(const Batch& batch) const override { return batch.last_running(); }

 private:
  std::deque<SeqIndex> queue_;
};

}  // namespace

QueueOrderMaker make_fcfs(Config& /*engine*/) {
  return [] { return std::make_unique<Fcfs>(); };
}

}  // namespace kvcast
