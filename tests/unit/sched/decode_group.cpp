#include "sim/sched/decode_group.h"

#include <boost/test/unit_test.hpp>
#include <map>

#include "sim/base/rng.h"

namespace kvcast {
namespace {

/// The same, member by member and step by step.
struct NaiveGroup {
  struct One {
    std::int64_t known, end;
    bool grows;
    std::uint64_t admitted_no;
  };
  std::int64_t block_size;
  std::map<std::uint64_t, One> members;

  [[nodiscard]] std::int64_t context() const {
    std::int64_t sum = 0;
    for (const auto& [no, m] : members) sum += m.known;
    return sum;
  }
  [[nodiscard]] std::int64_t blocks_at(std::int64_t step) const {
    std::int64_t blocks = 0;
    for (const auto& [no, m] : members) {
      const std::int64_t held = m.known - 1 + step;  // tokens with KV before that step
      if (m.grows && held % block_size == 0) ++blocks;
    }
    return blocks;
  }
  std::vector<std::uint64_t> step() {
    std::vector<std::uint64_t> ended;
    for (auto& [no, m] : members) {
      if (++m.known == m.end) ended.push_back(no);
    }
    for (const std::uint64_t no : ended) members.erase(no);
    return ended;
  }
};

BOOST_AUTO_TEST_SUITE(decode_group)

BOOST_AUTO_TEST_CASE(sums_equal_member_by_member_counting) {
  for (const std::int64_t block_size : {1, 2, 5, 16, 97}) {
    RandomStream random(static_cast<std::uint64_t>(block_size), "decode_group");
    DecodeGroup group(Tokens{block_size}, true);
    NaiveGroup naive{block_size, {}};
    std::uint64_t next = 0;
    for (int round = 0; round < 3'000; ++round) {
      if (random.uniform() < 0.5 || naive.members.empty()) {
        const Tokens known{random.integer(2, 300)};
        const Tokens remaining{random.integer(1, 80)};
        const bool grows = random.uniform() < 0.8;
        group.join({static_cast<SeqIndex>(next), next, known, remaining, grows});
        naive.members[next] = {known.value, known.value + remaining.value, grows, next};
        ++next;
      }
      BOOST_REQUIRE_EQUAL(group.size(), static_cast<std::int64_t>(naive.members.size()));
      BOOST_REQUIRE_EQUAL(group.context(), naive.context());
      const std::int64_t steps = random.integer(1, group.steps_to_first_end());
      std::int64_t taken = 0;
      for (std::int64_t i = 0; i < steps; ++i) taken += naive.blocks_at(i);
      BOOST_REQUIRE_EQUAL(group.blocks_taken(0, steps).value, taken);
      BOOST_REQUIRE_EQUAL(static_cast<std::int64_t>(group.named(group.clock()).size()), naive.blocks_at(0));
      const std::int64_t free = random.integer(0, taken + 2);
      std::int64_t covered = 0;
      for (std::int64_t left = free; covered < steps && naive.blocks_at(covered) <= left; ++covered) left -= naive.blocks_at(covered);
      BOOST_REQUIRE_EQUAL(group.steps_covered(0, steps, Blocks{free}), covered);

      std::vector<DecodeGroup::Ending> ended;
      group.advance(steps, ended);
      std::vector<std::uint64_t> expected;
      for (std::int64_t i = 0; i < steps; ++i) expected = naive.step();
      BOOST_REQUIRE_EQUAL(ended.size(), expected.size());
      for (std::size_t i = 0; i < ended.size(); ++i) BOOST_REQUIRE_EQUAL(ended[i].admitted_no, expected[i]);
    }
  }
}

BOOST_AUTO_TEST_CASE(clear_forgets_all_but_the_clock) {
  DecodeGroup group(Tokens{4}, false);
  group.join({SeqIndex{0}, 0, Tokens{5}, Tokens{3}, true});
  std::vector<DecodeGroup::Ending> ended;
  group.advance(1, ended);
  group.clear();
  BOOST_TEST(group.size() == 0);
  BOOST_TEST(group.context() == 0);
  BOOST_TEST(group.clock() == 1);
  BOOST_TEST(group.blocks_taken(0, 100).value == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
