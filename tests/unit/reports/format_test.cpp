#include "reports/format.h"

#include <boost/test/unit_test.hpp>

#include "reports/progress.h"
#include "sim/base/error.h"

using namespace kvcast;

BOOST_AUTO_TEST_SUITE(format)

BOOST_AUTO_TEST_CASE(thousands_are_grouped) {
  BOOST_TEST(grouped(0) == "0");
  BOOST_TEST(grouped(999) == "999");
  BOOST_TEST(grouped(1000) == "1,000");
  BOOST_TEST(grouped(-999) == "-999");
  BOOST_TEST(grouped(-1234567) == "-1,234,567");
  BOOST_TEST(grouped(std::numeric_limits<std::int64_t>::min()) == "-9,223,372,036,854,775,808");
  BOOST_TEST(fixed(1234.5, 2) == "1,234.50");
  BOOST_TEST(fixed(-1234.5, 0) == "-1,234");  // to even, as printf
  BOOST_TEST(fixed(-0.001, 2) == "0.00");
}

BOOST_AUTO_TEST_CASE(three_significant_digits) {
  BOOST_TEST(significant(0) == "0");
  BOOST_TEST(significant(0.012345) == "0.0123");
  BOOST_TEST(significant(1.2345) == "1.23");
  BOOST_TEST(significant(9.996) == "10.0");
  BOOST_TEST(significant(99.96) == "100");
  BOOST_TEST(significant(123.4) == "123");
  BOOST_TEST(significant(1234.4) == "1,234");
  BOOST_TEST(significant(-12.34) == "-12.3");
  BOOST_TEST(significant(1e-12) == "0.000000000");
}

BOOST_AUTO_TEST_CASE(latencies_choose_their_unit) {
  BOOST_TEST(latency(84.24) == "84.2 ms");
  BOOST_TEST(latency(50) == "50 ms");
  BOOST_TEST(latency(9999.4) == "9,999 ms");
  BOOST_TEST(latency(10'000) == "10 s");
  BOOST_TEST(latency(12'345) == "12.3 s");
  BOOST_TEST(latency(900'000) == "15 min");
  BOOST_TEST(latency(7'200'000) == "2 h");
}

BOOST_AUTO_TEST_CASE(bytes_in_binary_units) {
  BOOST_TEST(bytes(512) == "512 B");
  BOOST_TEST(bytes(131072) == "128.00 KiB");
  BOOST_TEST(bytes(16'060'522'496) == "14.96 GiB");
  BOOST_TEST(bytes(-16'060'522'496) == "-14.96 GiB");
  BOOST_TEST(bytes(std::int64_t{3} << 40) == "3.00 TiB");
}

BOOST_AUTO_TEST_CASE(percents) {
  BOOST_TEST(percent(0) == "0.0 %");
  BOOST_TEST(percent(0.4215) == "42.1 %");
  BOOST_TEST(percent(0.00012) == "0.0120 %");
  BOOST_TEST(percent(1) == "100.0 %");
}

BOOST_AUTO_TEST_CASE(wrapping_keeps_words_whole) {
  BOOST_TEST(wrapped("aa bb cc", 5, 2) == "aa bb\n  cc");
  BOOST_TEST(wrapped("aaaaaaaa bb", 5, 2) == "aaaaaaaa\n  bb");
  BOOST_TEST(wrapped("", 5, 2).empty());
}

BOOST_AUTO_TEST_CASE(progress_shows_share_rate_and_time_left) {
  const Progress known(ProgressMode::off, 10'000, "requests");
  BOOST_TEST(known.line(2500, 5) ==
             "[######..................]  25 %  2,500 of 10,000  500 requests/s  0:15 left");
  BOOST_TEST(known.line(0, 0) == "[........................]   0 %  0 of 10,000  0 requests/s  ");
  BOOST_TEST(known.line(1, 2).find("5:33:18 left") != std::string::npos);
  const Progress open(ProgressMode::off, 0, "requests");
  BOOST_TEST(open.line(2500, 5) == "2,500 requests, 500 requests/s");
}

BOOST_AUTO_TEST_CASE(unknown_latency_is_named) {
  BOOST_TEST(std::string(latency_text("e2el").name) == "E2EL");
  BOOST_CHECK_THROW(static_cast<void>(latency_text("e2e")), InputError);
}

BOOST_AUTO_TEST_SUITE_END()
