// Fair share by tenant (Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024, algorithm 2):
// each tenant has a virtual counter of the service it got, weighted tokens of prompts (on admission) and of
// outputs (as they are made); the earliest request of the waiting tenant with the smallest counter is next. A
// tenant that comes back is lifted to the smallest counter of those waiting, or to that of the last one that
// left an empty queue, so that idling saves nothing up. The lift is made when the next step is planned: the
// paper's counters move with steps too. Without preemption the service of two tenants that both keep waiting
// differs by at most 2 max(w_p L_input, w_q M) over any interval (theorem 4.4; L_input: longest prompt, M:
// tokens that the pool holds). Computing a preempted sequence again is not charged.
#include <algorithm>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "sim/base/config.h"
#include "sim/sched/batch.h"
#include "sim/sched/queue_order.h"

namespace kvcast {
namespace {

struct Weights {
  std::int64_t input;
  std::int64_t output;
};

class Vtc final : public QueueOrder {
 public:
  explicit Vtc(Weights weights) : weights_(weights) {}

  void push(const Sequence& sequence, SeqIndex seq) override {
    Tenant& tenant = tenant_of(sequence);
    if (tenant.waiting.empty()) returned_.push_back(sequence.tenant);
    enter(tenant, sequence.tenant);
    tenant.waiting.push_back({sequence.arrival, sequence.id, seq});
  }
  void push_preempted(const Sequence& sequence, SeqIndex seq) override {
    Tenant& tenant = tenant_of(sequence);
    enter(tenant, sequence.tenant);
    tenant.waiting.push_front({sequence.arrival, sequence.id, seq});
  }
  [[nodiscard]] SeqIndex front() const override { return next().waiting.front().seq; }
  [[nodiscard]] std::size_t size() const override { return size_; }
  void pop() override {
    last_left_ = backlogged_[next_index()];
    Tenant& tenant = tenants_.at(last_left_);
    tenant.waiting.pop_front();
    leave(tenant, last_left_);
  }
  void remove(SeqIndex seq) override {
    for (const std::uint32_t id : backlogged_) {
      Tenant& tenant = tenants_.at(id);
      if (std::erase_if(tenant.waiting, [&](const Entry& entry) { return entry.seq == seq; }) == 0) continue;
      return leave(tenant, id);
    }
    KVCAST_CHECK(false);
  }
  [[nodiscard]] SeqIndex victim(const Batch& batch) const override { return batch.last_running(); }

  void begin_step() override {
    for (const std::uint32_t id : returned_) lift(id);
    returned_.clear();
  }
  void admitted(const Sequence& sequence) override {
    if (sequence.preemptions == 0) tenant_of(sequence).charged += weights_.input * sequence.input.value;
  }
  void produced(const Sequence& sequence, Tokens n) override {
    tenant_of(sequence).charged += weights_.output * n.value;
  }
  void decodes(const Sequence& sequence, int change) override {
    Tenant& tenant = tenant_of(sequence);
    tenant.charged -= change * weights_.output * steps_;  // so that counter() stays what it is
    tenant.decoding += change;
  }
  void decoded(std::int64_t steps) override { steps_ += steps; }

  /// The front stays until the counter of another waiting tenant, which grows more slowly, is the smaller
  /// one.
  [[nodiscard]] std::int64_t steps_front_stays() const override {
    const Tenant& first = next();
    std::int64_t steps = std::numeric_limits<std::int64_t>::max();
    for (const std::uint32_t id : backlogged_) {
      const Tenant& other = tenants_.at(id);
      const std::int64_t closing = weights_.output * (first.decoding - other.decoding);
      if (&other == &first || closing <= 0) continue;
      const std::int64_t lead = counter(other) - counter(first);
      // At a tie the earlier request goes first.
      const bool wins_ties = other.waiting.front().order() < first.waiting.front().order();
      steps = std::min(steps, wins_ties ? ceil_div(lead, closing) : lead / closing + 1);
    }
    return steps;
  }

 private:
  struct Entry {
    Instant arrival;
    RequestId id;
    SeqIndex seq;
    [[nodiscard]] std::pair<Instant, RequestId> order() const { return {arrival, id}; }
  };
  struct Tenant {
    std::int64_t charged = 0;   // less what the steps before it decoded would have charged, see counter()
    std::int64_t decoding = 0;  // members of the decode group
    std::deque<Entry> waiting;
  };

  [[nodiscard]] Tenant& tenant_of(const Sequence& sequence) { return tenants_[sequence.tenant]; }
  [[nodiscard]] std::int64_t counter(const Tenant& tenant) const {
    return tenant.charged + weights_.output * tenant.decoding * steps_;
  }
  [[nodiscard]] std::size_t next_index() const {
    KVCAST_CHECK(!backlogged_.empty());
    std::size_t best = 0;
    for (std::size_t i = 1; i < backlogged_.size(); ++i) {
      if (before(tenants_.at(backlogged_[i]), tenants_.at(backlogged_[best]))) best = i;
    }
    return best;
  }
  [[nodiscard]] const Tenant& next() const { return tenants_.at(backlogged_[next_index()]); }
  [[nodiscard]] bool before(const Tenant& a, const Tenant& b) const {
    const std::int64_t x = counter(a);
    const std::int64_t y = counter(b);
    return x != y ? x < y : a.waiting.front().order() < b.waiting.front().order();
  }
  void enter(const Tenant& tenant, std::uint32_t id) {
    if (tenant.waiting.empty()) backlogged_.push_back(id);
    ++size_;
  }
  void leave(const Tenant& tenant, std::uint32_t id) {
    if (tenant.waiting.empty()) std::erase(backlogged_, id);
    --size_;
  }

  /// Those that returned after it are not yet in the queue that it returns to.
  void lift(std::uint32_t id) {
    Tenant& tenant = tenants_.at(id);
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (const std::uint32_t other : backlogged_) {
      if (other == id) break;  // backlogged_ is in order of return
      least = std::min(least, counter(tenants_.at(other)));
    }
    if (least == std::numeric_limits<std::int64_t>::max()) {
      const auto left = tenants_.find(last_left_);
      if (left == tenants_.end()) return;
      least = counter(left->second);
    }
    tenant.charged += std::max<std::int64_t>(0, least - counter(tenant));
  }

  Weights weights_;
  std::map<std::uint32_t, Tenant> tenants_;
  std::vector<std::uint32_t> backlogged_;  // tenants with somebody waiting, in order of their return
  std::vector<std::uint32_t> returned_;    // of these, those not yet lifted
  std::size_t size_ = 0;
  std::uint32_t last_left_ = 0;  // tenant of the last request that left the queue
  std::int64_t steps_ = 0;       // of the decode group
};

}  // namespace

QueueOrderMaker make_vtc(Config& engine) {
  Config vtc = engine.child("vtc");
  Weights weights{};
  weights.input = vtc.get_int("input_weight", {0, 1000}, 1);
  weights.output = vtc.get_int("output_weight", {0, 1000}, 2);
  if (weights.input + weights.output == 0)
    vtc.fail("output_weight", "must be above 0 where input_weight is 0: service must count");
  return [weights] { return std::make_unique<Vtc>(weights); };
}

}  // namespace kvcast
