// The report of a calibration: rows from points, page, JSON, CSV, Markdown.
#include "reports/fit_report.h"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

namespace kvcast {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Two kernels in two decades; forecasts are 10 % high where held out, 2 % low where seen.
std::vector<FitPoint> points() {
  std::vector<FitPoint> list;
  for (int i = 0; i < 40; ++i) {
    const bool held_out = i % 4 == 0;
    const double us = i < 20 ? 5 : 50;
    list.push_back({i % 2 == 0 ? "gemm" : "copy", us, us * (held_out ? 1.1 : 0.98), 1e6, 1e9, held_out});
  }
  return list;
}

FitReport example() {
  FitReport report;
  report.title = "Calibration of x <y>";
  report.sub = "tables";
  report.verdict = "2 kernels fitted; fine";
  report.held_out = "A quarter was kept.";
  report.points = points();
  report.rows = fit_rows(report.points);
  report.terms = {{"", "step", 5000, 15}, {"", "tokens", 17.2, 0.5}};
  report.runs = {{"", "run a", 100, 0.05, 0.1, 0.93, 0.03, 0.08}};
  report.notes = {"memory read: 38 GB/s"};
  report.inputs = {{"t.csv", "1234"}};
  report.seed = "1";
  report.command = "kvcast calibrate import t.csv";
  report.version = "1.2.3";
  return report;
}

BOOST_AUTO_TEST_SUITE(fit_report)

BOOST_AUTO_TEST_CASE(rows_by_kernel_and_decade) {
  const std::vector<FitRow> rows = fit_rows(points());
  BOOST_REQUIRE(rows.size() == 6U);  // two decades and all, of two kernels
  BOOST_TEST(rows[0].kernel == "gemm");
  BOOST_TEST(rows[0].decade == "1 us to 10 us");
  BOOST_TEST(rows[2].decade == "all");
  BOOST_TEST(rows[2].points == 10);
  BOOST_TEST(rows[2].median == 0.1, boost::test_tools::tolerance(1e-9));
  BOOST_TEST(rows[2].seen_points == 10);
  BOOST_TEST(rows[2].seen_p90 == 0.02, boost::test_tools::tolerance(1e-9));
  // The copies were never held out.
  BOOST_TEST(rows[5].points == 0);
  BOOST_TEST(rows[5].seen_points == 20);
}

BOOST_AUTO_TEST_CASE(page_has_every_part) {
  const std::string page = to_html(example());
  for (const char* part : {"Calibration of x &lt;y&gt;", "How far the fit is off", "Seen by the fit",
                           "id=\"fit-chart\"", "id=\"residuals-chart\"", "id=\"roofline-chart\"",
                           "What a step takes", "Each run judged by all others", "memory read: 38 GB/s",
                           "t.csv <code>1234</code>", "<dt>Seed</dt><dd>1</dd>", "data-name=\"p90\""})
    BOOST_TEST(contains(page, part), part << " is missing");
  FitReport many = example();
  for (int i = 0; i < 50'000; ++i) many.points.push_back({"gemm", 1.0 + i, 1.1 + i, 1e6, 1e9, i % 7 == 0});
  BOOST_TEST(to_html(many).size() < 1'000'000U);
}

BOOST_AUTO_TEST_CASE(data) {
  const auto json = nlohmann::json::parse(to_json(example()));
  BOOST_TEST(json.at("rows").size() == 6U);
  BOOST_TEST(json.at("rows").at(2).at("held_out").at("points") == 10);
  BOOST_TEST(json.at("rows").at(2).at("fit").at("points") == 10);
  BOOST_TEST(!json.at("rows").at(5).at("held_out").contains("median"));
  BOOST_TEST(json.at("terms").at(1).at("us") == 17.2);
  BOOST_TEST(json.at("runs").at(0).at("speed") == 0.93);
  BOOST_TEST(json.at("inputs").at("t.csv") == "1234");
  BOOST_TEST(contains(to_csv(example()), "copy,all,0,,,,20,"));
  const std::string markdown = to_markdown(example());
  BOOST_TEST(contains(markdown, "| gemm | all | 10 | 10.0 % | 10.0 % | 10.0 % | 10 | 2.0 % | 2.0 % |"));
  BOOST_TEST(contains(markdown, "| run a | 100 | 5.0 % | 10.0 % | 0.930 | 3.0 % | 8.0 % |"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
