#include "sim/kv/cached_blocks.h"

#include <boost/test/unit_test.hpp>

#include "sim/base/rng.h"
#include "sim/kv/content_chain.h"

namespace kvcast {
namespace {

Content content(std::vector<Content::Run> prompt, std::uint64_t output, std::uint64_t salt = 0) {
  Content c;
  c.prompt = std::move(prompt);
  c.output = output;
  c.salt = salt;
  return c;
}

CachedBlocksSettings full_attention(std::int64_t block_size) {
  CachedBlocksSettings settings;
  settings.groups = {KvGroup{block_size, 0, std::nullopt}};
  settings.unit = settings.hash_unit = block_size;
  return settings;
}

/// A sequence that computes all of `tokens` in one step.
void compute(BlockAllocator& pool, BlockTable& table, Tokens tokens) {
  Growth growth;
  growth.slots = growth.shareable = tokens;
  BOOST_REQUIRE(pool.grow(table, growth));
}

BlockTable open(BlockAllocator& pool, Content&& c) {
  BlockTable table;
  table.limit = Tokens{100'000};
  pool.open(table, std::move(c));
  return table;
}

BOOST_AUTO_TEST_SUITE(cached_blocks)

BOOST_AUTO_TEST_CASE(a_hit_is_the_common_prefix_in_whole_blocks_less_the_last_token) {
  const auto pool = make_cached_blocks(full_attention(16), {Blocks{1000}, Tokens{16}});
  BlockTable first = open(*pool, content({{1, Tokens{100}}, {2, Tokens{60}}}, 77));
  BOOST_TEST(pool->lookup(first, Tokens{160}).value == 0);
  compute(*pool, first, Tokens{160});
  BlockTable same_head = open(*pool, content({{1, Tokens{100}}, {3, Tokens{60}}}, 78));
  BOOST_TEST(pool->lookup(same_head, Tokens{160}).value == 96);  // 6 blocks of 16
  BlockTable same = open(*pool, content({{1, Tokens{100}}, {2, Tokens{60}}}, 79));
  BOOST_TEST(pool->lookup(same, Tokens{160}).value == 144);  // all 10 blocks match, the last is computed again
  BlockTable other_tenant = open(*pool, content({{1, Tokens{160}}}, 80, 9));
  BOOST_TEST(pool->lookup(other_tenant, Tokens{160}).value == 0);
  // An answer that comes back as part of a prompt is found too.
  compute(*pool, first, Tokens{192});
  BlockTable next_turn = open(*pool, content({{1, Tokens{100}}, {2, Tokens{60}}, {77, Tokens{32}}, {5, Tokens{20}}}, 81));
  BOOST_TEST(pool->lookup(next_turn, Tokens{212}).value == 192);
}

BOOST_AUTO_TEST_CASE(shared_blocks_are_held_once_and_found_until_they_are_reused) {
  const auto pool = make_cached_blocks(full_attention(4), {Blocks{10}, Tokens{4}});
  BlockTable a = open(*pool, content({{1, Tokens{16}}}, 90));
  compute(*pool, a, Tokens{16});
  BlockTable b = open(*pool, content({{1, Tokens{16}}, {2, Tokens{4}}}, 91));
  BOOST_TEST(pool->lookup(b, Tokens{20}).value == 16);
  BOOST_TEST(pool->needed(b, Tokens{20}).value == 1);
  compute(*pool, b, Tokens{20});
  BOOST_TEST(pool->free().value == 5);
  pool->release(a);
  BOOST_TEST(pool->free().value == 5);  // b holds them all
  pool->release(b);
  BOOST_TEST(pool->free().value == 10);
  BlockTable again = open(*pool, content({{1, Tokens{16}}, {2, Tokens{4}}, {3, Tokens{1}}}, 92));
  BOOST_TEST(pool->lookup(again, Tokens{21}).value == 20);
  BOOST_TEST(pool->needed(again, Tokens{21}).value == 6);  // five leave the free queue, one is new
  BlockTable large = open(*pool, content({{9, Tokens{40}}}, 93));
  compute(*pool, large, Tokens{40});
  BOOST_TEST(pool->lookup(again, Tokens{21}).value == 0);
}

/// A window of w tokens holds at most ceil((w - 1) / block) + 1 blocks however long the sequence.
BOOST_AUTO_TEST_CASE(a_window_holds_a_bounded_number_of_blocks) {
  CachedBlocksSettings settings = full_attention(16);
  settings.groups.front().window = 100;
  settings.caching = false;
  const auto pool = make_cached_blocks(settings, {Blocks{50}, Tokens{16}});
  BlockTable table = open(*pool, content({{1, Tokens{10}}}, 90));
  for (std::int64_t computed = 0; computed < 5000; ++computed) {
    Growth growth;
    growth.computed = Tokens{computed};
    growth.slots = Tokens{computed + 1};
    BOOST_REQUIRE(pool->grow(table, growth));
    BOOST_REQUIRE_LE((pool->total() - pool->free()).value, (100 - 1 + 15) / 16 + 1);
  }
}

BOOST_AUTO_TEST_CASE(what_is_private_is_found_by_its_owner_alone_after_a_preemption) {
  const auto pool = make_cached_blocks(full_attention(8), {Blocks{100}, Tokens{8}});
  Content own = content({{5, Tokens{40}}}, 6);
  own.is_private = true;
  BlockTable table = open(*pool, std::move(own));
  BOOST_TEST(pool->lookup(table, Tokens{40}).value == 0);
  compute(*pool, table, Tokens{40});
  pool->suspend(table);
  BOOST_TEST((pool->free() == pool->total()));
  BOOST_TEST(pool->lookup(table, Tokens{41}).value == 40);
}

/// Equal exactly when the tokens are: however the same runs are cut into units, and no two different prefixes alike.
BOOST_AUTO_TEST_CASE(chains_agree_exactly_on_common_prefixes) {
  RandomStream random(17, "chains");
  for (int round = 0; round < 2000; ++round) {
    const std::int64_t unit = random.integer(1, 9);
    std::vector<Content::Run> head;
    std::int64_t common = 0;
    for (std::int64_t n = random.integer(0, 4); n > 0; --n) {
      const std::int64_t length = random.integer(1, 30);
      head.push_back({static_cast<std::uint64_t>(random.integer(1, 5)), Tokens{length}});
      common += length;
    }
    std::vector<Content::Run> other = head;
    head.push_back({100, Tokens{40}});
    other.push_back({200, Tokens{40}});
    ContentChain a(content(head, 1), unit);
    ContentChain b(content(other, 1), unit);
    const auto units = static_cast<std::size_t>(common / unit);
    for (std::size_t i = 0; i < units; ++i) BOOST_REQUIRE_EQUAL(a.hash(i), b.hash(i));
    BOOST_REQUIRE(a.hash(units) != b.hash(units));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
