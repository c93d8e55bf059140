#include "sim/kv/allocators.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <vector>

#include "sim/base/config.h"
#include "sim/base/rng.h"

namespace kvcast {
namespace {

CachedBlocksSettings counted() {
  CachedBlocksSettings layers;
  layers.groups = {KvGroup{}};
  layers.caching = false;
  return layers;
}

std::unique_ptr<BlockAllocator> make(const std::string& name, std::int64_t blocks, std::int64_t block_size) {
  Config engine = Config::empty("engine");
  return allocator_catalog().find(name, "test").make(engine, counted())({Blocks{blocks}, Tokens{block_size}});
}

bool grow(BlockAllocator& pool, BlockTable& table, Tokens slots) {
  Growth growth;
  growth.slots = slots;
  return pool.grow(table, growth);
}

BOOST_AUTO_TEST_SUITE(allocators)

BOOST_AUTO_TEST_CASE(a_table_of_n_tokens_holds_ceil_of_n_over_block_size) {
  for (const std::int64_t block_size : {1, 3, 16, 256, 4096}) {
    const auto pool = make("paged", 10'000, block_size);
    BlockTable table;
    table.limit = Tokens{9'000};
    for (const std::int64_t tokens : {1, 2, 15, 16, 17, 255, 256, 257, 4095, 4096, 4097, 9'000}) {
      BOOST_TEST(grow(*pool, table, Tokens{tokens}));
      BOOST_TEST(table.blocks.value == (tokens + block_size - 1) / block_size);
      BOOST_TEST((pool->free() + table.blocks == pool->total()));
    }
    pool->release(table);
    BOOST_TEST((pool->free() == pool->total()));
    BOOST_TEST(table.blocks.value == 0);
  }
}

BOOST_AUTO_TEST_CASE(a_failed_grow_has_changed_nothing) {
  const auto pool = make("paged", 4, 16);
  BlockTable a;
  BlockTable b;
  a.limit = b.limit = Tokens{100};
  BOOST_TEST(grow(*pool, a, Tokens{33}));
  BOOST_TEST(pool->free().value == 1);
  BOOST_TEST(!grow(*pool, b, Tokens{17}));
  BOOST_TEST(pool->free().value == 1);
  BOOST_TEST(b.blocks.value == 0);
  BOOST_TEST(pool->needed(b, Tokens{17}).value == 2);
  BOOST_TEST(grow(*pool, b, Tokens{16}));
}

/// A region of 2,048 slots for a request of 100 tokens: 95.1 % of the reservation is unused.
BOOST_AUTO_TEST_CASE(contiguous_reserves_to_the_limit) {
  const auto pool = make("contiguous", 256, 16);
  BOOST_TEST(pool->total().value == 4096);
  BlockTable table;
  table.limit = Tokens{2048};
  BOOST_TEST(grow(*pool, table, Tokens{100}));
  BOOST_TEST(table.blocks.value == 2048);
  BOOST_TEST(1.0 - 100.0 / static_cast<double>(table.blocks.value) == 0.951,
             boost::test_tools::tolerance(1e-3));
  BOOST_TEST(pool->needed(table, Tokens{2048}).value == 0);
}

/// Holes do not add up: with 2,000 slots free but no run of 1,500, a request of 1,500 waits.
BOOST_AUTO_TEST_CASE(contiguous_fragments) {
  const auto pool = make("contiguous", 4000, 1);
  std::vector<BlockTable> tables(4);
  for (BlockTable& table : tables) {
    table.limit = Tokens{1000};
    BOOST_TEST(grow(*pool, table, Tokens{1}));
  }
  pool->release(tables[0]);
  pool->release(tables[2]);
  BOOST_TEST(pool->free().value == 2000);
  BOOST_TEST(pool->largest_free().value == 1000);
  BlockTable large;
  large.limit = Tokens{1500};
  BOOST_TEST(!grow(*pool, large, Tokens{1}));
  BOOST_TEST(large.offset == -1);
  pool->release(tables[1]);  // the holes join
  BOOST_TEST(pool->largest_free().value == 3000);
  BOOST_TEST(grow(*pool, large, Tokens{1}));
  BOOST_TEST(large.offset == 0);
}

/// Against a naive first fit over an array of slots.
BOOST_AUTO_TEST_CASE(contiguous_equals_a_slot_map) {
  constexpr std::int64_t kSlots = 200;
  RandomStream random(11, "slots");
  const auto pool = make("contiguous", kSlots, 1);
  std::vector<int> owner(kSlots, -1);
  std::vector<BlockTable> tables(30);
  for (int i = 0; i < 20'000; ++i) {
    const auto k = static_cast<int>(random.integer(0, 29));
    BlockTable& table = tables[static_cast<std::size_t>(k)];
    if (table.offset >= 0) {
      std::replace(owner.begin(), owner.end(), k, -1);
      pool->release(table);
    } else {
      table.limit = Tokens{random.integer(1, 40)};
      const std::vector<int> empty(static_cast<std::size_t>(table.limit.value), -1);
      const auto at = std::search(owner.begin(), owner.end(), empty.begin(), empty.end());
      const bool fits = at != owner.end();
      BOOST_REQUIRE_EQUAL(grow(*pool, table, Tokens{1}), fits);
      if (fits) {
        BOOST_REQUIRE_EQUAL(table.offset, at - owner.begin());
        std::fill_n(at, table.limit.value, k);
      }
    }
    BOOST_REQUIRE_EQUAL(pool->free().value, std::count(owner.begin(), owner.end(), -1));
    std::int64_t longest = 0;
    std::int64_t run = 0;
    for (const int slot : owner) longest = std::max(longest, run = slot == -1 ? run + 1 : 0);
    BOOST_REQUIRE_EQUAL(pool->largest_free().value, longest);
  }
}

BOOST_AUTO_TEST_CASE(an_unknown_name_names_the_known) {
  try {
    (void)allocator_catalog().find("pagd", "a.yaml:3:14");
    BOOST_ERROR("found");
  } catch (const InputError& error) {
    BOOST_TEST(error.what() ==
               std::string("a.yaml:3:14: unknown allocator \"pagd\" (known: paged, contiguous, ring, sinks, "
                           "h2o, tova, scissorhands, snapkv, pyramidkv, quest; did you mean paged?)"));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
