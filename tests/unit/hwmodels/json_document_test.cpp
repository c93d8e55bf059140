#include "hwmodels/json_document.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

std::string message_of(const std::string& text) {
  try {
    static_cast<void>(parse_json(text, "f"));
  } catch (const InputError& error) {
    BOOST_TEST((error.code() == ExitCode::bad_data));
    return error.what();
  }
  return "no error";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(json_document)

BOOST_AUTO_TEST_CASE(reads_what_python_writes) {
  const JsonValue value = parse_json(
      "{\"a\": [1, -2.5, 1e3, true, null],\n \"b\": {\"c\": \"x\\n\\u00e9\\ud83d\\ude00\"}, \"d\": [0.0, "
      "Infinity, -Infinity, NaN]}",
      "f");
  const JsonValue& a = *value.find("a");
  BOOST_TEST(
      (a.items[0].type == JsonValue::Type::integer && a.items[0].integer == 1 && a.items[0].real == 1));
  BOOST_TEST((a.items[1].type == JsonValue::Type::real && a.items[1].real == -2.5));
  BOOST_TEST((a.items[2].type == JsonValue::Type::real && a.items[2].real == 1000));
  BOOST_TEST((a.items[3].boolean && a.items[4].type == JsonValue::Type::null));
  const JsonValue& c = *value.find("b")->find("c");
  BOOST_TEST(c.text == "x\n\xC3\xA9\xF0\x9F\x98\x80");
  BOOST_TEST(c.line == 2);
  BOOST_TEST(c.column == 13);
  const JsonValue& d = *value.find("d");
  BOOST_TEST((std::isinf(d.items[1].real) && d.items[2].real < 0 && std::isnan(d.items[3].real)));
  BOOST_TEST(value.find("absent") == nullptr);
}

BOOST_AUTO_TEST_CASE(errors_say_line_and_column) {
  BOOST_TEST(message_of("") == "f:1:1: the document ends where a value is expected");
  BOOST_TEST(message_of("{\n  \"a\": 1,\n  \"a\": 2}") == "f:3:3: duplicate key \"a\"");
  BOOST_TEST(message_of("{\"a\" 1}") == "f:1:6: expected ':' after the key \"a\"");
  BOOST_TEST(message_of("[1, 2") == "f:1:6: expected ',' or ']' in an array");
  BOOST_TEST(message_of("[1, ]") == "f:1:5: expected a value");
  BOOST_TEST(message_of("{\"a\": 1,}") == "f:1:9: expected a key in double quotes");
  BOOST_TEST(message_of("1 2") == "f:1:3: text after the end of the document");
  BOOST_TEST(message_of("\"abc") == "f:1:5: the document ends inside a string");
  BOOST_TEST(message_of("\"\\x\"") == "f:1:3: unknown escape in a string");
  BOOST_TEST(message_of("\"\\ud800\"") == "f:1:8: half of a surrogate pair in a string");
  BOOST_TEST(message_of("01") == "f:1:1: expected a value");
  BOOST_TEST(message_of("1e999") == "f:1:1: number out of range");
  BOOST_TEST(message_of("1.2.3") == "f:1:1: malformed number");
  BOOST_TEST(message_of(std::string(100, '[')) == "f:1:66: nested deeper than 64 levels");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast
