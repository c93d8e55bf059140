#include "sim/app/sweep_manifest.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>

namespace kvcast {
namespace {

SweepManifest example() {
  SweepManifest manifest;
  manifest.version = "0.1.0";
  manifest.scenario = {"base \"x\".yaml", "0011223344556677"};
  manifest.settings = {{"cluster.replicas", "2"}};
  manifest.variations = {{"engine.block_size", {"16", "32"}}, {"a.b", {"{x: 1}", "y"}}};
  manifest.inputs = {{"m.json", "8899aabbccddeeff"}, {"t.csv", "0123456789abcdef"}};
  for (std::int64_t i = 0; i < 4; ++i) {
    SweepPoint point;
    point.settings = combination(manifest.variations, i);
    point.seed = 7;
    point.inputs = {0, 1};
    point.hash = point_hash(manifest, point);
    manifest.points.push_back(point);
  }
  return manifest;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const std::size_t place = text.find(what);
  BOOST_REQUIRE(place != std::string::npos);
  return text.replace(place, what.size(), by);
}

BOOST_AUTO_TEST_CASE(a_manifest_reads_back) {
  const std::string text = to_json(example());
  const SweepManifest read = parse_manifest(text, "m");
  BOOST_TEST(to_json(read) == text);
  BOOST_TEST(read.points.size() == 4U);
  BOOST_TEST(label_of(settings_of(read.points[3])) == "block_size=32, b=y, seed=7");
}

BOOST_AUTO_TEST_CASE(all_that_decides_a_point_is_in_its_hash) {
  const SweepManifest manifest = example();
  const SweepPoint& point = manifest.points[0];
  std::vector<std::string> hashes = {point.hash};
  const auto with = [&](const auto& change) {
    SweepManifest other = manifest;
    change(other, other.points[0]);
    hashes.push_back(point_hash(other, other.points[0]));
  };
  with([](SweepManifest& m, SweepPoint&) { m.version = "0.2.0"; });
  with([](SweepManifest& m, SweepPoint&) { m.scenario.hash[0] = '1'; });
  with([](SweepManifest& m, SweepPoint&) { m.settings[0].value = "3"; });
  with([](SweepManifest& m, SweepPoint&) { m.inputs[1].hash[0] = '1'; });
  with([](SweepManifest&, SweepPoint& p) { p.seed = 8; });
  with([](SweepManifest&, SweepPoint& p) { p.settings[0].value = "32"; });
  with([](SweepManifest& m, SweepPoint& p) {  // the same words, parted otherwise
    m.settings.push_back(p.settings[0]);
    p.settings.erase(p.settings.begin());
  });
  std::sort(hashes.begin(), hashes.end());
  BOOST_TEST((std::adjacent_find(hashes.begin(), hashes.end()) == hashes.end()));
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_refused_with_its_place) {
  const std::string text = to_json(example());
  const std::vector<std::string> wrong = {
      replaced(text, "\"seed\":7", "\"seed\":8"),
      replaced(text, "\"seed\":7", "\"seed\":-1"),
      replaced(text, "\"seed\":7", "\"seed\":\"7\""),
      replaced(text, "\"id\":1", "\"id\":2"),
      replaced(text, "\"inputs\":[0,1]", "\"inputs\":[0,2]"),
      replaced(text, "\"inputs\":[0,1]", "\"inputs\":[0]"),
      replaced(text, "[\"a.b\",\"{x: 1}\"]", "[\"a.c\",\"{x: 1}\"]"),
      replaced(text, "[\"a.b\",\"{x: 1}\"]", "[\"a.b\"]"),
      replaced(text, "\"kvcast_sweep\": 1", "\"kvcast_sweep\": 2"),
      replaced(text, "\"version\"", "\"versions\""),
      replaced(text, "\"hash\":\"0011", "\"hash\":\"1011"),
      text.substr(0, text.size() / 2),
      "[]",
      "",
  };
  for (const std::string& bad : wrong) {
    BOOST_CHECK_EXCEPTION((void)parse_manifest(bad, "m"), InputError, [](const InputError& error) {
      return error.code() == ExitCode::bad_data && std::string(error.what()).starts_with("m:");
    });
  }
}

BOOST_AUTO_TEST_CASE(a_result_reads_back_to_the_digit) {
  SweepResult result;
  result.point = 3;
  result.hash = "0011223344556677";
  result.status = "run";
  result.numbers = {{"completed", "200"},
                    {"duration", "9.390491064"},
                    {"waste", "0.0"},
                    {"goodput", ""},
                    {"slo.met", "true"},
                    {"tiny", "1e-300"},
                    {"tokens", "1099511627776"},
                    {"third", "0.3333333333333333"}};
  const SweepResult read = parse_result(to_json(result), "log", 2);
  BOOST_TEST(to_json(read) == to_json(result));
  BOOST_CHECK(read.numbers == result.numbers);
}

BOOST_AUTO_TEST_CASE(a_result_that_is_none_is_refused) {
  for (const char* bad :
       {R"({"id":0,"hash":"x","status":"lost","reason":"","numbers":{}})",
        R"({"id":0,"hash":"x","status":"run","reason":"","numbers":{"a":"1"}})",
        R"({"id":0,"hash":"x","status":"run","reason":"","numbers":{"a":NaN}})",
        R"({"id":-1,"hash":"x","status":"run","reason":"","numbers":{}})", R"({"id":0})", "{}", "7"}) {
    BOOST_CHECK_EXCEPTION((void)parse_result(bad, "log", 9), InputError, [](const InputError& error) {
      return error.code() == ExitCode::bad_data && std::string(error.what()).starts_with("log:9:");
    });
  }
}

}  // namespace
}  // namespace kvcast
