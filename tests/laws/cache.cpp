// Caches alone, on fixed streams of references: what must hold whatever the stream.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <list>
#include <map>
#include <vector>

#include "sim/base/rng.h"
#include "sim/kv/cache_replay.h"

namespace kvcast {
namespace {

/// Conversations, documents asked about again, and prompts that nobody repeats, for some tenants.
/// \param only the requests of one tenant; -1: all
ReferenceStream random_stream(std::uint64_t seed, std::int64_t tenants, std::int64_t only = -1) {
  RandomStream rng(seed, "cache law");
  ReferenceStream stream({rng.integer(1, 32), rng.integer(0, 1) == 1});
  const std::int64_t documents = rng.integer(1, 40);
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 0; i < documents; ++i) lengths.push_back(rng.integer(1, 600));
  const std::int64_t requests = rng.integer(1, 250);
  for (std::int64_t i = 0; i < requests; ++i) {
    Content content;
    content.salt = static_cast<std::uint64_t>(rng.integer(0, tenants - 1));
    content.output = 1'000'000 + static_cast<std::uint64_t>(i);
    std::int64_t prompt = 0;
    for (std::int64_t part = rng.integer(0, 3); part > 0; --part) {
      const std::int64_t d = std::min(rng.integer(0, documents - 1), rng.integer(0, documents - 1));
      content.prompt.push_back(
          {static_cast<std::uint64_t>(d) + 1, Tokens{lengths[static_cast<std::size_t>(d)]}});
      prompt += lengths[static_cast<std::size_t>(d)];
    }
    const std::int64_t own = rng.integer(1, 100);
    content.prompt.push_back({2'000'000 + static_cast<std::uint64_t>(i), Tokens{own}});
    const Tokens answer{rng.integer(1, 100)};
    const bool named = rng.integer(0, 1) == 1;
    if (only < 0 || content.salt == static_cast<std::uint64_t>(only))
      stream.add(std::move(content), Tokens{prompt + own}, answer, named);
  }
  return stream;
}

/// LRU as one would write it on a blackboard.
CacheResult naive_lru(const ReferenceStream& stream, std::size_t capacity) {
  CacheResult result;
  std::list<ReferenceStream::Page> order;  // oldest first
  const auto find = [&](ReferenceStream::Page page) { return std::find(order.begin(), order.end(), page); };
  for (const ReferenceStream::Request& request : stream.requests()) {
    for (std::size_t i = request.begin; i < request.lookups_end && find(stream.pages()[i]) != order.end();
         ++i) {
      ++result.hits;
      result.hit_tokens += stream.tokens(request, i);
    }
    for (std::size_t i = request.begin; i < request.end; ++i) {
      const auto found = find(stream.pages()[i]);
      if (found != order.end()) {
        ++result.resident_hits;
        order.erase(found);
      }
      order.push_back(stream.pages()[i]);
      if (order.size() > capacity) order.pop_front();
    }
  }
  return result;
}

/// The best of all ways to run a cache, by trying them: references to keep or not, and whom to let go.
class BestCache {
 public:
  BestCache(const ReferenceStream& stream, std::size_t capacity)
      : pages_(stream.pages()), capacity_(capacity) {}
  std::int64_t hits(std::size_t at = 0, std::uint64_t residents = 0) {
    if (at == pages_.size()) return 0;
    const auto known = memory_.find({at, residents});
    if (known != memory_.end()) return known->second;
    const std::uint64_t page = std::uint64_t{1} << pages_[at];
    std::int64_t best = 0;
    if ((residents & page) != 0) {
      best = 1 + hits(at + 1, residents);
    } else {
      best = hits(at + 1, residents);
      if (static_cast<std::size_t>(__builtin_popcountll(residents)) < capacity_)
        best = std::max(best, hits(at + 1, residents | page));
      for (std::uint64_t bit = 1; bit <= residents; bit <<= 1U) {
        if ((residents & bit) != 0) best = std::max(best, hits(at + 1, (residents & ~bit) | page));
      }
    }
    return memory_[{at, residents}] = best;
  }

