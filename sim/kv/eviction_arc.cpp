// ARC (Megiddo and Modha, FAST 2003): recent pages (seen once) and frequent ones share the cache; the keys of
// a further cache of evicted pages tell which side should have had more.
#include <algorithm>

#include "sim/kv/eviction_queues.h"

namespace kvcast {
namespace {

enum Queue : std::uint8_t { kRecent, kFrequent, kQueues };

class Arc final : public EvictionPolicy {
 public:
  explicit Arc(std::size_t slots) : keys_(slots), queues_(slots, kQueues), slots_(slots) {}

  void inserted(Slot slot, const CachedPage& page) override {
    if (page.key != adapted_to_) adapt(page.key);
    adapted_to_ = 0;
    keys_[slot] = page.key;
    const bool was_evicted = recent_ghosts_.erase(page.key) || frequent_ghosts_.erase(page.key);
    queues_.push(was_evicted ? kFrequent : kRecent, slot);
    trim();
  }
  void hit(Slot slot) override { queues_.move(kFrequent, slot); }
  Slot victim(std::uint64_t incoming) override {
    adapt(incoming);
    adapted_to_ = incoming;
    const std::size_t recent = queues_.size(kRecent);
    const bool returns_to_frequent = incoming != 0 && frequent_ghosts_.contains(incoming);
    bool from_recent = recent > 0 && (recent > target_ || (returns_to_frequent && recent == target_));
    // A cache full of pages seen once evicts one of them without a memory of it.
    const bool forgets = recent == slots_;
    from_recent = from_recent || forgets;
    if (!queues_.has_free(from_recent ? kRecent : kFrequent)) from_recent = !from_recent;
    KVCAST_CHECK(queues_.has_free(from_recent ? kRecent : kFrequent));
    const Slot slot = queues_.oldest(from_recent ? kRecent : kFrequent);
    queues_.remove(slot);
    if (!forgets) (from_recent ? recent_ghosts_ : frequent_ghosts_).push(keys_[slot]);
    return slot;
  }
  void dropped(Slot slot) override { queues_.remove(slot); }
  void hold(Slot slot) override { queues_.hold(slot); }
  void let_go(Slot slot) override {
    queues_.let_go(slot);
    queues_.move(queues_.queue_of(slot), slot);
  }

 private:
  /// A page comes back that one side evicted: that side should have been larger.
  void adapt(std::uint64_t key) {
    const std::size_t recent = recent_ghosts_.size();
    const std::size_t frequent = frequent_ghosts_.size();
    if (recent_ghosts_.contains(key)) {
      target_ = std::min(slots_, target_ + std::max<std::size_t>(1, frequent / recent));
    } else if (frequent_ghosts_.contains(key)) {
      const std::size_t step = std::max<std::size_t>(1, recent / frequent);
      target_ = target_ > step ? target_ - step : 0;
    }
  }

  /// Recent pages and their ghosts: at most a cache of them; all pages and all ghosts: at most two.
  void trim() {
    while (queues_.size(kRecent) + recent_ghosts_.size() > slots_ && recent_ghosts_.size() > 0)
      recent_ghosts_.pop_oldest();
    while (queues_.size(kRecent) + queues_.size(kFrequent) + recent_ghosts_.size() + frequent_ghosts_.size() >
               2 * slots_ &&
           frequent_ghosts_.size() > 0)
      frequent_ghosts_.pop_oldest();
  }

  std::vector<std::uint64_t> keys_;  // by slot
  SlotQueues queues_;
  GhostQueue recent_ghosts_;
  GhostQueue frequent_ghosts_;
  std::size_t slots_;
  std::size_t target_ = 0;        // of recent pages
  std::uint64_t adapted_to_ = 0;  // by the victim() before this key's inserted()
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_arc_eviction(std::size_t slots) { return std::make_unique<Arc>(slots); }

}  // namespace kvcast
