// Least recently used: what engines do (vLLM's free queue, SGLang's radix cache, Mooncake's store).
#include "sim/kv/eviction_queues.h"

namespace kvcast {
namespace {

class Lru final : public EvictionPolicy {
 public:
  explicit Lru(std::size_t slots) : queues_(slots, 1) {}

  void inserted(Slot slot, const CachedPage& /*page*/) override { queues_.push(0, slot); }
  void hit(Slot slot) override { queues_.move(0, slot); }
  Slot victim(std::uint64_t /*incoming*/) override {
    KVCAST_CHECK(queues_.has_free(0));
    const Slot slot = queues_.oldest(0);
    queues_.remove(slot);
    return slot;
  }
  void dropped(Slot slot) override { queues_.remove(slot); }
  void hold(Slot slot) override { queues_.hold(slot); }
  void let_go(Slot slot) override {
    queues_.let_go(slot);
    queues_.move(0, slot);
  }

 private:
  SlotQueues queues_;
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_lru_eviction(std::size_t slots) { return std::make_unique<Lru>(slots); }

}  // namespace kvcast