 private:
  const std::vector<ReferenceStream::Page>& pages_;
  std::size_t capacity_;
  std::map<std::pair<std::size_t, std::uint64_t>, std::int64_t> memory_;
};

BOOST_AUTO_TEST_SUITE(cache)

BOOST_AUTO_TEST_CASE(lru_never_falls_and_equals_the_naive_one) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const ReferenceStream stream = random_stream(seed, 2);
    std::vector<std::size_t> capacities;
    for (std::size_t c = 0; c <= stream.distinct() + 1; c += 1 + c / 3) capacities.push_back(c);
    const std::vector<CacheResult> curve = replay_lru(stream, capacities);
    for (std::size_t i = 0; i < capacities.size(); ++i) {
      if (i > 0) {
        BOOST_TEST(curve[i].hits >= curve[i - 1].hits, "seed " << seed);
        BOOST_TEST(curve[i].hit_tokens >= curve[i - 1].hit_tokens, "seed " << seed);
        BOOST_TEST(curve[i].resident_hits >= curve[i - 1].resident_hits, "seed " << seed);
      }
      if (i % 3 != 0) continue;
      for (const CacheResult& other :
           {naive_lru(stream, capacities[i]), replay_cache(stream, make_lru_eviction, capacities[i])}) {
        BOOST_TEST(curve[i].hits == other.hits, "seed " << seed << ", " << capacities[i] << " blocks");
        BOOST_TEST(curve[i].hit_tokens == other.hit_tokens, "seed " << seed);
        BOOST_TEST(curve[i].resident_hits == other.resident_hits, "seed " << seed);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(no_policy_beats_belady) {
  for (std::uint64_t seed = 0; seed < 120; ++seed) {
    const ReferenceStream stream = random_stream(seed, 1);
    for (std::size_t capacity = 1; capacity <= stream.distinct(); capacity += 1 + capacity) {
      const CacheResult bound = replay_belady(stream, capacity);
      BOOST_TEST(bound.hits <= bound.resident_hits);
      for (const auto& entry : eviction_catalog().entries()) {
        if (entry.make == nullptr) continue;
        const CacheResult result = replay_cache(stream, entry.make, capacity);
        BOOST_TEST(result.resident_hits <= bound.resident_hits,
                   entry.name << ", seed " << seed << ", " << capacity << " blocks");
        BOOST_TEST(result.hits <= result.resident_hits, entry.name << ", seed " << seed);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(belady_is_the_best_of_all_ways) {
  int tried = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    RandomStream rng(seed, "small cache");
    ReferenceStream stream({1, false});
    for (std::int64_t i = rng.integer(2, 8); i > 0; --i) {
      Content content;
      content.prompt.push_back({static_cast<std::uint64_t>(rng.integer(1, 4)), Tokens{3}});
      stream.add(std::move(content), Tokens{rng.integer(1, 3)}, Tokens{1}, false);
    }
    for (std::size_t capacity = 1; capacity <= 4; ++capacity, ++tried) {
      BOOST_TEST(replay_belady(stream, capacity).resident_hits == BestCache(stream, capacity).hits(),
                 "seed " << seed);
    }
  }
  BOOST_TEST(tried == 240);
}

/// Tenants share nothing: with room for everything each finds what it would find alone.
BOOST_AUTO_TEST_CASE(tenants_salt_the_cache) {
  constexpr std::int64_t kTenants = 3;
  std::int64_t lost = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const ReferenceStream together = random_stream(seed, kTenants);
    const std::size_t everything[] = {together.pages().size()};
    const CacheResult all = replay_lru(together, everything).front();
    std::int64_t hits = 0;
    std::int64_t tokens = 0;
    for (std::int64_t tenant = 0; tenant < kTenants; ++tenant) {
      const CacheResult alone = replay_lru(random_stream(seed, kTenants, tenant), everything).front();
      hits += alone.hits;
      tokens += alone.hit_tokens;
    }
    BOOST_TEST(all.hits == hits, "seed " << seed);
    BOOST_TEST(all.hit_tokens == tokens, "seed " << seed);
    lost += replay_lru(random_stream(seed, 1), everything).front().hits - hits;
  }
  BOOST_TEST(lost > 1000);  // without salts they would share
}

/// With room for everything every repeat is a hit, whatever the policy.
BOOST_AUTO_TEST_CASE(infinite_caches_are_equal) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const ReferenceStream stream = random_stream(seed, 3);
    const std::int64_t repeats = std::ssize(stream.pages()) - static_cast<std::int64_t>(stream.distinct());
    for (const auto& entry : eviction_catalog().entries()) {
      const CacheResult result = entry.make == nullptr ? replay_belady(stream, stream.distinct())
                                                       : replay_cache(stream, entry.make, stream.distinct());
      BOOST_TEST(result.resident_hits == repeats, entry.name << ", seed " << seed);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
