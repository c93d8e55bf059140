// Shortest predicted job first: by what a length predictor said when the request was made, never by the true
// length. Without a prediction the client's max_tokens stands in, and without that the prompt alone decides.
#include "sim/sched/batch.h"
#include "sim/sched/keyed_queue.h"
#include "sim/sched/queue_order.h"

namespace kvcast {
namespace {

class ShortestJobFirst final : public QueueOrder {
 public:
  void push(const Sequence& sequence, SeqIndex seq) override { queue_.push(work(sequence), sequence, seq); }
  void push_preempted(const Sequence& sequence, SeqIndex seq) override { push(sequence, seq); }
  [[nodiscard]] SeqIndex front() const override { return queue_.front(); }
  void remove(SeqIndex seq) override { queue_.remove(seq); }
  void pop() override { queue_.pop(); }
  [[nodiscard]] std::size_t size() const override { return queue_.size(); }
  [[nodiscard]] SeqIndex victim(const Batch& batch) const override { return batch.last_running(); }

 private:
  static std::int64_t work(const Sequence& sequence) {
    const Tokens output =
        sequence.output_predicted > Tokens{0} ? sequence.output_predicted : sequence.output_limit;
    return sequence.input.value + output.value;
  }
  KeyedQueue queue_;
};

}  // namespace

QueueOrderMaker make_shortest_job_first(Config& /*engine*/) {
  return [] { return std::make_unique<ShortestJobFirst>(); };
}

}  // namespace kvcast
