// 2Q (Johnson and Shasha 1994, the full version): a FIFO for pages seen once, a quarter of the cache; the
// keys of half a cache of pages that left it; an LRU for pages that were asked for again after they had left
// it.
#include <algorithm>

#include "sim/kv/eviction_queues.h"

namespace kvcast {
namespace {

enum Queue : std::uint8_t { kIn, kMain, kQueues };

class TwoQ final : public EvictionPolicy {
 public:
  explicit TwoQ(std::size_t slots)
      : keys_(slots),
        queues_(slots, kQueues),
        in_max_(std::max<std::size_t>(1, slots / 4)),
        out_max_(std::max<std::size_t>(1, slots / 2)) {}

  void inserted(Slot slot, const CachedPage& page) override {
    keys_[slot] = page.key;
    queues_.push(out_.erase(page.key) ? kMain : kIn, slot);
  }
  void hit(Slot slot) override {
    if (queues_.queue_of(slot) == kMain) queues_.move(kMain, slot);
  }
  Slot victim(std::uint64_t /*incoming*/) override {
    const bool in_is_full = queues_.size(kIn) > in_max_;
    const bool from_in = (in_is_full && queues_.has_free(kIn)) || !queues_.has_free(kMain);
    KVCAST_CHECK(queues_.has_free(from_in ? kIn : kMain));
    const Slot slot = queues_.oldest(from_in ? kIn : kMain);
    queues_.remove(slot);
    if (from_in) {
      out_.push(keys_[slot]);
      if (out_.size() > out_max_) out_.pop_oldest();
    }
    return slot;
  }
  void dropped(Slot slot) override { queues_.remove(slot); }
  void hold(Slot slot) override { queues_.hold(slot); }
  void let_go(Slot slot) override {
    queues_.let_go(slot);
    if (queues_.queue_of(slot) == kMain) queues_.move(kMain, slot);
  }

 private:
  std::vector<std::uint64_t> keys_;  // by slot
  SlotQueues queues_;
  GhostQueue out_;
  std::size_t in_max_;
  std::size_t out_max_;
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_two_q_eviction(std::size_t slots) {
  return std::make_unique<TwoQ>(slots);
}

}  // namespace kvcast
