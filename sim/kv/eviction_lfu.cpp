// Least frequently used since it entered, the least recent of those first (SGLang's radix cache offers it;
// Mooncake's paper compares it).
#include <compare>

#include "sim/kv/eviction_queues.h"

namespace kvcast {
namespace {

class Lfu final : public EvictionPolicy {
 public:
  explicit Lfu(std::size_t slots) : uses_(slots), order_(slots) {}

  void inserted(Slot slot, const CachedPage& /*page*/) override {
    uses_[slot] = 1;
    order_.set(slot, {1, ++now_});
  }
  void hit(Slot slot) override {
    ++uses_[slot];
    if (order_.contains(slot)) order_.set(slot, {uses_[slot], ++now_});
  }
  Slot victim(std::uint64_t /*incoming*/) override {
    KVCAST_CHECK(!order_.empty());
    const Slot slot = order_.least();
    order_.remove(slot);
    return slot;
  }
  void dropped(Slot slot) override { order_.remove(slot); }
  void hold(Slot slot) override { order_.remove(slot); }
  void let_go(Slot slot) override { order_.set(slot, {uses_[slot], ++now_}); }

 private:
  struct Worth {
    std::uint64_t uses = 0;
    std::uint64_t last = 0;
    auto operator<=>(const Worth&) const = default;
  };
  std::vector<std::uint64_t> uses_;
  WorthOrder<Worth> order_;
  std::uint64_t now_ = 0;
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_lfu_eviction(std::size_t slots) { return std::make_unique<Lfu>(slots); }

}  // namespace kvcast
