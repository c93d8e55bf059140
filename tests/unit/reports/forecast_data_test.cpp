// What JSON and Markdown of a run hold beyond its numbers: distributions, state over time, NTPOT.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "reports/report.h"
#include "reports/timeline_view.h"
#include "tests/unit/reports/synthetic.h"

namespace kvcast {
namespace {

BOOST_AUTO_TEST_SUITE(forecast_data)

BOOST_AUTO_TEST_CASE(distributions_rise_and_end_at_the_percentiles) {
  const auto run = synthetic_run(2000);
  const auto json = nlohmann::json::parse(to_json(run->forecast));
  const auto& ttft = json.at("distributions_ms").at("ttft");
  BOOST_REQUIRE(ttft.size() == 101U);
  for (std::size_t i = 1; i < ttft.size(); ++i)
    BOOST_TEST(ttft[i - 1].get<double>() <= ttft[i].get<double>());
  BOOST_TEST(ttft[99].get<double>() == json.at("p99_ttft_ms").get<double>(),
             boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(timeline_is_thinned_evenly) {
  const auto run = synthetic_run(2000);
  const auto json = nlohmann::json::parse(to_json(run->forecast));
  const auto& timeline = json.at("timeline");
  BOOST_TEST(timeline.at("kv_usage").size() <= 200U);
  BOOST_TEST(timeline.at("kv_usage").size() >= 100U);
  BOOST_TEST(timeline.at("running").size() == timeline.at("kv_usage").size());
  const TimelineView all = timeline_of(run->forecast, Timeline::kPointsMax);
  const TimelineView few = timeline_of(run->forecast, 10);
  BOOST_TEST(few.points.size() <= 10U);
  BOOST_TEST(few.first_s == all.first_s);
  const auto stride = static_cast<std::size_t>(few.spacing_s / all.spacing_s + 0.5);
  for (std::size_t i = 0; i < few.points.size(); ++i)
    BOOST_TEST(few.points[i].running == all.points[i * stride].running);
}

BOOST_AUTO_TEST_CASE(long_lists_stand_on_one_line) {
  const std::string text = to_json(synthetic_run(2000)->forecast);
  BOOST_TEST(std::count(text.begin(), text.end(), '\n') < 200);
  // Lists do not become columns of the CSV.
  BOOST_TEST(to_csv(synthetic_run(500)->forecast).find("timeline") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(ntpot_is_there_where_it_was_measured) {
  const auto run = synthetic_run(500);
  BOOST_TEST(nlohmann::json::parse(to_json(run->forecast)).at("mean_ntpot_ms").is_null());
  run->record.ntpot.add(Duration{20'000'000});
  run->forecast.metrics = reduce(run->record, run->forecast.facts);
  BOOST_TEST(nlohmann::json::parse(to_json(run->forecast)).at("mean_ntpot_ms").get<double>() == 20.0);
  BOOST_TEST(to_markdown(run->forecast).find("| NTPOT |") != std::string::npos);
  BOOST_TEST(to_table(run->forecast, false).find("NTPOT") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(markdown_has_budget_slo_and_time) {
  const std::string text = to_markdown(synthetic_run(2000)->forecast);
  for (const char* part : {"<summary>KV budget of a GPU</summary>", "| **KV cache** |",
                           "<summary>Over time</summary>", "| p99 TTFT |", "**missed**"})
    BOOST_TEST((text.find(part) != std::string::npos), part << " is missing");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
