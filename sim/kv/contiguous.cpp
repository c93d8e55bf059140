// One adjacent region per sequence, reserved up front to the longest it may become (Hugging Face's static
// cache, Orca's "Max" in Kwon et al. 2023, sec. 6.1). First fit over the free runs, in units of one token
// slot.
#include <algorithm>
#include <vector>

#include "sim/base/config.h"
#include "sim/base/error.h"
#include "sim/kv/allocators.h"

namespace kvcast {
namespace {

class Contiguous final : public BlockAllocator {
 public:
  explicit Contiguous(const PoolSize& size)
      : total_(size.blocks.value * size.block_size.value), free_(total_) {
    if (total_ > 0) runs_.push_back({0, total_});
  }

  [[nodiscard]] Tokens block_size() const override { return Tokens{1}; }
  [[nodiscard]] Blocks total() const override { return Blocks{total_}; }
  [[nodiscard]] Blocks free() const override { return Blocks{free_}; }

  [[nodiscard]] Blocks largest_free() const override {
    std::int64_t largest = 0;
    for (const Run& run : runs_) largest = std::max(largest, run.length);
    return Blocks{largest};
  }

  /// A region is reserved whole, and never grows.
  [[nodiscard]] Blocks needed(const BlockTable& table, Tokens tokens) const override {
    KVCAST_CHECK(tokens <= table.limit);
    return table.offset >= 0 ? Blocks{0} : Blocks{table.limit.value};
  }

  [[nodiscard]] bool grow(BlockTable& table, const Growth& growth) override {
    const std::int64_t length = needed(table, growth.slots).value;
    if (length == 0) return true;
    const auto fit =
        std::find_if(runs_.begin(), runs_.end(), [&](const Run& run) { return run.length >= length; });
    if (fit == runs_.end()) return false;
    table.offset = fit->begin;
    table.blocks = Blocks{length};
    free_ -= length;
    fit->begin += length;
    fit->length -= length;
    if (fit->length == 0) runs_.erase(fit);
    return true;
  }

  void release(BlockTable& table) override {
    if (table.offset < 0) return;
    const Run freed{table.offset, table.blocks.value};
    auto next = std::lower_bound(runs_.begin(), runs_.end(), freed,
                                 [](const Run& a, const Run& b) { return a.begin < b.begin; });
    KVCAST_CHECK(next == runs_.end() || freed.begin + freed.length <= next->begin);
    next = runs_.insert(next, freed);
    if (next + 1 != runs_.end() && next->begin + next->length == (next + 1)->begin) {
      next->length += (next + 1)->length;
      runs_.erase(next + 1);
    }
    if (next != runs_.begin() && (next - 1)->begin + (next - 1)->length == next->begin) {
      (next - 1)->length += next->length;
      runs_.erase(next);
    }
    free_ += freed.length;
    KVCAST_CHECK(free_ <= total_);
    table.offset = -1;
    table.blocks = Blocks{0};
  }

  [[nodiscard]] Growing growing() const override { return Growing::never; }

 private:
  struct Run {
    std::int64_t begin;
    std::int64_t length;
  };
  std::int64_t total_;
  std::int64_t free_;
  std::vector<Run> runs_;  // free runs in order of address, never adjacent
};

}  // namespace

AllocatorMaker make_contiguous(Config& engine, const CachedBlocksSettings& layers) {
  if (layers.caching)
    engine.fail("enable_prefix_caching", "needs allocator paged: contiguous regions cannot be shared");
  return [](const PoolSize& size) { return std::make_unique<Contiguous>(size); };
}

}  // namespace kvcast
