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
      for (std::int64_t left = free; covered < steps && naive.blocks_at(covered) <= left; ++covered)
        left -= naive.blocks_at(covered);
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

/// Chunked local attention: a token attends to those of its chunk, so a member's part rises by one a step and
/// starts anew with every chunk.
BOOST_AUTO_TEST_CASE(attention_in_chunks_equals_member_by_member_counting) {
  for (const std::int64_t chunk : {1, 2, 5, 16, 97}) {
    RandomStream random(static_cast<std::uint64_t>(chunk), "decode_group chunks");
    Reach reach;
    reach.cap = chunk;
    reach.chunks = true;
    DecodeGroup group(Tokens{16}, false, reach);
    NaiveGroup naive{16, {}};
    const auto attended = [&](std::int64_t earlier) {
      std::int64_t sum = 0;
      for (const auto& [no, m] : naive.members) sum += (m.known - earlier - 1) % chunk + 1;
      return sum;
    };
    std::uint64_t next = 0;
    for (int round = 0; round < 3'000; ++round) {
      if (random.uniform() < 0.5 || naive.members.empty()) {
        const Tokens known{random.integer(2, 300)};
        const Tokens remaining{random.integer(1, 250)};
        group.join({static_cast<SeqIndex>(next), next, known, remaining, false});
        naive.members[next] = {known.value, known.value + remaining.value, false, next};
        ++next;
      }
      BOOST_REQUIRE_EQUAL(group.attended(), attended(0));
      BOOST_REQUIRE_EQUAL(group.attended_before(), attended(1));
      const std::int64_t steps =
          random.integer(1, std::min(group.steps_to_first_end(), group.steps_to_first_turn()));
      for (std::int64_t i = 1; i < steps; ++i) {
        (void)naive.step();
        BOOST_REQUIRE_EQUAL(group.attended() + i * group.attending_more(), attended(0));
      }
      std::vector<DecodeGroup::Ending> ended;
      group.advance(steps, ended);
      BOOST_REQUIRE_EQUAL(ended.size(), naive.step().size());
    }
  }
}

BOOST_AUTO_TEST_CASE(prompts_in_chunks_in_closed_form) {
  RandomStream random(1, "reach chunks");
  for (int i = 0; i < 2'000; ++i) {
    Reach reach;
    reach.cap = random.integer(1, 40);
    reach.chunks = reach.everywhere = true;
    const std::int64_t held = random.integer(0, 200), n = random.integer(1, 100);
    std::int64_t pairs = 0, first = held;
    for (std::int64_t at = held; at < held + n; ++at) {
      pairs += at % reach.cap + 1;
      first = std::min(first, at / reach.cap * reach.cap);
    }
    BOOST_REQUIRE_EQUAL(reach.pairs(held, n), pairs);
    BOOST_REQUIRE_EQUAL(reach.keys(held, n), held + n - first);
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
