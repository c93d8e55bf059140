// Copy on write: blocks in use against a count that knows nothing of reference counts.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "sim/base/config.h"
#include "sim/base/rng.h"
#include "sim/kv/allocators.h"
#include "sim/kv/forks.h"
#include "sim/sched/beam_model.h"

namespace kvcast {
namespace {

/// Every branch as the list of its tokens, each a number of its own. Two branches share a block where they
/// agree in its last written token: then they agree in all before it, too.
class Lists {
 public:
  explicit Lists(std::int64_t prompt) : branches_(1) {
    for (std::int64_t i = 0; i < prompt; ++i) branches_.front().push_back(++tokens_);
  }
  void fork(std::int64_t branches) {
    branches_.resize(static_cast<std::size_t>(branches), branches_.front());
  }
  void write() {
    for (std::vector<std::int64_t>& branch : branches_) branch.push_back(++tokens_);
  }
  void reorder(const std::vector<std::uint32_t>& parents) {
    std::vector<std::vector<std::int64_t>> next;
    for (const std::uint32_t parent : parents) next.push_back(branches_[parent]);
    branches_ = std::move(next);
  }
  [[nodiscard]] std::int64_t blocks(std::int64_t block_size) const {
    std::set<std::pair<std::size_t, std::int64_t>> different;
    const auto size = static_cast<std::size_t>(block_size);
    for (const std::vector<std::int64_t>& branch : branches_) {
      for (std::size_t begin = 0; begin < branch.size(); begin += size)
        different.insert({begin, branch[std::min(begin + size, branch.size()) - 1]});
    }
    return std::ssize(different);
  }
  [[nodiscard]] std::int64_t tokens(std::int64_t block_size) const {
    std::set<std::pair<std::size_t, std::int64_t>> different;
    const auto size = static_cast<std::size_t>(block_size);
    std::int64_t sum = 0;
    for (const std::vector<std::int64_t>& branch : branches_) {
      for (std::size_t begin = 0; begin < branch.size(); begin += size) {
        const std::size_t end = std::min(begin + size, branch.size());
        if (different.insert({begin, branch[end - 1]}).second) sum += static_cast<std::int64_t>(end - begin);
      }
    }
    return sum;
  }

 private:
  std::vector<std::vector<std::int64_t>> branches_;
  std::int64_t tokens_ = 0;
};

/// One sequence in the allocator and as lists.
struct Pair {
  BlockTable table;
  Lists lists;
  std::int64_t computed;
  std::int64_t branches;
  std::unique_ptr<BeamModel> beams;
  bool forked = false;
  bool suspended = false;
};

class Run {
 public:
  explicit Run(std::uint64_t seed)
      : seed_(seed),
        random_(seed, "forks law"),
        block_size_(random_.integer(0, 3) == 0 ? 1 : random_.integer(2, 32)) {
    CachedBlocksSettings layers;
    layers.caching = false;
    layers.groups = {KvGroup{block_size_, 0, std::nullopt}};
    Config none = Config::from_text("", "law");
    blocks_ = make_paged(none, layers)({Blocks{1 << 22}, Tokens{block_size_}});
  }

  void play() {
    for (int step = 0; step < 120; ++step) {
      if (pairs_.empty() || random_.uniform() < 0.1) begin();
      for (Pair& pair : pairs_) go_on(pair);
      check();
      if (random_.uniform() < 0.1) end(static_cast<std::size_t>(random_.integer(0, std::ssize(pairs_) - 1)));
    }
    while (!pairs_.empty()) end(0);
    BOOST_REQUIRE(blocks_->free() == blocks_->total());
  }

 private:
  void begin() {
    const bool searches = random_.uniform() < 0.5;
    const std::int64_t prompt = random_.integer(1, 100);
    const std::int64_t branches = random_.integer(1, searches ? 16 : 64);
    pairs_.push_back({{}, Lists(prompt), prompt, branches, nullptr});
    pairs_.back().table.limit = Tokens{100000};
    BOOST_REQUIRE(blocks_->grow(pairs_.back().table, {Tokens{prompt}, Tokens{0}, Tokens{prompt}, Tokens{0}}));
    const double fork_rate = random_.uniform() < 0.5 ? 1 : random_.uniform();
    if (searches)
      pairs_.back().beams =
          std::make_unique<BeamModel>(seed_, static_cast<RequestId>(++made_), branches, fork_rate);
  }

  void go_on(Pair& pair) {
    if (!pair.forked) {
      blocks_->forking()->fork(pair.table, Tokens{pair.computed}, pair.branches);
      pair.lists.fork(pair.branches);
      pair.forked = true;
      return;
    }
    if (random_.uniform() < 0.05) {
      pair.suspended = true;
      return blocks_->suspend(pair.table);
    }
    const Blocks needed = blocks_->needed(pair.table, Tokens{pair.computed + 1});
    const Blocks before = blocks_->free();
    BOOST_REQUIRE(
        blocks_->grow(pair.table, {Tokens{pair.computed + 1}, Tokens{pair.computed}, Tokens{0}, Tokens{0}}));
    BOOST_REQUIRE(before - blocks_->free() == needed);
    pair.suspended = false;
    ++pair.computed;
    pair.lists.write();
    if (pair.beams == nullptr || random_.uniform() < 0.1) return;
    const std::vector<std::uint32_t>& parents = pair.beams->next();
    blocks_->forking()->reorder(pair.table, parents);
    pair.lists.reorder(parents);
  }

  void check() {
    std::int64_t expected = 0;
    for (const Pair& pair : pairs_) {
      const std::int64_t blocks = pair.lists.blocks(block_size_);
      if (!pair.suspended) expected += blocks;
      if (!pair.forked) continue;
      const BranchTables& tables = blocks_->forking()->branches(pair.table);
      BOOST_REQUIRE_EQUAL(tables.blocks(), blocks);
      BOOST_REQUIRE_EQUAL(tables.tokens_held(), pair.lists.tokens(block_size_));
      BOOST_REQUIRE_EQUAL(tables.blocks_apart(), pair.branches * ceil_div(pair.computed, block_size_));
    }
    BOOST_REQUIRE_EQUAL((blocks_->total() - blocks_->free()).value, expected);
  }

  void end(std::size_t index) {
    blocks_->release(pairs_[index].table);
    pairs_.erase(pairs_.begin() + static_cast<std::ptrdiff_t>(index));
  }

  std::uint64_t seed_;
  RandomStream random_;
  std::int64_t block_size_;
  std::unique_ptr<BlockAllocator> blocks_;
  std::vector<Pair> pairs_;
  std::uint64_t made_ = 0;
};

BOOST_AUTO_TEST_SUITE(forks)

BOOST_AUTO_TEST_CASE(blocks_equal_a_count_of_different_ones) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) { Run(seed).play(); }
  }
}

/// Samples need no tables to count: the prompt's full blocks once, the rest for each.
BOOST_AUTO_TEST_CASE(samples_in_closed_form) {
  for (const std::int64_t n : {1, 2, 3, 8, 64}) {
    for (std::int64_t prompt = 1; prompt <= 40; ++prompt) {
      BranchTables tables(16, prompt, n);
      BOOST_REQUIRE_EQUAL(tables.blocks(), ceil_div(prompt, 16));
      std::int64_t copied = 0;
      for (std::int64_t t = 1; t <= 50; ++t) {
        copied += tables.write();
        BOOST_REQUIRE_EQUAL(tables.blocks(), prompt / 16 + n * (ceil_div(prompt + t, 16) - prompt / 16));
      }
      BOOST_REQUIRE_EQUAL(copied, prompt % 16 == 0 ? 0 : n - 1);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
