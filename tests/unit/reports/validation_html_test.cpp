// The page of a validation and its CSV; the page of replayed decisions.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "reports/decisions_report.h"
#include "reports/validation_report.h"
#include "reports/validation_text.h"

namespace kvcast {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

Validation example(std::size_t loads) {
  Validation validation;
  validation.title = "run <1>.json (a tool)";
  validation.timer = "a timer";
  validation.confidence = 0.9;
  validation.version = "1.2.3";
  validation.seed = "7";
  validation.command = "kvcast validate x";
  for (std::size_t i = 0; i < loads; ++i) {
    ValidatedLoad load;
    load.load = "load " + std::to_string(i);
    load.values = {{"ttft", "p99", i == 7 ? 60.0 : 50.0, 50.0 + static_cast<double>(i), ErrorBand{35, 55}},
                   {"tpot", "p50", 10, 10.1, ErrorBand{9, 12}},
                   {"output_throughput", "", 4000, 4000, {}}};
    find_cause(load, {.queue_ms = 1, .prefill_ms = 37, .decode_ms = 900});
    validation.loads.push_back(std::move(load));
  }
  add_provenance({{"an assumption", "somewhere"}}, {{"b.json", "2222"}, {"a.json", "1111"}}, validation);
  add_provenance({{"an assumption", "somewhere"}}, {{"a.json", "1111"}}, validation);
  return validation;
}

BOOST_AUTO_TEST_SUITE(validation_html)

BOOST_AUTO_TEST_CASE(page_of_a_validation) {
  const std::string page = to_html(example(8));
  for (const char* part :
       {"Forecast against measurement", "id=\"scatter-latency\"", "id=\"scatter-rate\"", "by load",
        "Where the errors come from", "Every number", "run &lt;1&gt;.json", "load 7", "outside its interval",
        "kvcast validate x", "<dt>Seed</dt><dd>7</dd>", "a.json <code>1111</code>", "an assumption"})
    BOOST_TEST(contains(page, part), part << " is missing");
  BOOST_TEST(!contains(page, "http://www"));
  // Each assumption and input stands once, inputs by path.
  BOOST_TEST(count(page, "an assumption") == 1U);
  BOOST_TEST(page.find("a.json <code>") < page.find("b.json <code>"));
}

BOOST_AUTO_TEST_CASE(many_loads_stay_small_and_the_largest_errors_are_shown) {
  const std::string page = to_html(example(2000));
  BOOST_TEST(page.size() < 1'000'000U);
  BOOST_TEST(contains(page, "load 1999"));
  BOOST_TEST(!contains(page, "<th scope=\"row\">load 0</th>"));
  BOOST_TEST(contains(page, "The 150 of 2,000 loads with the largest errors are listed"));
}

BOOST_AUTO_TEST_CASE(nothing_compared) {
  Validation validation;
  validation.title = "x";
  validation.skipped = {"x: no request completed"};
  const std::string page = to_html(validation);
  BOOST_TEST(contains(page, "Nothing could be compared"));
  BOOST_TEST(contains(page, "x: no request completed"));
}

BOOST_AUTO_TEST_CASE(verdict_names_the_largest_error) {
  const std::string verdict = verdict_of(example(11));
  BOOST_TEST(contains(verdict, "Half of the 33 numbers are within"));
  BOOST_TEST(contains(verdict, "the largest error is +20.0 % of p99 TTFT (load 10)"));
}

BOOST_AUTO_TEST_CASE(csv_has_a_row_for_each_number) {
  const std::string csv = to_csv(example(3));
  BOOST_TEST(count(csv, "\n") == 10U);
  BOOST_TEST(contains(csv, ",load 2,ttft,p99,50,52,0.04,35,55,true,prefill\n"));
  BOOST_TEST(contains(csv, ",load 0,output_throughput,,4000,4000,0,,,,decode\n"));
}

BOOST_AUTO_TEST_CASE(decisions) {
  DecisionsReport report;
  report.version = "1.2.3";
  report.logs.push_back({"a.jsonl", "plain", "vLLM 0.32.0", 100, 90, {}, ""});
  report.logs.push_back({"b.jsonl", "evict | 8", "SGLang 0.5.23", 50, 20,
                         ReplayDifference{"step 17", "p <3>", "p 4", {"step 16"}}, "a note"});
  report.inputs = {{"a.jsonl", "1111"}, {"b.jsonl", "2222"}};
  BOOST_TEST(report.equal() == 1U);
  BOOST_TEST(verdict_of(report) == "1 of 2 logs equal in every decision");
  BOOST_TEST(to_text(report.logs[0]) == "equal    vLLM 0.32.0 plain: 100 steps; the closed form took 90\n");
  const std::string page = to_html(report);
  for (const char* part :
       {"verdict bad", "evict | 8, step 17", "engine:  p &lt;3&gt;", "kvcast:  p 4", "2222"})
    BOOST_TEST(contains(page, part), part << " is missing");
  const auto json = nlohmann::json::parse(to_json(report));
  BOOST_TEST(json.at("equal") == 1);
  BOOST_TEST(json.at("logs").at(1).at("difference").at("engine") == "p <3>");
  BOOST_TEST(contains(to_csv(report), "b.jsonl,evict | 8,SGLang 0.5.23,false,50,20,step 17,a note\n"));
  BOOST_TEST(
      contains(to_markdown(report), "| evict \\| 8 | SGLang 0.5.23 | **differs**: step 17 | 50 | 20 |"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
