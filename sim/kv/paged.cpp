// Blocks of a fixed number of tokens, taken on demand (Kwon et al. 2023, "Efficient Memory Management for LLM
// Serving with PagedAttention"). Without sharing and windows, which block is whose does not matter: counts
// suffice. Otherwise see cached_blocks.cpp. Of the branches of one sequence it does matter: they have tables
// of their own (forks.h), whose different blocks are counted here.
#include <optional>
#include <utility>
#include <vector>

#include "sim/base/config.h"
#include "sim/base/error.h"
#include "sim/kv/allocators.h"
#include "sim/kv/forks.h"

namespace kvcast {
namespace {

class Paged final : public BlockAllocator, public ForkingBlocks {
 public:
  explicit Paged(const PoolSize& size) : size_(size), free_(size.blocks) {
    KVCAST_CHECK(size.block_size >= Tokens{1});
    KVCAST_CHECK(size.blocks >= Blocks{0});
  }

  [[nodiscard]] Tokens block_size() const override { return size_.block_size; }
  [[nodiscard]] Blocks total() const override { return size_.blocks; }
  [[nodiscard]] Blocks free() const override { return free_; }

  [[nodiscard]] Blocks needed(const BlockTable& table, Tokens tokens) const override {
    if (table.handle != BlockTable::kUnopened) return needed_by_branches(table, tokens);
    const std::int64_t blocks = ceil_div(tokens.value, size_.block_size.value);
    return blocks <= table.blocks.value ? Blocks{0} : Blocks{blocks - table.blocks.value};
  }

  [[nodiscard]] bool grow(BlockTable& table, const Growth& growth) override {
    const Blocks more = needed(table, growth.slots);
    if (more > free_) return false;
    free_ -= more;
    table.blocks += more;
    if (table.handle != BlockTable::kUnopened) write_branches(table, growth.slots);
    return true;
  }

  void release(BlockTable& table) override {
    free_ += table.blocks;
    KVCAST_CHECK(free_ <= size_.blocks);
    table.blocks = Blocks{0};
    if (table.handle == BlockTable::kUnopened) return;
    trees_[table.handle].reset();
    unused_.push_back(table.handle);
    table.handle = BlockTable::kUnopened;
  }

  /// Branches keep their tables, to be filled again.
  void suspend(BlockTable& table) override {
    if (table.handle == BlockTable::kUnopened) return release(table);
    free_ += table.blocks;
    table.blocks = Blocks{0};
  }

  [[nodiscard]] ForkingBlocks* forking() override { return this; }

  void fork(BlockTable& table, Tokens held, std::int64_t branches) override {
    KVCAST_CHECK(table.handle == BlockTable::kUnopened);
    if (unused_.empty()) {
      unused_.push_back(static_cast<std::uint32_t>(trees_.size()));
      trees_.emplace_back();
    }
    table.handle = unused_.back();
    unused_.pop_back();
    trees_[table.handle].emplace(size_.block_size.value, held.value, branches);
    KVCAST_CHECK(trees_[table.handle]->blocks() == table.blocks.value);
  }

  void reorder(BlockTable& table, std::span<const std::uint32_t> parents) override {
    const Blocks given_back{tree(table).reorder(parents)};
    table.blocks -= given_back;
    free_ += given_back;
  }

  [[nodiscard]] const BranchTables& branches(const BlockTable& table) const override {
    return *trees_[table.handle];
  }
  [[nodiscard]] Blocks take_copied() override { return std::exchange(copied_, Blocks{0}); }

  [[nodiscard]] Growing growing() const override { return Growing::by_blocks; }

  void take(Blocks n) override {
    KVCAST_CHECK(n <= free_);
    free_ -= n;
  }

 private:
  [[nodiscard]] BranchTables& tree(const BlockTable& table) { return *trees_[table.handle]; }

  /// Those that were suspended, all of them, and what the next token of every branch takes.
  [[nodiscard]] Blocks needed_by_branches(const BlockTable& table, Tokens slots) const {
    const BranchTables& t = branches(table);
    const Blocks back = table.blocks > Blocks{0} ? Blocks{0} : Blocks{t.blocks()};
    return slots.value > t.length() ? back + Blocks{t.needed()} : back;
  }

  void write_branches(const BlockTable& table, Tokens slots) {
    BranchTables& t = tree(table);
    KVCAST_CHECK(slots.value <= t.length() + 1);
    if (slots.value > t.length()) copied_ += Blocks{t.write()};
    KVCAST_CHECK(t.blocks() == table.blocks.value);
  }

  PoolSize size_;
  Blocks free_;
  std::vector<std::optional<BranchTables>> trees_;  // by BlockTable::handle
  std::vector<std::uint32_t> unused_;
  Blocks copied_;
};

}  // namespace

AllocatorMaker make_paged(Config& /*engine*/, const CachedBlocksSettings& layers) {
  const bool counts_suffice =
      !layers.caching && layers.groups.size() == 1 && layers.groups.front().window == 0;
  if (!counts_suffice) return [layers](const PoolSize& size) { return make_cached_blocks(layers, size); };
  return [](const PoolSize& size) { return std::make_unique<Paged>(size); };
}

}  // namespace kvcast
