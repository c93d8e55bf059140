// Segmented LRU (Karedla, Love and Wherry 1994): new pages are on probation; a reuse protects a page, and the
// protected segment, four fifths of the cache, gives its least recent back to probation.
#include <algorithm>

#include "sim/kv/eviction_queues.h"

namespace kvcast {
namespace {

enum Segment : std::uint8_t { kProbation, kProtected, kSegments };

class Slru final : public EvictionPolicy {
 public:
  explicit Slru(std::size_t slots) : queues_(slots, kSegments), protected_max_(slots * 4 / 5) {}

  void inserted(Slot slot, const CachedPage& /*page*/) override { queues_.push(kProbation, slot); }
  void hit(Slot slot) override {
    queues_.move(kProtected, slot);
    while (queues_.size(kProtected) > protected_max_ && queues_.has_free(kProtected))
      queues_.move(kProbation, queues_.oldest(kProtected));
  }
  Slot victim(std::uint64_t /*incoming*/) override {
    const Segment segment = queues_.has_free(kProbation) ? kProbation : kProtected;
    KVCAST_CHECK(queues_.has_free(segment));
    const Slot slot = queues_.oldest(segment);
    queues_.remove(slot);
    return slot;
  }
  void dropped(Slot slot) override { queues_.remove(slot); }
  void hold(Slot slot) override { queues_.hold(slot); }
  void let_go(Slot slot) override {
    queues_.let_go(slot);
    queues_.move(queues_.queue_of(slot), slot);
  }

 private:
  SlotQueues queues_;
  std::size_t protected_max_;
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_slru_eviction(std::size_t slots) {
  return std::make_unique<Slru>(slots);
}

}  // namespace kvcast
