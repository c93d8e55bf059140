#include <boost/test/unit_test.hpp>
#include <utility>

#include "sim/base/rng.h"
#include "sim/sglang/token_key.h"

namespace kvcast::sglang {
namespace {

using Token = std::pair<std::uint64_t, std::int64_t>;

std::vector<Token> tokens_of(const std::vector<TokenRun>& runs) {
  std::vector<Token> tokens;
  for (const TokenRun& run : runs) {
    for (std::int64_t i = 0; i < run.length; ++i) tokens.emplace_back(run.segment, run.start + i);
  }
  return tokens;
}

/// The same tokens, cut into runs at random.
std::vector<TokenRun> cut_at_random(const std::vector<Token>& tokens, RandomStream& random) {
  std::vector<TokenRun> runs;
  for (const Token& token : tokens) {
    const bool follows = !runs.empty() && runs.back().segment == token.first && runs.back().start + runs.back().length == token.second;
    if (follows && random.uniform() < 0.8) {
      ++runs.back().length;
    } else {
      runs.push_back({token.first, token.second, 1});
    }
  }
  return runs;
}

std::vector<Token> random_tokens(RandomStream& random) {
  std::vector<Token> tokens;
  const std::int64_t parts = random.integer(1, 4);
  for (std::int64_t p = 0; p < parts; ++p) {
    const auto segment = static_cast<std::uint64_t>(random.integer(0, 2));
    const std::int64_t length = random.integer(1, 6);
    for (std::int64_t i = 0; i < length; ++i) tokens.emplace_back(segment, i);
  }
  return tokens;
}

BOOST_AUTO_TEST_SUITE(token_key)

BOOST_AUTO_TEST_CASE(neighbours_that_continue_become_one_run) {
  TokenSequence sequence;
  sequence.append({7, 0, 5});
  sequence.append({7, 5, 3});
  sequence.append({7, 0, 2});
  sequence.append({8, 0, 0});
  BOOST_TEST(sequence.length() == 10);
  const std::vector<TokenRun> runs = KeyCursor(sequence.key(10, 0)).rest();
  BOOST_TEST((runs == std::vector<TokenRun>{{7, 0, 8}, {7, 0, 2}}));
}

BOOST_AUTO_TEST_CASE(runs_compare_as_their_tokens_do) {
  RandomStream random(1, "keys");
  for (int round = 0; round < 3000; ++round) {
    const std::vector<Token> a = random_tokens(random);
    const std::vector<Token> b = random.uniform() < 0.3 ? a : random_tokens(random);
    const std::vector<TokenRun> a_runs = cut_at_random(a, random);
    const std::vector<TokenRun> b_runs = cut_at_random(b, random);
    const auto from = static_cast<std::size_t>(random.integer(0, std::ssize(a)));
    KeyCursor cursor({a_runs, std::ssize(a), 0});
    cursor.advance(static_cast<std::int64_t>(from));
    BOOST_REQUIRE(tokens_of(cursor.rest()) == std::vector<Token>(a.begin() + static_cast<std::ptrdiff_t>(from), a.end()));
    std::size_t equal = 0;
    while (from + equal < a.size() && equal < b.size() && a[from + equal] == b[equal]) ++equal;
    BOOST_REQUIRE_EQUAL(cursor.common(b_runs), static_cast<std::int64_t>(equal));
  }
}

BOOST_AUTO_TEST_CASE(equal_tokens_in_canonical_runs_have_equal_hashes) {
  RandomStream random(2, "hashes");
  for (int round = 0; round < 1000; ++round) {
    const std::vector<Token> tokens = random_tokens(random);
    TokenSequence once, again;
    for (const TokenRun& run : cut_at_random(tokens, random)) once.append(run);
    for (const TokenRun& run : cut_at_random(tokens, random)) again.append(run);
    const std::int64_t n = random.integer(1, once.length());
    BOOST_REQUIRE_EQUAL(KeyCursor(once.key(n, 3)).hash(n), KeyCursor(again.key(n, 3)).hash(n));
    BOOST_REQUIRE_NE(KeyCursor(once.key(n, 3)).hash(n), KeyCursor(again.key(n, 4)).hash(n));
  }
}

BOOST_AUTO_TEST_CASE(cutting_keeps_all_tokens) {
  RandomStream random(3, "cuts");
  for (int round = 0; round < 1000; ++round) {
    const std::vector<Token> tokens = random_tokens(random);
    std::vector<TokenRun> first = cut_at_random(tokens, random);
    const std::int64_t at = random.integer(0, std::ssize(tokens));
    const std::vector<TokenRun> rest = cut_runs(first, at);
    std::vector<Token> together = tokens_of(first);
    BOOST_REQUIRE_EQUAL(std::ssize(together), at);
    const std::vector<Token> tail = tokens_of(rest);
    together.insert(together.end(), tail.begin(), tail.end());
    BOOST_REQUIRE(together == tokens);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast::sglang
