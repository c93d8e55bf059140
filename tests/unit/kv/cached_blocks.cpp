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
  BOOST_TEST(pool->lookup(same, Tokens{160}).value ==
             144);  // all 10 blocks match, the last is computed again
  BlockTable other_tenant = open(*pool, content({{1, Tokens{160}}}, 80, 9));
  BOOST_TEST(pool->lookup(other_tenant, Tokens{160}).value == 0);
  // An answer that comes back as part of a prompt is found too.
  compute(*pool, first, Tokens{192});
  BlockTable next_turn =
      open(*pool, content({{1, Tokens{100}}, {2, Tokens{60}}, {77, Tokens{32}}, {5, Tokens{20}}}, 81));
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

/// States at block ends, every 48 tokens or at the prompt's end: what a prompt that shares 100 tokens finds.
BOOST_AUTO_TEST_CASE(a_state_is_found_where_a_snapshot_was_kept) {
  const auto found = [](std::optional<std::int64_t> every) {
    CachedBlocksSettings settings = full_attention(16);
    KvGroup states;
    states.block_size = 16;
    states.window = 17;  // the last state
    states.recurrent = true;
    states.kept_every = every;
    settings.groups.push_back(states);
    settings.keep_junctions = false;
    const auto pool = make_cached_blocks(settings, {Blocks{1000}, Tokens{16}});
    BlockTable first = open(*pool, content({{1, Tokens{100}}, {2, Tokens{60}}}, 77));
    compute(*pool, first, Tokens{160});
    BlockTable other = open(*pool, content({{1, Tokens{100}}, {3, Tokens{60}}}, 78));
    const std::int64_t shares = pool->lookup(other, Tokens{160}).value;
    BlockTable same = open(*pool, content({{1, Tokens{100}}, {2, Tokens{60}}, {4, Tokens{9}}}, 79));
    return std::pair{shares, pool->lookup(same, Tokens{169}).value};
  };
  BOOST_TEST((found(16) == std::pair<std::int64_t, std::int64_t>{96, 160}));  // floor(100 / 16) blocks
  BOOST_TEST((found(48) == std::pair<std::int64_t, std::int64_t>{96, 144}));  // 2 * 48; 3 * 48, or the end
  BOOST_TEST((found(0) == std::pair<std::int64_t, std::int64_t>{0, 144}));    // the end of 160 - 1 tokens
}

/// Chunked local attention: blocks of past chunks are given back, and a hit needs those of its own chunk
/// alone.
BOOST_AUTO_TEST_CASE(a_chunk_is_left_behind_when_the_next_begins) {
  CachedBlocksSettings settings = full_attention(16);
  settings.groups.front().window = 64;
  settings.groups.front().chunks = true;
  const auto pool = make_cached_blocks(settings, {Blocks{50}, Tokens{16}});
  BlockTable table = open(*pool, content({{1, Tokens{1000}}}, 90));
  for (std::int64_t computed = 0; computed < 1000; ++computed) {
    Growth growth;
    growth.computed = Tokens{computed};
    growth.slots = growth.shareable = Tokens{computed + 1};
    BOOST_REQUIRE(pool->grow(table, growth));
    // The token at `computed` stands in a chunk of which so many blocks are begun.
    BOOST_REQUIRE_EQUAL(pool->total().value - pool->free().value, computed % 64 / 16 + 1);
  }
  pool->release(table);
  BlockTable same = open(*pool, content({{1, Tokens{1000}}}, 91));
  BOOST_TEST(pool->lookup(same, Tokens{1000}).value ==
             992);  // 992 / 64 chunks are whole: 32 tokens of the last
  BOOST_TEST(pool->needed(same, Tokens{1000}).value == 3);  // two found, one new
}

/// Two pools: windows cannot take what is left for the others, nor the other way round.
BOOST_AUTO_TEST_CASE(split_pools_keep_their_blocks_apart) {
  CachedBlocksSettings settings = full_attention(16);
  KvGroup window;
  window.window = 64;
  window.bounded = true;
  settings.groups.push_back(window);
  settings.caching = false;
  settings.bounded_share = 0.25;
  const auto pool = make_cached_blocks(settings, {Blocks{40}, Tokens{16}});  // 30 and 10
  BOOST_TEST(pool->total().value == 40);
  BOOST_TEST(pool->free_for_any().value == 10);
  BlockTable table = open(*pool, content({{1, Tokens{10}}}, 90));
  BOOST_TEST(pool->needed(table, Tokens{160}).value == 20);  // ten of each
  BOOST_TEST(pool->needed(table, Tokens{161}).value == 41);  // the window's pool lacks one: more than is free
  Growth growth;
  growth.slots = Tokens{161};
  BOOST_TEST(!pool->grow(table, growth));
  BOOST_TEST(pool->free().value == 40);
  growth.slots = Tokens{160};
  BOOST_TEST(pool->grow(table, growth));
  for (std::int64_t computed = 160; computed < 480; ++computed) {
    growth.computed = Tokens{computed};
    growth.slots = Tokens{computed + 1};
    BOOST_REQUIRE(pool->grow(table, growth));
    BOOST_REQUIRE_LE(pool->free().value, 40 - ceil_div(computed + 1, 16) - 4);
  }
  growth.computed = Tokens{480};
  growth.slots = Tokens{481};  // the 31st block of the layers that keep all
  BOOST_TEST(!pool->grow(table, growth));
  pool->release(table);
  BOOST_TEST(pool->free().value == 40);
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

/// Equal exactly when the tokens are: however the same runs are cut into units, and no two different prefixes
/// alike.
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
