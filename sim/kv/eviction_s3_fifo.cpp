// S3-FIFO (Yang et al., SOSP 2023): a small FIFO, a tenth of the cache, that most pages leave unused; a main
// FIFO whose pages stay once more for each use since they passed its end (at most three); the keys of as many
// pages that left the small one.
#include <algorithm>

#include "sim/kv/eviction_queues.h"

namespace kvcast {
namespace {

enum Queue : std::uint8_t { kSmall, kMain, kQueues };

class S3Fifo final : public EvictionPolicy {
 public:
  explicit S3Fifo(std::size_t slots)
      : pages_(slots),
        queues_(slots, kQueues),
        small_max_(std::max<std::size_t>(1, slots / 10)),
        ghosts_max_(std::max<std::size_t>(1, slots - slots / 10)) {}

  void inserted(Slot slot, const CachedPage& page) override {
    pages_[slot] = {page.key, 0};
    queues_.push(ghosts_.erase(page.key) ? kMain : kSmall, slot);
  }
  void hit(Slot slot) override {
    constexpr std::uint8_t kUsesMax = 3;
    pages_[slot].uses = std::min<std::uint8_t>(kUsesMax, static_cast<std::uint8_t>(pages_[slot].uses + 1));
  }
  Slot victim(std::uint64_t /*incoming*/) override {
    for (;;) {
      const bool prefers_small = queues_.size(kSmall) >= small_max_ || !queues_.has_free(kMain);
      const bool from_small = prefers_small && queues_.has_free(kSmall);
      KVCAST_CHECK(from_small || queues_.has_free(kMain));
      const Slot slot = queues_.oldest(from_small ? kSmall : kMain);
      Page& page = pages_[slot];
      if (from_small && page.uses > 1) {
        page.uses = 0;
        queues_.move(kMain, slot);
      } else if (!from_small && page.uses > 0) {
        --page.uses;
        queues_.move(kMain, slot);
      } else {
        queues_.remove(slot);
        if (from_small) remember(page.key);
        return slot;
      }
    }
  }
  void dropped(Slot slot) override { queues_.remove(slot); }
  void hold(Slot slot) override { queues_.hold(slot); }
  void let_go(Slot slot) override { queues_.let_go(slot); }

 private:
  struct Page {
    std::uint64_t key = 0;
    std::uint8_t uses = 0;
  };
  void remember(std::uint64_t key) {
    ghosts_.push(key);
    if (ghosts_.size() > ghosts_max_) ghosts_.pop_oldest();
  }

  std::vector<Page> pages_;
  SlotQueues queues_;
  GhostQueue ghosts_;
  std::size_t small_max_;
  std::size_t ghosts_max_;
};

}  // namespace

std::unique_ptr<EvictionPolicy> make_s3_fifo_eviction(std::size_t slots) {
  return std::make_unique<S3Fifo>(slots);
}

}  // namespace kvcast
