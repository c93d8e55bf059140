#include "sim/kv/eviction.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "sim/base/rng.h"
#include "sim/kv/cached_blocks.h"

namespace kvcast {
namespace {

/// A cache of letters: refers to them in turn. \returns the letters that are resident afterwards, in order of
/// name
std::string residents_after(const std::string& policy_name, std::size_t slots, const std::string& letters) {
  const auto policy = eviction_catalog().find(policy_name, "test").make(slots);
  std::vector<char> in(slots, 0);
  std::size_t used = 0;
  for (const char letter : letters) {
    const auto found = std::find(in.begin(), in.end(), letter);
    if (found != in.end()) {
      policy->hit(static_cast<Slot>(found - in.begin()));
      continue;
    }
    const Slot slot =
        used < slots ? static_cast<Slot>(used++) : policy->victim(static_cast<std::uint64_t>(letter));
    in[slot] = letter;
    policy->inserted(slot, {static_cast<std::uint64_t>(letter), letter == 'z' ? 100.0 : 1.0});
  }
  std::string text(in.begin(), in.end());
  std::sort(text.begin(), text.end());
  return text;
}

BOOST_AUTO_TEST_SUITE(eviction)

BOOST_AUTO_TEST_CASE(each_keeps_what_it_is_for) {
  BOOST_TEST(residents_after("lru", 3, "abcad") == "acd");
  BOOST_TEST(residents_after("fifo", 3, "abcad") == "bcd");
  BOOST_TEST(residents_after("lfu", 3, "aabbcd") == "abd");
  BOOST_TEST(residents_after("lfu", 3, "aabcbcd") == "bcd");       // all twice: the least recent goes
  BOOST_TEST(residents_after("slru", 5, "aabcdefgh") == "aefgh");  // a is protected from those on probation
  BOOST_TEST(residents_after("gdsf", 3, "zabcdef") == "efz");      // z costs more than the rest together
  // The age rises with every victim, so that what was worth much once goes too.
  std::string scan = "z";
  for (int i = 0; i < 300; ++i) scan += "abcd";
  BOOST_TEST(residents_after("gdsf", 2, scan).find('z') == std::string::npos);
}

/// A scan of pages that are seen once goes through without washing out what is asked for again and again.
BOOST_AUTO_TEST_CASE(scans_pass_through) {
  std::string letters;
  for (int i = 0; i < 40; ++i) letters += "xy";
  for (const char* policy : {"arc", "s3-fifo", "lfu", "slru", "gdsf"}) {
    std::string scanned = letters;
    for (char c = 'A'; c <= 'Z'; ++c) scanned += c;
    const std::string left = residents_after(policy, 10, scanned);
    BOOST_TEST(left.find("xy") != std::string::npos, policy << ": " << left);
  }
  std::string scanned = letters;
  for (char c = 'A'; c <= 'Z'; ++c) scanned += c;
  BOOST_TEST(residents_after("lru", 10, scanned).find('x') == std::string::npos);
  // 2Q protects what came back after it had left.
  BOOST_TEST(residents_after("2q", 8, "xABCDEFGHxIJKLMNOPQ").find('x') != std::string::npos);
}

BOOST_AUTO_TEST_CASE(recompute_costs_fall_to_the_end_of_a_prompt) {
  BOOST_TEST(recompute_cost(0, 16) == 16 * (1 + 8 / 30500.0));
  BOOST_TEST(recompute_cost(0, 1000) > recompute_cost(16, 1000));
  BOOST_TEST(recompute_cost(99'984, 100'000) > 4 * recompute_cost(0, 16));
}

/// Any order of uses, holds and evictions: a victim is resident, nobody holds it, and it is named once.
BOOST_AUTO_TEST_CASE(victims_are_resident_and_not_held) {
  for (const auto& entry : eviction_catalog().entries()) {
    if (entry.make == nullptr) continue;
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
      RandomStream random(seed, "eviction");
      const std::int64_t slots = random.integer(1, 24);
      const auto policy = entry.make(static_cast<std::size_t>(slots));
      std::vector<int> holds(static_cast<std::size_t>(slots), -1);  // -1: not resident
      for (int step = 0; step < 2000; ++step) {
        const auto slot = static_cast<Slot>(random.integer(0, slots - 1));
        int& held = holds[slot];
        const double dice = random.uniform();
        if (held < 0) {
          policy->inserted(slot,
                           {static_cast<std::uint64_t>(random.integer(1, 60)), random.uniform_positive()});
          held = 0;
          if (dice < 0.5) {
            policy->hold(slot);
            held = 1;
          }
        } else if (dice < 0.4) {
          policy->hit(slot);
        } else if (dice < 0.6) {
          held == 0 ? policy->hold(slot) : policy->let_go(slot);
          held = 1 - held;
        } else if (dice < 0.65 && held == 0) {
          policy->dropped(slot);
          held = -1;
        } else if (std::find(holds.begin(), holds.end(), 0) != holds.end()) {
          const Slot victim =
              policy->victim(dice < 0.8 ? 0 : static_cast<std::uint64_t>(random.integer(1, 60)));
          BOOST_REQUIRE_EQUAL(holds[victim], 0);
          holds[victim] = -1;
        }
      }
    }
  }
}

/// Blocks in a pool under `lru` behave as in the free queue, which is LRU.
BOOST_AUTO_TEST_CASE(lru_is_the_free_queue) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    RandomStream random(seed, "lru pool");
    CachedBlocksSettings settings;
    const std::int64_t block = random.integer(1, 8);
    settings.groups = {KvGroup{block, 0, std::nullopt}};
    settings.unit = settings.hash_unit = block;
    const PoolSize size{Blocks{random.integer(5, 60)}, Tokens{block}};
    const auto queue = make_cached_blocks(settings, size);
    settings.eviction = make_lru_eviction;
    const auto policy = make_cached_blocks(settings, size);
    struct Inside {
      BlockTable tables[2];
      std::int64_t prompt;
    };
    std::vector<Inside> inside;
    std::int64_t hits = 0;
    for (int step = 0; step < 400; ++step) {
      if (!inside.empty() && random.uniform() < 0.5) {
        const auto index = static_cast<std::size_t>(random.integer(0, std::ssize(inside) - 1));
        const bool returns = random.uniform() < 0.3;
        for (int i = 0; i < 2; ++i) {
          BlockAllocator& blocks = i == 0 ? *queue : *policy;
          returns ? blocks.suspend(inside[index].tables[i]) : blocks.release(inside[index].tables[i]);
          blocks.close(inside[index].tables[i]);
        }
        inside.erase(inside.begin() + static_cast<std::ptrdiff_t>(index));
        continue;
      }
      Content content;
      content.is_private = random.uniform() < 0.2;
      content.output = 1000 + static_cast<std::uint64_t>(step);
      content.prompt = {{static_cast<std::uint64_t>(content.is_private ? 5000 + step : random.integer(1, 6)),
                         Tokens{random.integer(1, 60)}}};
      Inside next{{}, content.prompt.front().length.value};
      Tokens cached[2];
      bool grew[2];
      for (int i = 0; i < 2; ++i) {
        BlockAllocator& blocks = i == 0 ? *queue : *policy;
        Content copy = content;
        next.tables[i].limit = Tokens{100};
        blocks.open(next.tables[i], std::move(copy));
        cached[i] = blocks.lookup(next.tables[i], Tokens{next.prompt});
        grew[i] =
            blocks.grow(next.tables[i], {Tokens{next.prompt}, cached[i], Tokens{next.prompt}, Tokens{0}});
        if (!grew[i]) blocks.close(next.tables[i]);
      }
      BOOST_REQUIRE(cached[0] == cached[1]);
      BOOST_REQUIRE_EQUAL(grew[0], grew[1]);
      BOOST_REQUIRE(queue->free() == policy->free());
      hits += cached[0].value;
      if (grew[0]) inside.push_back(next);
    }
    BOOST_TEST(hits > 0);
  }
}

/// Equal prompts of two tenants have nothing in common.
BOOST_AUTO_TEST_CASE(salts_part_tenants) {
  CachedBlocksSettings settings;
  settings.groups = {KvGroup{}};
  const auto blocks = make_cached_blocks(settings, {Blocks{100}, Tokens{16}});
  const auto cached = [&](std::uint64_t salt) {
    Content content;
    content.salt = salt;
    content.prompt = {{7, Tokens{100}}};
    BlockTable table;
    table.limit = Tokens{200};
    blocks->open(table, std::move(content));
    const Tokens found = blocks->lookup(table, Tokens{100});
    BOOST_TEST(blocks->grow(table, {Tokens{100}, found, Tokens{100}, Tokens{0}}));
    blocks->release(table);
    blocks->close(table);
    return found.value;
  };
  BOOST_TEST(cached(1) == 0);
  BOOST_TEST(cached(2) == 0);
  BOOST_TEST(cached(1) == 96);
  BOOST_TEST(cached(2) == 96);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
