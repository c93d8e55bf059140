// GreedyDual-Size-Frequency (Cherkasova 1998): worth = age + uses * cost / size. All blocks are of one size;
// the cost is what an engine computes again without the block (recompute_cost()). The age is the worth of the
// last victim, so that what was worth much once goes too.
#include <compare>

#include "sim/kv/eviction_queues.h"

namespace kvcast {
namespace {

class Gdsf final : public EvictionPolicy {
 public:
  explicit Gdsf(std::size_t slots) : pages_(slots), order_(slots) {}

  void inserted(Slot slot, const CachedPage& page) override {
    pages_[slot] = {1, page.cost, {}};
    rank(slot);
  }
  void hit(Slot slot) override {
    ++pages_[slot].uses;
    if (order_.contains(slot)) {
      rank(slot);
    } else {
      pages_[slot].worth = worth(slot);  // held: ranked when it is let go, at the age of its last use
    }
  }
  Slot victim(std::uint64_t /*incoming*/) override {
    KVCAST_CHECK(!order_.empty());
    const Slot slot = order_.least();
    age_ = pages_[slot].worth.value;
    order_.remove(slot);
    return slot;
  }
  void dropped(Slot slot) override { order_.remove(slot); }
  void hold(Slot slot) override { order_.remove(slot); }
  void let_go(Slot slot) override { order_.set(slot, pages_[slot].worth); }

 private:
  struct Worth {
    double value = 0;
    std::uint64_t last = 0;
    auto operator<=>(const Worth&) const = default;
  };
  struct Page {
    std::uint64_t uses = 0;
    double cost = 0;
    Worth worth;
  };

  [[nodiscard]] Worth worth(Slot slot) {
    return {age_ + static_cast<double>(pages_[slot].uses) * pages_[slot].cost, ++now_};
  }
  void rank(Slot slot) {
    pages_[slot].worth = worth(slot);
    order_.set(slot, pages_[slot].worth);
  }

  std::vector<Page> pages_;
  WorthOrder<Worth> order_;
  double age_ = 0;
  std::uint64_t now_ = 0;
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_gdsf_eviction(std::size_t slots) {
  return std::make_unique<Gdsf>(slots);
}

}  // namespace kvcast
