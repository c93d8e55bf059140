#include "sim/plan/sweep_log.h"

#include <boost/test/unit_test.hpp>

#include "sim/base/error.h"

namespace kvcast {
namespace {

const std::vector<std::string> kPayloads = {R"({"header":1})", R"({"id":0,"x":1.5})", R"({"id":1,"x":null})",
                                            R"({"id":2,"reason":"a longer one, with text"})"};

std::string whole_log() {
  std::string log;
  for (const std::string& payload : kPayloads) log += log_line(payload);
  return log;
}

/// Ends of the lines of whole_log().
std::vector<std::size_t> line_ends() {
  std::vector<std::size_t> ends = {0};
  for (const std::string& payload : kPayloads) ends.push_back(ends.back() + log_line(payload).size());
  return ends;
}

void check_prefix(const ScannedLog& log, std::size_t records) {
  BOOST_TEST_REQUIRE(log.payloads.size() == records);
  for (std::size_t i = 0; i < records; ++i) BOOST_TEST(log.payloads[i] == kPayloads[i]);
  BOOST_TEST(log.good_bytes == line_ends()[records]);
}

BOOST_AUTO_TEST_CASE(what_was_written_is_read) {
  check_prefix(scan_log(whole_log(), "log"), kPayloads.size());
  check_prefix(scan_log("", "log"), 0);
}

BOOST_AUTO_TEST_CASE(a_log_cut_at_any_byte_keeps_its_whole_records) {
  const std::string log = whole_log();
  const std::vector<std::size_t> ends = line_ends();
  for (std::size_t cut = 0; cut <= log.size(); ++cut) {
    std::size_t records = 0;
    while (records + 1 < ends.size() && ends[records + 1] <= cut) ++records;
    const std::string torn = log.substr(0, cut);
    check_prefix(scan_log(torn, "log"), records);
  }
}

BOOST_AUTO_TEST_CASE(a_torn_end_may_hold_anything_but_a_whole_record) {
  const std::string log = whole_log();
  for (const std::string& tail : {std::string(4096, '\0'), std::string("\n\n\n"),
                                  std::string("garbage\nmore\n"), std::string("0123456789abcdef {}\n")}) {
    const std::string bytes = log + tail;
    check_prefix(scan_log(bytes, "log"), kPayloads.size());
  }
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_is_found) {
  const std::string log = whole_log();
  const std::vector<std::size_t> ends = line_ends();
  for (std::size_t byte = 0; byte < log.size(); ++byte) {
    std::size_t record = 0;
    while (ends[record + 1] <= byte) ++record;
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = log;
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
      // A lost line break joins a line with the next one: both are gone.
      const bool joins = byte + 1 == ends[record + 1];
      if (record + (joins ? 2U : 1U) >= kPayloads.size()) {
        check_prefix(scan_log(flipped, "log"), record);  // no whole record follows: as if it were torn
        continue;
      }
      BOOST_CHECK_EXCEPTION((void)scan_log(flipped, "log"), InputError, [&](const InputError& error) {
        const std::string place = "log:" + std::to_string(record + 1) + ": is damaged";
        return error.code() == ExitCode::bad_data && std::string(error.what()).starts_with(place);
      });
    }
  }
}

}  // namespace
}  // namespace kvcast
