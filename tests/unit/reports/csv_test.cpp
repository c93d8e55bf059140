#include <boost/test/unit_test.hpp>
#include <sstream>
#include <vector>

#include "reports/report.h"

namespace kvcast {
namespace {

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> result;
  std::istringstream in(line);
  for (std::string cell; std::getline(in, cell, ',');) result.push_back(cell);
  return result;
}

BOOST_AUTO_TEST_SUITE(csv)

BOOST_AUTO_TEST_CASE(a_header_and_one_row_of_numbers) {
  Forecast forecast;
  forecast.metrics.completed = 12;
  forecast.metrics.ttft = {.count = 12, .mean = 1.5, .p99 = 3.25};
  forecast.facts.blocks_total = 100;
  std::istringstream text(to_csv(forecast));
  std::string header;
  std::string values;
  std::string rest;
  BOOST_REQUIRE(std::getline(text, header) && std::getline(text, values) && !std::getline(text, rest));
  const std::vector<std::string> names = cells(header);
  const std::vector<std::string> numbers = cells(values + ",end");
  BOOST_REQUIRE(numbers.size() == names.size() + 1);
  const auto value = [&](const std::string& name) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == name) return numbers[i];
    }
    return std::string("no such column");
  };
  BOOST_TEST(value("completed") == "12");
  BOOST_TEST(value("mean_ttft_ms") == "1.5");
  BOOST_TEST(value("p99_ttft_ms") == "3.25");
  BOOST_TEST(value("mean_tpot_ms") == "");  // nothing was measured
  BOOST_TEST(value("kv.blocks_total") == "100");
  for (const std::string& number : numbers) BOOST_TEST(number.find_first_of("\"[{") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
