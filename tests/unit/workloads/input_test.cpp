#include <boost/test/unit_test.hpp>
#include <string>

#include "tests/unit/workloads/support.h"
#include "workloads/bytes.h"
#include "workloads/json_check.h"
#include "workloads/lines.h"
#include "workloads/numbers.h"
#include "workloads/tar.h"

namespace kvcast {
namespace {

using test::message_of;

// "first line\nsecond line\n" by gzip 1.12 and zstd 1.5.4.
const std::string kText = "first line\nsecond line\n";
const std::string kGzip(
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x4b\xcb\x2c\x2a\x2e\x51\xc8\xc9\xcc\x4b\xe5\x2a\x4e\x4d\xce\xcf"
    "\x4b\x81"
    "\xb0\x01\x2c\x5a\x45\x5d\x17\x00\x00\x00",
    38);
const std::string kZstd(
    "\x28\xb5\x2f\xfd\x04\x58\xb9\x00\x00\x66\x69\x72\x73\x74\x20\x6c\x69\x6e\x65\x0a\x73\x65\x63\x6f\x6e\x64"
    "\x20\x6c"
    "\x69\x6e\x65\x0a\x1f\x3b\xb8\xa0",
    36);

std::string content(const std::string& bytes) { return content_of(file_in_memory("f", bytes), 1 << 20); }

BOOST_AUTO_TEST_SUITE(input)

BOOST_AUTO_TEST_CASE(compression_is_told_by_content) {
  BOOST_TEST(content(kText) == kText);
  BOOST_TEST(content(kGzip) == kText);
  BOOST_TEST(content(kZstd) == kText);
  BOOST_TEST(content("") == "");
  BOOST_TEST(content("\x1f") == "\x1f");
}

BOOST_AUTO_TEST_CASE(concatenated_members_are_one_file) {
  BOOST_TEST(content(kGzip + kGzip) == kText + kText);
  BOOST_TEST(content(kZstd + kZstd) == kText + kText);
}

BOOST_AUTO_TEST_CASE(damaged_files_are_bad_data) {
  ExitCode code = ExitCode::fine;
  const auto message = [&](const std::string& bytes) {
    return message_of([&] { static_cast<void>(content(bytes)); }, &code);
  };
  BOOST_TEST(message(kGzip.substr(0, 20)) == "f: the gzip stream ends early: the file is cut off");
  BOOST_TEST(message(kGzip + "x") == "f: the gzip stream ends early: the file is cut off");
  BOOST_TEST(message(kZstd.substr(0, 20)) == "f: the zstd stream ends early: the file is cut off");
  std::string flipped = kGzip;
  flipped[30] ^= 1;  // the checksum
  BOOST_TEST(message(flipped) == "f: the gzip stream is damaged");
  flipped = kZstd;
  flipped[34] ^= 1;
  BOOST_TEST(message(flipped) == "f: the zstd stream is damaged");
  BOOST_CHECK(code == ExitCode::bad_data);
  BOOST_TEST(message_of([] { static_cast<void>(file_on_disk("no/such/file").open()); }, &code) ==
             "no/such/file: cannot open: No such file or directory");
  BOOST_TEST(message_of([] { static_cast<void>(content_of(file_in_memory("f", kText), 4)); }) ==
             "f: larger than 0 MiB");
}

BOOST_AUTO_TEST_CASE(lines_lose_their_ends_and_blanks) {
  LineReader lines(file_in_memory("f",
                                  "\xEF\xBB\xBF"
                                  "a\r\n\n  \t\nb\n\nlast"));
  BOOST_REQUIRE(lines.next());
  BOOST_TEST(lines.text() == "a");
  BOOST_TEST(lines.number() == 1);
  BOOST_REQUIRE(lines.next());
  BOOST_TEST(lines.text() == "b");
  BOOST_TEST(lines.number() == 4);
  BOOST_TEST(message_of([&] { lines.fail(lines.text().data() + 1, "here"); }) == "f:4:2: here");
  BOOST_REQUIRE(lines.next());
  BOOST_TEST(lines.text() == "last");
  BOOST_TEST(lines.number() == 6);
  BOOST_TEST(!lines.next());
  BOOST_TEST(!lines.next());
}

BOOST_AUTO_TEST_CASE(lines_longer_than_the_buffer_grow_it) {
  const std::string long_line(1'000'003, 'x');
  LineReader lines(file_in_memory("f", "short\n" + long_line + "\n" + long_line + "y\nend\n"));
  BOOST_REQUIRE(lines.next());
  BOOST_REQUIRE(lines.next());
  BOOST_TEST((lines.text() == long_line));
  BOOST_REQUIRE(lines.next());
  BOOST_TEST((lines.text() == long_line + "y"));
  BOOST_REQUIRE(lines.next());
  BOOST_TEST(lines.text() == "end");
  BOOST_TEST(!lines.next());
}

BOOST_AUTO_TEST_CASE(counts_are_whole_and_not_negative) {
  BOOST_TEST(parse_count("0").value() == 0);
  BOOST_TEST(parse_count("812").value() == 812);
  BOOST_TEST(parse_count("812.00").value() == 812);
  BOOST_TEST(parse_count("9223372036854775807").value() == INT64_MAX);
  for (const char* bad :
       {"", "-1", "-0", "+1", "1.5", "1.", "1e3", "12x", " 1", "9223372036854775808", "nan"}) {
    BOOST_TEST(!parse_count(bad).has_value(), bad);
  }
}

BOOST_AUTO_TEST_CASE(times_are_exact_to_the_nanosecond) {
  BOOST_TEST(parse_time_ns("46.926808", 6).value() == 46'926'808);
  BOOST_TEST(parse_time_ns("0.1", 9).value() == 100'000'000);
  BOOST_TEST(parse_time_ns("0.0000000005", 9).value() == 1);
  BOOST_TEST(parse_time_ns("0.00000000049", 9).value() == 0);
  BOOST_TEST(parse_time_ns("86399.999999999", 9).value() == 86'399'999'999'999);
  BOOST_TEST(parse_time_ns("1.5e3", 6).value() == 1'500'000'000);
  BOOST_TEST(parse_time_ns("7", 0).value() == 7);
  for (const char* bad : {"", "-1", "1s", "1.", ".5", "1e99", "1e", "nan", "inf", "0x10", "999999999999"}) {
    BOOST_TEST(!parse_time_ns(bad, 9).has_value(), bad);
  }
}

BOOST_AUTO_TEST_CASE(dates_follow_the_calendar) {
  // Seconds from `date -u -d ... +%s`.
  BOOST_TEST(parse_date_ns("1970-01-01 00:00:00").value() == 0);
  BOOST_TEST(parse_date_ns("2023-11-16 18:15:46.6805900").value() == 1'700'158'546'680'590'000);
  BOOST_TEST(parse_date_ns("2024-02-29T23:59:59.999999999Z").value() == 1'709'251'199'999'999'999);
  BOOST_TEST(parse_date_ns("2024-05-10 00:00:00.009930+00:00").value() == 1'715'299'200'009'930'000);
  BOOST_TEST(parse_date_ns("2024-05-10 02:30:00+02:30").value() == 1'715'299'200'000'000'000);
  BOOST_TEST(parse_date_ns("2024-05-09 23:00:00-01:00").value() == 1'715'299'200'000'000'000);
  for (const char* bad : {"", "2023-02-29 00:00:00", "2023-13-01 00:00:00", "2023-11-16",
                          "2023-11-16 24:00:00", "2023-11-16 18:15", "2023-11-16 18:15:46.",
                          "2023-11-16 18:15:46x", "1969-12-31 23:59:59", "2023-11-16 18:15:46+0100"}) {
    BOOST_TEST(!parse_date_ns(bad).has_value(), bad);
  }
}

BOOST_AUTO_TEST_CASE(json_errors_are_found_where_they_are) {
  for (const char* good : {"{}", "[]", "1", "-0.5e+3", "\"\\u00e9\\n\"",
                           "{\"a\": [1, {\"b\": null}], \"c\": true}", " [false] "}) {
    BOOST_TEST(!find_json_error(good).has_value(), good);
  }
  const auto error = [](const char* text) {
    const auto found = find_json_error(text);
    return found ? std::to_string(found->offset) + " " + found->expected : std::string("none");
  };
  BOOST_TEST(error("") == "0 a value");
  BOOST_TEST(error("{\"a\": 1 \"b\": 2}") == "8 ',' or '}'");
  BOOST_TEST(error("{\"a\" 1}") == "5 ':'");
  BOOST_TEST(error("{a: 1}") == "1 a key in double quotes");
  BOOST_TEST(error("[1, 2") == "5 ',' or ']'");
  BOOST_TEST(error("[1,]") == "3 a value");
  BOOST_TEST(error("[01]") == "2 ',' or ']'");
  BOOST_TEST(error("[1.]") == "3 a digit");
  BOOST_TEST(error("\"abc") == "4 '\"'");
  BOOST_TEST(error("\"\\x\"") == "2 an escape of JSON");
  BOOST_TEST(error("{} {}") == "3 the end of the line");
  BOOST_TEST(error("\"\t\"") == "1 no control character in a string");
  BOOST_TEST(error(std::string(2000, '[').c_str()) == "513 fewer nested brackets");
}

/// A tar header with a right checksum, as `tar --format=ustar` writes it.
std::string tar_file(const std::string& name, const std::string& body, char type = '0') {
  std::string header(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) { header.replace(at, text.size(), text); };
  put(0, name);
  char size[13];
  std::snprintf(size, sizeof size, "%011zo", body.size());
  put(124, size);
  header[156] = type;
  put(257, "ustar");
  put(148, "        ");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  char checksum[9];
  std::snprintf(checksum, sizeof checksum, "%06o", sum);
  put(148, std::string(checksum) + '\0' + ' ');
  std::string padded = body;
  padded.resize((body.size() + 511) / 512 * 512);
  return header + padded;
}

BOOST_AUTO_TEST_CASE(tar_archives_give_their_files) {
  const std::string archive = tar_file("folder/", "", '5') + tar_file("folder/a.csv", "1,2\n") +
                              tar_file("b", std::string(600, 'b')) + std::string(1024, '\0');
  BOOST_TEST(is_tar(archive));
  BOOST_TEST(first_tar_name(archive) == "folder/");
  std::string seen;
  read_tar(file_in_memory("f", archive), [&](const std::string& name, const std::string& body) {
    seen += name + "=" + std::to_string(body.size()) + ";";
  });
  BOOST_TEST(seen == "folder/a.csv=4;b=600;");
  const auto message = [&](const std::string& bytes) {
    return message_of(
        [&] { read_tar(file_in_memory("f", bytes), [](const std::string&, const std::string&) {}); });
  };
  BOOST_TEST(message(archive.substr(0, 1100)) == "f: the tar archive is damaged: it ends inside a file");
  std::string damaged = archive;
  damaged[0] = 'F';
  BOOST_TEST(message(damaged) == "f: the tar archive is damaged: a header's checksum is wrong");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
