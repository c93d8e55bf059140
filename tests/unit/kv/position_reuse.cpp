#include "sim/kv/position_reuse.h"

#include <boost/test/unit_test.hpp>

namespace kvcast {
namespace {

Content prompt(std::initializer_list<Content::Run> runs, std::uint64_t salt = 0) {
  Content content;
  content.salt = salt;
  content.prompt = runs;
  return content;
}

BOOST_AUTO_TEST_SUITE(position_reuse)

BOOST_AUTO_TEST_CASE(what_each_scheme_permits) {
  for (const PositionScheme scheme :
       {PositionScheme::rope, PositionScheme::alibi, PositionScheme::learned, PositionScheme::none}) {
    BOOST_TEST((reuse_of(scheme, true, true) == Reuse::exact));
    BOOST_TEST((reuse_of(scheme, false, true) == Reuse::in_place));
  }
  BOOST_TEST((reuse_of(PositionScheme::rope, false, false) == Reuse::rotated));
  BOOST_TEST((reuse_of(PositionScheme::alibi, false, false) == Reuse::moved));
  BOOST_TEST((reuse_of(PositionScheme::none, false, false) == Reuse::moved));
  BOOST_TEST((reuse_of(PositionScheme::learned, false, false) == Reuse::not_reusable));
}

/// Documents 1 (100 tokens), 2 (100 tokens) and 3 (64 tokens), in chunks of 64.
SegmentStream documents() {
  SegmentStream stream(64);
  stream.add(prompt({{1, Tokens{100}}, {2, Tokens{100}}}));
  stream.add(prompt({{1, Tokens{100}}, {2, Tokens{100}}}));  // all exact
  stream.add(prompt({{3, Tokens{100}}, {2, Tokens{100}}}));  // 2 where it was, behind another
  stream.add(prompt({{2, Tokens{100}}, {1, Tokens{100}}}));  // both moved
  stream.add(prompt({{1, Tokens{100}}}, 9));                 // another tenant's
  return stream;
}

BOOST_AUTO_TEST_CASE(every_find_is_checked) {
  const SegmentStream stream = documents();
  BOOST_TEST(stream.tokens() == 900);
  BOOST_TEST(stream.distinct() == 8U);
  const PositionResult rope = replay_positions(stream, PositionScheme::rope, make_lru_eviction, 100);
  BOOST_TEST(rope.exact == 200);
  BOOST_TEST(rope.in_place == 100);
  BOOST_TEST(rope.rotated == 200);
  BOOST_TEST(rope.moved == 0);
  BOOST_TEST(rope.not_reusable == 0);
  BOOST_TEST(rope.saved(0.15) == 200 + 0.85 * 300);
  const PositionResult alibi = replay_positions(stream, PositionScheme::alibi, make_lru_eviction, 100);
  BOOST_TEST(alibi.moved == 200);
  BOOST_TEST(alibi.rotated == 0);
  const PositionResult learned = replay_positions(stream, PositionScheme::learned, make_lru_eviction, 100);
  BOOST_TEST(learned.not_reusable == 200);
  BOOST_TEST(learned.saved(0) == 300);
}

BOOST_AUTO_TEST_CASE(small_stores_forget) {
  // Only the last chunk of the prompt before is there: the 36 tokens that end document 2.
  const PositionResult one = replay_positions(documents(), PositionScheme::rope, make_lru_eviction, 1);
  BOOST_TEST(one.exact == 36);
  BOOST_TEST(one.in_place == 36);
  BOOST_TEST(one.rotated == 36);
  BOOST_TEST(replay_positions(documents(), PositionScheme::rope, make_lru_eviction, 0).exact == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
