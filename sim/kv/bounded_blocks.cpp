#include "sim/kv/bounded_blocks.h"

#include <algorithm>
#include <string>
#include <utility>

#include "sim/base/config.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

class BoundedBlocks final : public BlockAllocator {
 public:
  BoundedBlocks(std::vector<KvGroup> groups, Blocks blocks)
      : groups_(std::move(groups)), total_(blocks), free_(blocks) {
    KVCAST_CHECK(!groups_.empty());
    for (const KvGroup& group : groups_) KVCAST_CHECK(group.block_size >= 1 && group.blocks_max >= 0);
  }

  [[nodiscard]] Tokens block_size() const override { return Tokens{groups_.front().block_size}; }
  [[nodiscard]] Blocks total() const override { return total_; }
  [[nodiscard]] Blocks free() const override { return free_; }

  [[nodiscard]] Blocks held(const BlockTable& table, Tokens tokens) const override {
    std::int64_t sum = 0;
    for (const KvGroup& group : groups_) {
      const std::int64_t kept = tokens.value - let_go(group, table, tokens.value);
      const std::int64_t blocks = ceil_div(kept, group.block_size);
      sum += group.blocks_max > 0 ? std::min(blocks, group.blocks_max) : blocks;
    }
    return Blocks{sum};
  }

  [[nodiscard]] Blocks needed(const BlockTable& table, Tokens slots) const override {
    return std::max(Blocks{0}, held(table, slots) - table.blocks);
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
    KVCAST_CHECK(free_ <= total_);
    table.blocks = Blocks{0};
  }

  [[nodiscard]] Growing growing() const override {
    return groups_.size() == 1 ? Growing::by_blocks : Growing::by_step;
  }

  [[nodiscard]] Tokens dropped(const BlockTable& table) const override {
    return Tokens{let_go(groups_.front(), table, table.prompt.value)};
  }

  [[nodiscard]] Tokens full_at() const override {
    const KvGroup& group = groups_.front();
    return group.blocks_max > 0 ? Tokens{(group.blocks_max - 1) * group.block_size + 1} : Tokens::max();
  }

  void take(Blocks n) override {
    KVCAST_CHECK(n <= free_);
    free_ -= n;
  }

  [[nodiscard]] Blocks growth_bound(std::int64_t tables, std::int64_t steps) const override {
    std::int64_t blocks = 0;
    for (const KvGroup& group : groups_) {
      const std::int64_t grown = ceil_div(steps, group.block_size) + 1;
      blocks += group.blocks_max > 0 ? std::min(grown, group.blocks_max) : grown;
    }
    return Blocks{blocks * tables};
  }

 private:
  /// Tokens of the first `tokens` that the group keeps no room for.
  [[nodiscard]] static std::int64_t let_go(const KvGroup& group, const BlockTable& table,
                                           std::int64_t tokens) {
    if (group.prompt_max == 0) return 0;
    return std::max<std::int64_t>(0, std::min(tokens, table.prompt.value) - group.prompt_max);
  }

  std::vector<KvGroup> groups_;
  Blocks total_, free_;
};

}  // namespace

std::unique_ptr<BlockAllocator> make_bounded_blocks(std::vector<KvGroup> groups, Blocks blocks) {
  return std::make_unique<BoundedBlocks>(std::move(groups), blocks);
}

AllocatorMaker bounded_maker(Config& engine, const CachedBlocksSettings& layers, const char* allocator) {
  if (layers.caching) {
    engine.fail("enable_prefix_caching", std::string("is not possible with the allocator ") + allocator +
                                             ": a block that is overwritten cannot serve another request");
  }
  const bool bounded = std::any_of(layers.groups.begin(), layers.groups.end(), [](const KvGroup& group) {
    return group.blocks_max > 0 || group.prompt_max > 0;
  });
  if (!bounded) engine.fail("allocator", std::string(allocator) + " finds no layer to bound in this model");
  return [groups = layers.groups](const PoolSize& size) { return make_bounded_blocks(groups, size.blocks); };
}

}  // namespace kvcast
