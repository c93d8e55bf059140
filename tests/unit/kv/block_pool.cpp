#include "sim/kv/block_pool.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <deque>
#include <map>

#include "sim/base/rng.h"

namespace kvcast {
namespace {

/// The same with a list and a map of lists.
struct NaivePool {
  std::deque<BlockId> queue;
  std::map<BlockId, int> users;
  std::map<BlockId, BlockKey> key_of;
  std::map<BlockKey, std::vector<BlockId>> by_key;
  FreeOrder order;

  NaivePool(BlockId blocks, FreeOrder free_order) : order(free_order) {
    for (BlockId id = 1; id <= blocks; ++id) queue.push_back(id);
  }
  BlockId take() {
    const BlockId id = queue.front();
    queue.pop_front();
    if (key_of.count(id) != 0) {
      std::erase(by_key[key_of[id]], id);
      key_of.erase(id);
    }
    users[id] = 1;
    return id;
  }
  void touch(BlockId id) {
    if (users[id] == 0) queue.erase(std::find(queue.begin(), queue.end(), id));
    ++users[id];
  }
  void release(const std::vector<BlockId>& ids) {
    std::vector<BlockId> front;
    for (const BlockId id : ids) {
      if (--users[id] > 0) continue;
      if (order == FreeOrder::split_by_key && key_of.count(id) == 0) {
        front.push_back(id);
      } else {
        queue.push_back(id);
      }
    }
    queue.insert(queue.begin(), front.begin(), front.end());
  }
  void enter(BlockKey key, BlockId id) {
    key_of[id] = key;
    by_key[key].push_back(id);
  }
  BlockId find(BlockKey key) { return by_key[key].empty() ? kNullBlock : by_key[key].front(); }
};

BOOST_AUTO_TEST_SUITE(block_pool)

BOOST_AUTO_TEST_CASE(equals_a_list_and_a_map) {
  for (const FreeOrder order : {FreeOrder::split_by_key, FreeOrder::all_behind}) {
    constexpr BlockId kBlocks = 40;
    RandomStream random(3, "block_pool");
    BlockPool pool(Blocks{kBlocks}, true, order);
    NaivePool naive(kBlocks, order);
    std::vector<BlockId> held;  // with repetition for several users
    for (int i = 0; i < 30'000; ++i) {
      const double dice = random.uniform();
      if (dice < 0.35 && !naive.queue.empty()) {
        const BlockId id = pool.take();
        BOOST_REQUIRE_EQUAL(id, naive.take());
        held.push_back(id);
      } else if (dice < 0.55) {
        const auto key = static_cast<BlockKey>(2 * random.integer(1, 30) + 1);
        const BlockId found = pool.find(key);
        BOOST_REQUIRE_EQUAL(found, naive.find(key));
        if (found != kNullBlock) {
          pool.touch(found);
          naive.touch(found);
          held.push_back(found);
        }
      } else if (dice < 0.75 && !held.empty()) {
        const BlockId id = held[static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(held.size()) - 1))];
        if (pool.key(id) != 0) continue;
        const auto key = static_cast<BlockKey>(2 * random.integer(1, 30) + 1);
        pool.enter(key, id);
        naive.enter(key, id);
      } else {
        std::vector<BlockId> given;
        for (std::int64_t n = random.integer(0, 4); n > 0 && !held.empty(); --n) {
          const auto at = random.integer(0, static_cast<std::int64_t>(held.size()) - 1);
          given.push_back(held[static_cast<std::size_t>(at)]);
          held.erase(held.begin() + at);
        }
        pool.release(given);
        naive.release(given);
      }
      BOOST_REQUIRE_EQUAL(pool.free().value, static_cast<std::int64_t>(naive.queue.size()));
    }
  }
}

BOOST_AUTO_TEST_CASE(key_map_equals_a_map) {
  RandomStream random(5, "key_map");
  KeyMap keys;
  std::map<BlockKey, BlockId> model;
  for (int i = 0; i < 200'000; ++i) {
    // Keys that differ in few bits collide often.
    const auto key = static_cast<BlockKey>(2 * random.integer(0, 4000) + 1) << (random.uniform() < 0.5 ? 0 : 11);
    if (random.uniform() < 0.5) {
      const auto block = static_cast<BlockId>(random.integer(1, 1000));
      keys.set(key, block);
      model[key] = block;
    } else if (model.count(key) != 0) {
      keys.set(key, kNullBlock);
      model.erase(key);
    }
    BOOST_REQUIRE_EQUAL(keys.find(key), model.count(key) == 0 ? kNullBlock : model[key]);
  }
  for (const auto& [key, block] : model) BOOST_REQUIRE_EQUAL(keys.find(key), block);
}

/// With caching off, and for blocks without a key: the last freed is the first reused.
BOOST_AUTO_TEST_CASE(blocks_without_a_key_are_reused_first) {
  BlockPool pool(Blocks{4}, true, FreeOrder::split_by_key);
  const BlockId a = pool.take();
  const BlockId b = pool.take();
  pool.enter(11, a);
  pool.release(std::vector<BlockId>{a});
  pool.release(std::vector<BlockId>{b});
  BOOST_TEST(pool.take() == b);  // no key
  BOOST_TEST(pool.take() == 3U);
  BOOST_TEST(pool.take() == 4U);
  BOOST_TEST(pool.find(11) == a);
  BOOST_TEST(pool.take() == a);  // evicted last
  BOOST_TEST(pool.find(11) == kNullBlock);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
