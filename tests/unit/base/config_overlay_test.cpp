#include <boost/test/unit_test.hpp>

#include "sim/base/config.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr const char* kText =
    "cluster:\n"
    "  gpu: h100\n"
    "  node: {nics: 4, rails: true}\n"
    "  pools: [{gpu: h200, node: {nics: 8}}]\n"
    "seed: 3\n";

BOOST_AUTO_TEST_SUITE(config_overlay)

BOOST_AUTO_TEST_CASE(mappings_are_merged_and_values_keep_their_places) {
  Config root = Config::from_text(kText, "a.yaml");
  Config cluster = root.child("cluster");
  Config over = root.without("cluster", "pools").overlaid("cluster", cluster.children("pools").front());
  Config laid = over.child("cluster");
  BOOST_TEST(laid.get_string("gpu") == "h200");
  BOOST_TEST(laid.child("node").get_int("nics", {1, 100}) == 8);
  BOOST_TEST(laid.child("node").get_bool("rails", false));
  BOOST_TEST(!laid.contains("pools"));
  BOOST_TEST(laid.where("gpu") == "a.yaml:4:17");
  BOOST_TEST(over.get_int("seed", {0, 10}) == 3);
  over.finish();
  BOOST_TEST(cluster.get_string("gpu") == "h100");  // the text itself is as it was
}

BOOST_AUTO_TEST_CASE(what_is_read_elsewhere_is_not_unknown) {
  Config root = Config::from_text(kText, "a.yaml");
  (void)root.get_int("seed", {0, 10});
  BOOST_CHECK_THROW(root.finish(), InputError);
  Config cluster = root.child("cluster");
  (void)cluster.get_string("gpu");
  BOOST_CHECK_THROW(root.finish(), InputError);
  root.read_elsewhere("cluster");
  root.finish();
}

BOOST_AUTO_TEST_CASE(a_copy_lacks_one_key) {
  Config root = Config::from_text(kText, "a.yaml");
  Config copy = root.child("cluster").copy_without("node").copy_without("absent");
  BOOST_TEST(copy.keys() == (std::vector<std::string>{"gpu", "pools"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(absent_mappings_and_no_changes) {
  Config root = Config::from_text("seed: 3\n", "a.yaml");
  Config over = root.overlaid("engine", Config::empty("none"));
  BOOST_TEST(over.child("engine").keys().empty());
  Config changes = Config::from_text("block_size: 4\n", "b.yaml");
  Config made = root.overlaid("engine", changes);
  BOOST_TEST(made.child("engine").get_int("block_size", {1, 64}) == 4);
  BOOST_TEST(made.child("engine").where("block_size") == "b.yaml:1:13");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
