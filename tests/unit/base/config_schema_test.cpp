// What Config notes of its readers.
#include "sim/base/config_schema.h"

#include <boost/test/unit_test.hpp>

#include "sim/base/config.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

BOOST_AUTO_TEST_SUITE(config_schema)

BOOST_AUTO_TEST_CASE(reads_leave_their_form) {
  MappingSchema seen;
  Config root = Config::from_text("a: 3\nb: {c: true, names: {x: 1}}\nlist: [{d: 2}]\n", "t");
  root.observe(seen);
  (void)root.get_int("a", {1, 9});
  (void)root.get_int("a", {0, 5}, 2);
  Config b = root.child("b");
  (void)b.get_bool("c", false);
  (void)b.child("names").names();
  (void)b.get_choice("kind", {"one", "two"}, "one");
  (void)root.get_string("free", "auto");
  for (Config& element : root.children("list")) (void)element.get_real("d", {0, 4});
  const KeySchema* a = seen.find("a");
  BOOST_REQUIRE(a != nullptr);
  BOOST_TEST(a->integer->min == 0);
  BOOST_TEST(a->integer->max == 9);
  BOOST_TEST(a->fallback.value_or("") == "2");
  BOOST_TEST(!a->needed);  // it was there
  const MappingSchema& below = *seen.find("b")->mapping;
  BOOST_TEST(below.find("c")->boolean);
  BOOST_TEST(below.find("names")->mapping->open);
  BOOST_TEST(below.find("kind")->choices.size() == 2U);
  BOOST_TEST(!below.find("kind")->text);
  BOOST_TEST(seen.find("free")->text);
  BOOST_TEST(seen.find("list")->elements->find("d")->real->max == 4.0);
}

BOOST_AUTO_TEST_CASE(a_wrong_value_teaches_as_much) {
  MappingSchema seen;
  Config root = Config::from_text("a: [x]\nk: {}\n", "t");
  root.observe(seen);
  BOOST_CHECK_THROW((void)root.get_real("a", {0, 1}, 0.5), InputError);
  BOOST_CHECK_THROW((void)root.get_choice("k", {"one"}, "one"), InputError);
  BOOST_CHECK_THROW((void)root.get_int("absent", {0, 1}), InputError);
  BOOST_TEST(seen.find("a")->real.has_value());
  BOOST_TEST(seen.find("k")->choices.size() == 1U);
  BOOST_TEST(seen.find("absent")->needed);
}

BOOST_AUTO_TEST_CASE(a_key_that_is_only_looked_for_has_no_form) {
  MappingSchema seen;
  Config root = Config::from_text("a: 1\n", "t");
  root.observe(seen);
  BOOST_TEST(root.contains("a"));
  BOOST_TEST(!root.has("b"));
  BOOST_TEST(seen.find("a")->asked_for_form);
  BOOST_TEST(!seen.find("a")->has_form());
  // contains() does not make it a key that messages propose, nor one that was read.
  BOOST_CHECK_THROW(root.finish(), InputError);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
