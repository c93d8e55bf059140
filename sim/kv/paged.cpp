// Blocks of a fixed number of tokens, taken on demand (Kwon et al. 2023, "Efficient Memory Management for LLM
// Serving with PagedAttention"). Without sharing and windows, which block is whose does not matter: counts
// suffice. Otherwise see cached_blocks.cpp.
#include "sim/base/config.h"
#include "sim/base/error.h"
#include "sim/kv/allocators.h"

namespace kvcast {
namespace {

class Paged final : public BlockAllocator {
 public:
  explicit Paged(const PoolSize& size) : size_(size), free_(size.blocks) {
    KVCAST_CHECK(size.block_size >= Tokens{1});
    KVCAST_CHECK(size.blocks >= Blocks{0});
  }

  [[nodiscard]] Tokens block_size() const override { return size_.block_size; }
  [[nodiscard]] Blocks total() const override { return size_.blocks; }
  [[nodiscard]] Blocks free() const override { return free_; }

  [[nodiscard]] Blocks needed(const BlockTable& table, Tokens tokens) const override {
    const std::int64_t blocks = ceil_div(tokens.value, size_.block_size.value);
    return blocks <= table.blocks.value ? Blocks{0} : Blocks{blocks - table.blocks.value};
  }

  [[nodiscard]] bool grow(BlockTable& table, const Growth& growth) override {
    const Blocks more = needed(table, growth.slots);
    if (more > free_) return false;
    free_ -= more;
    table.blocks += more;
    return true;
  }

  void release(BlockTable& table) override {
    free_ += table.blocks;
    KVCAST_CHECK(free_ <= size_.blocks);
    table.blocks = Blocks{0};
  }

  [[nodiscard]] Growing growing() const override { return Growing::by_blocks; }

  void take(Blocks n) override {
    KVCAST_CHECK(n <= free_);
    free_ -= n;
  }

 private:
  PoolSize size_;
  Blocks free_;
};

}  // namespace

AllocatorMaker make_paged(Config& /*engine*/, const CachedBlocksSettings& layers) {
  const bool counts_suffice =
      !layers.caching && layers.groups.size() == 1 && layers.groups.front().window == 0;
  if (!counts_suffice) return [layers](const PoolSize& size) { return make_cached_blocks(layers, size); };
  return [](const PoolSize& size) { return std::make_unique<Paged>(size); };
}

}  // namespace kvcast
