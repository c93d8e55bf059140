// Earliest deadline first (Liu and Layland, 1973): a request's deadline is its arrival and the TTFT target of
// its SLO class. The running sequence with the latest deadline gives way; of equals, the last to arrive.
#include <map>
#include <string>

#include "sim/base/config.h"
#include "sim/sched/batch.h"
#include "sim/sched/keyed_queue.h"
#include "sim/sched/queue_order.h"

namespace kvcast {
namespace {

struct Targets {
  Duration otherwise{};
  std::map<std::string, Duration, std::less<>> by_class;
};

class Edf final : public QueueOrder {
 public:
  explicit Edf(const Targets& targets) : targets_(targets) {}

  void push(const Sequence& sequence, SeqIndex seq) override {
    queue_.push(sequence.deadline.time_since_epoch().count(), sequence, seq);
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
      if (std::tie(a.deadline, a.arrival, a.id) > std::tie(b.deadline, b.arrival, b.id)) worst = seq;
    }
    return worst;
  }

  [[nodiscard]] Duration ttft_target(std::string_view slo_class) const override {
    const auto own = targets_.by_class.find(slo_class);
    return own != targets_.by_class.end() ? own->second : targets_.otherwise;
  }

 private:
  Targets targets_;
  KeyedQueue queue_;
};

Duration read_target(Config& section, const std::string& key, double fallback_ms) {
  constexpr double kNsPerMs = 1e6;
  const RealRange range{0.001, 1e9};
  const double ms =
      fallback_ms > 0 ? section.get_real(key, range, fallback_ms) : section.get_real(key, range);
  return Duration{static_cast<std::int64_t>(ms * kNsPerMs)};
}

}  // namespace

QueueOrderMaker make_edf(Config& engine) {
  Config edf = engine.child("edf");
  Config classes = edf.child("classes");
  Targets targets;
  targets.otherwise = read_target(edf, "default_ms", 2000);
  for (const std::string& name : classes.names()) targets.by_class[name] = read_target(classes, name, 0);
  return [targets] { return std::make_unique<Edf>(targets); };
}

}  // namespace kvcast
