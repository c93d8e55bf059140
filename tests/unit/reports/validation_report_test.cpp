// The comparison as table, JSON and Markdown: numbers, intervals, causes, what was left out.
#include "reports/validation_report.h"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

namespace kvcast {
namespace {

Validation example() {
  Validation validation;
  validation.title = "run.json (a tool)";
  validation.timer = "a timer";
  validation.confidence = 0.9;
  ValidatedLoad load;
  load.load = "4 requests/s";
  load.values = {{"ttft", "mean", 50, 40, ErrorBand{35, 45}},
                 {"tpot", "p99", 10, 10.5, ErrorBand{9, 12}},
                 {"request_throughput", "", 4, 4, {}}};
  find_cause(load, {.queue_ms = 1,
                    .frontend_ms = 2,
                    .prefill_ms = 37,
                    .decode_ms = 900,
                    .preemptions = 0,
                    .kv_usage_peak = 0.5});
  validation.loads.push_back(load);
  validation.skipped = {"other: no model"};
  validation.notes = {"a note"};
  return validation;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

BOOST_AUTO_TEST_SUITE(validation_report)

BOOST_AUTO_TEST_CASE(table_of_errors) {
  const std::string table = to_table(example(), false);
  for (const char* part :
       {"mean TTFT", "-20.0 %", "35 ms to 45 ms  outside", "largest: mean TTFT -20.0 %, cause prefill",
        "1 of 2 measurements lie within the stated 90 % intervals (50.0 %)", "not compared: other: no model",
        "note: a note", "request throughput"}) {
    BOOST_TEST(contains(table, part), part << " is missing in\n" << table);
  }
}

BOOST_AUTO_TEST_CASE(json_keys) {
  const auto json = nlohmann::json::parse(to_json(example()));
  const auto& load = json.at("loads").at(0);
  BOOST_TEST(load.at("cause") == "prefill");
  BOOST_TEST(load.at("values").at(0).at("error").get<double>() == -0.2, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(load.at("values").at(0).at("inside") == false);
  BOOST_TEST(!load.at("values").at(2).contains("interval"));
  BOOST_TEST(json.at("coverage").at("of") == 2);
  BOOST_TEST(json.at("errors").size() == 3U);
}

BOOST_AUTO_TEST_CASE(markdown) {
  const std::string text = to_markdown(example());
  BOOST_TEST(contains(
      text,
      "| 4 requests/s | mean TTFT | 50 ms | 40 ms | -20.0 % | 35 ms to 45 ms | outside; largest: prefill |"));
  BOOST_TEST(contains(text, "| p99 TPOT | 1 | 5.0 % | 5.0 % |"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
