// What one tier holds: keys come, are used, expire, give way and are lost.
#include "sim/kv/tier_store.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "sim/base/rng.h"

namespace kvcast {
namespace {

constexpr FineTime kSecond = FineTime{1'000'000'000} << kFineBits;

/// The list itself, or the policy by the door that all others use: what they do is the same.
std::unique_ptr<EvictionPolicy> lru_by_slots(std::size_t slots) { return make_lru_eviction(slots); }

TierStore store_of(std::int64_t blocks, FineTime lifetime = kFineNever, bool by_slots = false) {
  return {Blocks{blocks}, by_slots ? lru_by_slots : make_lru_eviction, lifetime};
}

/// Whether the block has to be sent.
bool lacks(TierStore& store, BlockKey key, FineTime now, bool touches) {
  return !store.send(std::span(&key, 1), now, touches).empty();
}

/// It arrives. \returns the key that had to go, 0: none
BlockKey insert(TierStore& store, BlockKey key, FineTime now) {
  std::vector<BlockKey> gone;
  const TierStore::Sent block{key, 0};
  const std::int64_t count = store.insert(std::span(&block, 1), now, &gone);
  BOOST_TEST(count == std::ssize(gone));
  return gone.empty() ? 0 : gone.front();
}

/// Sends it and lets it arrive at once.
BlockKey put(TierStore& store, BlockKey key, FineTime now = 0) {
  return lacks(store, key, now, true) ? insert(store, key, now) : 0;
}

BOOST_AUTO_TEST_SUITE(tier_store)

/// A block on its way is not found, and nobody sends it a second time.
BOOST_AUTO_TEST_CASE(found_when_it_has_arrived) {
  TierStore store = store_of(4);
  BOOST_TEST(!store.holds(7, 0));
  BOOST_TEST(lacks(store, 7, 0, true));
  BOOST_TEST(!lacks(store, 7, 0, true));
  BOOST_TEST(!store.holds(7, 0));
  store.touch(7);  // of no effect
  BOOST_TEST(store.used() == 0);
  BOOST_TEST(insert(store, 7, 5) == 0U);
  BOOST_TEST(store.holds(7, 5));
  BOOST_TEST(!lacks(store, 7, 5, true));
  BOOST_TEST(store.used() == 1);
}

BOOST_AUTO_TEST_CASE(the_least_recently_used_gives_way) {
  TierStore store = store_of(3);
  for (const BlockKey key : {1U, 3U, 5U}) BOOST_TEST(put(store, key) == 0U);
  store.touch(1);
  BOOST_TEST(put(store, 7) == 3U);
  BOOST_TEST(!lacks(store, 5, 0, true));  // a second writer's look counts as a use
  BOOST_TEST(put(store, 9) == 1U);
  BOOST_TEST(!lacks(store, 7, 0, false));  // without one it does not
  BOOST_TEST(put(store, 11) == 7U);
  BOOST_TEST(store.used() == 3);
  BOOST_TEST(store.used_max() == 3);
}

/// A lifetime counts from the last write, and a block that has expired may be sent again.
BOOST_AUTO_TEST_CASE(blocks_expire) {
  TierStore store = store_of(3, 10 * kSecond);
  (void)put(store, 1, 0);
  (void)put(store, 3, 5 * kSecond);
  BOOST_TEST(store.holds(1, 10 * kSecond - 1));
  store.touch(1);  // does not make it younger
  BOOST_TEST(!store.holds(1, 10 * kSecond));
  BOOST_TEST(store.expired() == 1);
  BOOST_TEST(store.used() == 1);
  BOOST_TEST(lacks(store, 3, 15 * kSecond, true));
  BOOST_TEST(store.expired() == 2);
  BOOST_TEST(insert(store, 3, 16 * kSecond) == 0U);
  BOOST_TEST(store.holds(3, 26 * kSecond - 1));
  // Written once more by who began before it was there: the age begins anew.
  BOOST_TEST(insert(store, 3, 20 * kSecond) == 0U);
  BOOST_TEST(store.used() == 1);
  BOOST_TEST(store.holds(3, 30 * kSecond - 1));
  BOOST_TEST(!store.holds(3, 30 * kSecond));
}

/// A failure takes what is there and what is on its way; told of by several, it counts once.
BOOST_AUTO_TEST_CASE(a_failure_empties_it) {
  TierStore store = store_of(4);
  for (const BlockKey key : {1U, 3U, 5U}) (void)put(store, key);
  BOOST_TEST(lacks(store, 9, 0, true));
  BOOST_TEST(store.clear(kSecond) == 3);
  BOOST_TEST(store.clear(kSecond) == 0);
  BOOST_TEST(!store.holds(1, kSecond));
  BOOST_TEST(lacks(store, 9, kSecond, true));
  (void)put(store, 11, kSecond);
  BOOST_TEST(store.clear(kSecond) == 0);  // the same failure, told of late
  BOOST_TEST(store.holds(11, kSecond));
  BOOST_TEST(store.clear(2 * kSecond) == 1);
  BOOST_TEST(store.used() == 0);
  BOOST_TEST(store.used_max() == 3);
}

/// Random calls against lists: every key in order of its last use, with when it was written.
BOOST_AUTO_TEST_CASE(equals_a_naive_store) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    RandomStream random(seed, "tier store");
    const std::int64_t capacity = random.integer(1, 40);
    const FineTime lifetime = random.integer(0, 1) == 0 ? kFineNever : kSecond * random.integer(1, 50);
    TierStore store = store_of(capacity, lifetime, seed % 2 == 0);
    std::vector<BlockKey> order;  // least recently used first
    std::map<BlockKey, FineTime> written;
    std::set<BlockKey> under_way;
    std::int64_t expired = 0;
    FineTime now = 0;
    const auto use = [&](BlockKey key) {
      std::erase(order, key);
      order.push_back(key);
    };
    const auto there = [&](BlockKey key) {
      const auto at = written.find(key);
      if (at == written.end()) return false;
      if (now - at->second < lifetime) return true;
      written.erase(at);
      std::erase(order, key);
      ++expired;
      return false;
    };
    for (int i = 0; i < 3000; ++i) {
      now += (kSecond / 100) * random.integer(0, 20);
      const auto key = static_cast<BlockKey>(2 * random.integer(1, 80) + 1);
      switch (random.integer(0, 4)) {
        case 0:
          BOOST_REQUIRE_EQUAL(store.holds(key, now), there(key));
          break;
        case 1:
          store.touch(key);
          if (written.count(key) == 1) use(key);
          break;
        case 2: {
          const bool touches = random.integer(0, 1) == 0;
          const bool held = there(key);
          BOOST_REQUIRE_EQUAL(lacks(store, key, now, touches), !held && under_way.count(key) == 0);
          if (held && touches) use(key);
          if (!held) under_way.insert(key);
          break;
        }
        case 3: {
          if (under_way.empty()) break;
          const BlockKey arrived = *under_way.begin();
          under_way.erase(arrived);
          BlockKey victim = 0;
          if (std::ssize(order) == capacity) {
            victim = order.front();
            order.erase(order.begin());
            written.erase(victim);
          }
          BOOST_REQUIRE_EQUAL(insert(store, arrived, now), victim);
          use(arrived);
          written[arrived] = now;
          break;
        }
        default:
          if (random.integer(0, 99) > 0) break;
          now += 1;
          BOOST_REQUIRE_EQUAL(store.clear(now), std::ssize(order));
          order.clear();
          written.clear();
          under_way.clear();
      }
      BOOST_REQUIRE_EQUAL(store.used(), std::ssize(order));
      BOOST_REQUIRE_EQUAL(store.expired(), expired);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
