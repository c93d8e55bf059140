#include "sim/app/grid.h"

#include <boost/test/unit_test.hpp>

namespace kvcast {
namespace {

BOOST_AUTO_TEST_CASE(commas_inside_brackets_and_quotes_part_nothing) {
  const Variation variation = parse_variation("a.b={x: 1, y: [2, 3]},'p,q',\"r,s\",t");
  BOOST_TEST(variation.path == "a.b");
  const std::vector<std::string> values = {"{x: 1, y: [2, 3]}", "'p,q'", "\"r,s\"", "t"};
  BOOST_TEST(variation.values == values);
}

BOOST_AUTO_TEST_CASE(the_last_variation_changes_fastest) {
  const std::vector<Variation> variations = parse_variations({"a.x=1,2", "b.y=p,q,r"});
  BOOST_TEST(count_combinations(variations, 100) == 6);
  std::vector<std::string> labels;
  for (std::int64_t i = 0; i < 6; ++i) labels.push_back(label_of(combination(variations, i)));
  const std::vector<std::string> expected = {"x=1, y=p", "x=1, y=q", "x=1, y=r",
                                             "x=2, y=p", "x=2, y=q", "x=2, y=r"};
  BOOST_TEST(labels == expected);
}

BOOST_AUTO_TEST_CASE(too_many_combinations_are_refused_before_they_overflow) {
  std::vector<Variation> variations;
  for (int i = 0; i < 80; ++i) variations.push_back({"p" + std::to_string(i), {"1", "2"}});
  BOOST_CHECK_THROW((void)count_combinations(variations, std::int64_t{1} << 40), InputError);
}

BOOST_AUTO_TEST_CASE(a_value_that_no_point_accepts_is_refused) {
  using Points = std::vector<PointOutcome>;
  const Points some = {{{{"a", "1"}, {"b", "1"}}, Refusal::none, ""},
                       {{{"a", "2"}, {"b", "1"}}, Refusal::infeasible, "too large"},
                       {{{"a", "2"}, {"b", "2"}}, Refusal::impossible, "not both"},
                       {{{"a", "1"}, {"b", "2"}}, Refusal::none, ""}};
  BOOST_CHECK_NO_THROW(refuse_useless_values(some));
  const Points useless = {{{{"a", "1"}}, Refusal::none, ""},
                          {{{"a", "2"}}, Refusal::impossible, "no such a"}};
  BOOST_CHECK_EXCEPTION(refuse_useless_values(useless), InputError,
                        [](const InputError& error) { return std::string(error.what()) == "no such a"; });
}

}  // namespace
}  // namespace kvcast
