#include "sim/base/text.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "sim/base/catalog.h"
#include "sim/base/config.h"
#include "sim/base/error.h"
#include "sim/base/units.h"
#include "tests/unit/base/message.h"

namespace kvcast {
namespace {

BOOST_AUTO_TEST_SUITE(text)

BOOST_AUTO_TEST_CASE(quotes_for_messages) {
  BOOST_TEST(quoted("plain") == "\"plain\"");
  BOOST_TEST(quoted("a\"b\\c\n\t\x01") == "\"a\\\"b\\\\c\\n\\t\\u0001\"");
  BOOST_TEST(quoted(std::string(60, 'x')) == '"' + std::string(60, 'x') + '"');
  BOOST_TEST(quoted(std::string(61, 'x')) == '"' + std::string(57, 'x') + "...\"");
  // A cut never splits a character: byte 57 falls inside the two-byte ä.
  BOOST_TEST(quoted(std::string(56, 'x') + "\xc3\xa4" + std::string(9, 'y')) ==
             '"' + std::string(56, 'x') + "...\"");
}

BOOST_AUTO_TEST_CASE(reals) {
  BOOST_TEST((parse_real("1") == 1.0));
  BOOST_TEST((parse_real("-0.25") == -0.25));
  BOOST_TEST((parse_real("+2.5E+3") == 2500.0));
  BOOST_TEST((parse_real(".5") == 0.5));
  BOOST_TEST((parse_real("5.") == 5.0));
  for (const char* wrong : {"", "+", "-", ".", "e5", "1e", "1e+", "inf", "nan", "-inf", "0x1", "1 ", " 1",
                            "1f", "1,000", "--1", "+-1", "1e999"}) {
    BOOST_TEST(!parse_real(wrong).has_value(), wrong);
  }
}

BOOST_AUTO_TEST_CASE(utf8) {
  constexpr std::size_t kNone = std::string_view::npos;
  BOOST_TEST(find_invalid_utf8("") == kNone);
  BOOST_TEST(find_invalid_utf8(
                 "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf") == kNone);
  const std::string_view wrong[] = {"ab\x80",
                                    "ab\xc3",
                                    "ab\xc3z",
                                    "ab\xc0\xaf",
                                    "ab\xe0\x9f\xbf",
                                    "ab\xed\xa0\x80",
                                    "ab\xf0\x8f\xbf\xbf",
                                    "ab\xf4\x90\x80\x80",
                                    "ab\xf5\x80\x80\x80",
                                    "ab\xe2\x82"};
  for (const std::string_view text : wrong) BOOST_TEST(find_invalid_utf8(text) == 2U);
}

BOOST_AUTO_TEST_CASE(yaml_scalars_read_back_as_text) {
  for (const char* text : {"plain",   "configs/models/llama-3.1.json",
                           "a b",     "vllm-0.32",
                           ".5x",     "...",
                           "---",     "- a",
                           "a: b",    "a #b",
                           "true",    "~",
                           "null",    "1",
                           "1e3",     "-x",
                           " lead",   "trail ",
                           "\"q\"",   "\\",
                           "\t",      "\n",
                           "[a]",     "{a}",
                           "*a",      "&a",
                           "!a",      "%a",
                           "@a",      "`a",
                           "|",       ">",
                           "'",       "a,b",
                           "?",       ":",
                           "=",       "<<",
                           "\xc3\xa4"}) {
    Config config = Config::from_text("x: " + yaml_scalar(text) + "\n", "t");
    BOOST_TEST(config.get_string("x") == text);
  }
  BOOST_TEST(yaml_scalar("configs/models/llama-3.1.json") == "configs/models/llama-3.1.json");
  BOOST_TEST(yaml_scalar("") == "\"\"");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(names)

BOOST_AUTO_TEST_CASE(nearest) {
  const std::vector<std::string> known = {"vllm-v1", "continuous", "static"};
  BOOST_TEST(nearest_name("vllm-v2", known) == "vllm-v1");
  BOOST_TEST(nearest_name("statc", known) == "static");
  BOOST_TEST(nearest_name("stat", known) == "static");
  BOOST_TEST(nearest_name("h100", {"h200", "h100-sxm"}) == "h100-sxm");  // the beginning counts more than the distance
  BOOST_TEST(nearest_name("sglang", known).empty());
  BOOST_TEST(nearest_name("", known).empty());
  BOOST_TEST(nearest_name("x", {}).empty());
  BOOST_TEST(known_names("statc", known) == " (known: vllm-v1, continuous, static; did you mean static?)");
  BOOST_TEST(known_names("zzzzzz", known) == " (known: vllm-v1, continuous, static)");
  BOOST_TEST(known_names("x", {}) == " (none is known here)");
}

BOOST_AUTO_TEST_CASE(catalogues_name_their_entries) {
  const Catalog<int> catalog("scheduler", {{"static", "one batch", 1}, {"continuous", "Orca", 2}});
  BOOST_TEST(catalog.find("continuous", "s.yaml:1:2").make == 2);
  BOOST_TEST(message_of([&] { static_cast<void>(catalog.find("statik", "s.yaml:1:2")); }) ==
             "s.yaml:1:2: unknown scheduler \"statik\" (known: static, continuous; did you mean static?)");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(units)

BOOST_AUTO_TEST_CASE(counts_stay_within_their_kind) {
  static_assert(!std::is_convertible_v<Tokens, Blocks>);
  static_assert(!std::is_convertible_v<std::int64_t, Tokens>);
  Tokens tokens{5};
  tokens += Tokens{3};
  tokens -= Tokens{1};
  BOOST_TEST((tokens * 2 - Tokens{4}).value == 10);
  BOOST_TEST((Tokens{1} < Tokens{2}));
  BOOST_TEST(ceil_div(0, 16) == 0);
  BOOST_TEST(ceil_div(16, 16) == 1);
  BOOST_TEST(ceil_div(17, 16) == 2);
}

BOOST_AUTO_TEST_CASE(fine_durations_hold_twenty_bits_of_a_nanosecond) {
  BOOST_TEST(FineDuration(Duration(1)).count() == std::int64_t{1} << kFineBits);
  BOOST_TEST(std::chrono::duration_cast<Duration>(FineDuration((std::int64_t{3} << kFineBits) - 1)).count() ==
             2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
