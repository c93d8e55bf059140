#include "sim/base/config.h"

#include <unistd.h>
#include <boost/test/unit_test.hpp>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "tests/unit/base/message.h"

namespace kvcast {
namespace {

constexpr std::int64_t kIntMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kIntMin = std::numeric_limits<std::int64_t>::min();
constexpr double kRealMax = std::numeric_limits<double>::max();

Config parse(const std::string& text) { return Config::from_text(text, "s.yaml"); }

/// The message of reading key `x` of "engine: {x: VALUE}" as an integer of [1, 4096].
std::string int_message(const std::string& value) {
  return message_of([&] {
    Config config = parse("engine:\n  block_size: " + value + "\n");
    static_cast<void>(config.child("engine").get_int("block_size", {1, 4096}));
  });
}

std::string real_message(const std::string& value, RealRange range) {
  return message_of([&] {
    Config config = parse("rate: " + value + "\n");
    static_cast<void>(config.get_real("rate", range));
  });
}

BOOST_AUTO_TEST_SUITE(config)

BOOST_AUTO_TEST_CASE(reads_every_type) {
  Config config = parse(
      "model: configs/models/llama.json\n"
      "seed: 9223372036854775807\n"
      "low: -9223372036854775808\n"
      "plus: +7\n"
      "rate: 2.5\n"
      "whole: 3\n"
      "tiny: -1e-3\n"
      "flag: true\n"
      "off: False\n"
      "dtype: fp8\n"
      "number_as_text: 4090\n"
      "quoted: \"a: b\"\n"
      "quantiles: [1, 2.5, 3e2]\n"
      "names: [a, 'b c', 7]\n"
      "engine: {block_size: 16}\n"
      "links:\n"
      "  - {gb: 1}\n"
      "  - gb: 2\n");
  BOOST_TEST(config.get_string("model") == "configs/models/llama.json");
  BOOST_TEST(config.get_int("seed", {0, kIntMax}) == kIntMax);
  BOOST_TEST(config.get_int("low", {kIntMin, kIntMax}) == kIntMin);
  BOOST_TEST(config.get_int("plus", {0, 10}) == 7);
  BOOST_TEST(config.get_real("rate", {0, 10}) == 2.5);
  BOOST_TEST(config.get_real("whole", {0, 10}) == 3.0);
  BOOST_TEST(config.get_real("tiny", {-1, 1}) == -1e-3);
  BOOST_TEST(config.get_bool("flag", false));
  BOOST_TEST(!config.get_bool("off", true));
  BOOST_TEST(config.get_choice("dtype", {"auto", "fp8"}, "auto") == "fp8");
  BOOST_TEST(config.get_string("number_as_text") == "4090");
  BOOST_TEST(config.get_string("quoted", "x") == "a: b");
  BOOST_TEST(config.get_reals("quantiles", {0, 1000}) == (std::vector<double>{1, 2.5, 300}));
  BOOST_TEST(config.get_strings("names") == (std::vector<std::string>{"a", "b c", "7"}));
  BOOST_TEST(config.child("engine").get_int("block_size", {1, 4096}) == 16);
  std::vector<Config> links = config.children("links");
  BOOST_TEST_REQUIRE(links.size() == 2U);
  BOOST_TEST(links[0].get_int("gb", {0, 9}) == 1);
  BOOST_TEST(links[1].get_int("gb", {0, 9}) == 2);
  BOOST_CHECK_NO_THROW(config.finish());
}

BOOST_AUTO_TEST_CASE(absent_keys_take_their_defaults) {
  Config config = parse("");
  BOOST_TEST(config.get_int("a", {0, 9}, 4) == 4);
  BOOST_TEST(config.get_real("b", {0, 9}, 0.5) == 0.5);
  BOOST_TEST(config.get_bool("c", true));
  BOOST_TEST(config.get_string("d", "auto") == "auto");
  BOOST_TEST(config.get_choice("e", {"x", "y"}, "y") == "y");
  BOOST_TEST(config.child("f").child("g").get_int("h", {0, 9}, 7) == 7);
  BOOST_TEST(config.children("i").empty());
  BOOST_TEST(!config.has("a"));
  BOOST_TEST(config.keys().empty());
  BOOST_CHECK_NO_THROW(config.finish());
  BOOST_TEST(Config::empty("built-in").where() == "built-in");
}

BOOST_AUTO_TEST_CASE(asks_about_keys) {
  Config config = parse("a: 1\nb: [1]\nc: {d: 1}\n");
  BOOST_TEST(config.has("a"));
  BOOST_TEST(!config.has("z"));
  BOOST_TEST(config.is_sequence("b"));
  BOOST_TEST(!config.is_sequence("c"));
  BOOST_TEST(!config.is_sequence("z"));
  BOOST_TEST(config.is_mapping("c"));
  BOOST_TEST(!config.is_mapping("a"));
  BOOST_TEST(config.keys() == (std::vector<std::string>{"a", "b", "c"}));
  BOOST_TEST(config.where("b") == "s.yaml:2:4");
  BOOST_TEST(config.where("z") == "s.yaml:1:1");
  BOOST_TEST(config.where() == "s.yaml:1:1");
}

BOOST_AUTO_TEST_CASE(integers_are_plain_decimal_and_in_range) {
  const std::string at = "s.yaml:2:15: engine.block_size: ";
  BOOST_TEST(int_message("1") == "(nothing thrown)");
  BOOST_TEST(int_message("4096") == "(nothing thrown)");
  BOOST_TEST(int_message("0") == at + "0 is outside 1 to 4096");
  BOOST_TEST(int_message("4097") == at + "4097 is outside 1 to 4096");
  BOOST_TEST(int_message("99999999999999999999") == at + "99999999999999999999 is outside 1 to 4096");
  BOOST_TEST(int_message("-9223372036854775809") == at + "-9223372036854775809 is outside 1 to 4096");
  const std::string needed = " is given, an integer from 1 to 4096 is needed";
  for (const char* wrong :
       {"8k", "1_000", "0x10", "010", "16.0", "1e3", ".inf", "true", "+-3", "-x", "1 6"}) {
    BOOST_TEST(int_message(wrong) == at + '"' + wrong + '"' + needed);
  }
  BOOST_TEST(int_message("\"16\"") == at + "the quoted text \"16\"" + needed);
  BOOST_TEST(int_message("[16]") == at + "a list" + needed);
  BOOST_TEST(int_message("{a: 16}") == at + "a mapping" + needed);
  BOOST_TEST(int_message("") == "s.yaml:2:3: engine.block_size: no value" + needed);
  BOOST_TEST(int_message("~") == at + "no value" + needed);
}

BOOST_AUTO_TEST_CASE(messages_of_half_open_ranges) {
  Config config = parse("a: -1\nb: 9\n");
  const auto message = [&](const char* key, IntRange range) {
    return message_of([&] { static_cast<void>(config.get_int(key, range)); });
  };
  BOOST_TEST(message("a", {0, kIntMax}) ==
             "s.yaml:1:4: a: -1 is not allowed; a value of at least 0 is needed");
  BOOST_TEST(message("b", {kIntMin, 5}) == "s.yaml:2:4: b: 9 is not allowed; a value of at most 5 is needed");
}

BOOST_AUTO_TEST_CASE(reals_are_finite_and_in_range) {
  BOOST_TEST(real_message("0.5", {0, 1}) == "(nothing thrown)");
  BOOST_TEST(real_message("1.5", {0, 1}) == "s.yaml:1:7: rate: 1.5 is outside 0 to 1");
  BOOST_TEST(real_message("-0.5", {0, kRealMax}) ==
             "s.yaml:1:7: rate: -0.5 is not allowed; a value of at least 0 is needed");
  for (const char* wrong :
       {".inf", "-.inf", ".nan", "nan", "inf", "0x1p3", "1e999", "1,5", "1.2.3", "fast", "1e"}) {
    BOOST_TEST(real_message(wrong, {-kRealMax, kRealMax}) ==
               "s.yaml:1:7: rate: \"" + std::string(wrong) + "\" is given, a number is needed");
  }
}

BOOST_AUTO_TEST_CASE(wrong_types) {
  Config config = parse(
      "flag: yes\nname: [a]\nempty: ''\nlist: 3\nmixed: [1, x]\ntexts: [a, {b: 1}]\nmap: 4\nmaps: [{a: 1}, "
      "2]\n");
  BOOST_TEST(message_of([&] { static_cast<void>(config.get_bool("flag", true)); }) ==
             "s.yaml:1:7: flag: \"yes\" is given, true or false is needed");
  BOOST_TEST(message_of([&] { static_cast<void>(config.get_string("name")); }) ==
             "s.yaml:2:7: name: a list is given, a text is needed");
  BOOST_TEST(message_of([&] { static_cast<void>(config.get_string("empty")); }) ==
             "s.yaml:3:8: empty: the quoted text \"\" is given, a text is needed");
  BOOST_TEST(message_of([&] {
               static_cast<void>(config.get_reals("list", {0, 5}));
             }) == "s.yaml:4:7: list: \"3\" is given, a list of numbers from 0 to 5 is needed");
  BOOST_TEST(message_of([&] {
               static_cast<void>(config.get_reals("mixed", {0, 5}));
             }) == "s.yaml:5:12: mixed.1: \"x\" is given, a number from 0 to 5 is needed");
  BOOST_TEST(message_of([&] { static_cast<void>(config.get_strings("texts")); }) ==
             "s.yaml:6:12: texts.1: a mapping is given, a text is needed");
  BOOST_TEST(message_of([&] { static_cast<void>(config.child("map")); }) ==
             "s.yaml:7:6: map: \"4\" is given, a mapping (key: value) is needed");
  BOOST_TEST(message_of([&] { static_cast<void>(config.children("maps")); }) ==
             "s.yaml:8:16: maps.1: \"2\" is given, a mapping (key: value) is needed");
  BOOST_TEST(message_of([] { parse("- 1\n"); }) ==
             "s.yaml:1:1: a list is given, a mapping (key: value) is needed");
}

BOOST_AUTO_TEST_CASE(missing_keys) {
  Config config = parse("engine:\n  a: 1\n");
  BOOST_TEST(message_of([&] { static_cast<void>(config.get_string("model")); }) ==
             "s.yaml:1:1: missing key \"model\"; a text is needed");
  BOOST_TEST(message_of([&] {
               static_cast<void>(config.child("engine").get_int("b", {1, 9}));
             }) == "s.yaml:2:3: missing key \"b\" in engine; an integer from 1 to 9 is needed");
  BOOST_TEST(message_of([&] {
               static_cast<void>(config.child("absent").get_reals("q", {0, 1}));
             }) == "s.yaml:1:1: missing key \"q\" in absent; a list of numbers from 0 to 1 is needed");
}

BOOST_AUTO_TEST_CASE(unknown_choice) {
  Config config = parse("engine:\n  dtype: fp9\n");
  BOOST_TEST(message_of([&] {
               static_cast<void>(config.child("engine").get_choice("dtype", {"auto", "fp8"}, "auto"));
             }) == "s.yaml:2:10: engine.dtype: unknown value \"fp9\" (known: auto, fp8; did you mean fp8?)");
}

BOOST_AUTO_TEST_CASE(fail_names_the_place_and_the_path) {
  Config config = parse("engine:\n  dtype: fp8\n");
  Config engine = config.child("engine");
  BOOST_TEST(message_of([&] { engine.fail("dtype", "needs a newer GPU"); }) ==
             "s.yaml:2:10: engine.dtype: needs a newer GPU");
  BOOST_TEST(message_of([&] { engine.fail("absent", "is missed"); }) ==
             "s.yaml:2:3: engine.absent: is missed");
  BOOST_TEST(message_of([&] { engine.fail("", "is odd"); }) == "s.yaml:2:3: engine: is odd");
}

BOOST_AUTO_TEST_CASE(unknown_keys_at_every_depth) {
  const auto finish = [](const std::string& text) {
    return message_of([&] {
      Config config = parse(text);
      static_cast<void>(config.has("trace"));
      Config engine = config.child("engine");
      static_cast<void>(engine.get_int("block_size", {1, 9}, 1));
      static_cast<void>(engine.get_string("dtype", "auto"));
      static_cast<void>(engine.child("kv_offload").get_int("host_gib", {0, 9}, 0));
      for (Config& link : config.children("links")) static_cast<void>(link.get_int("gb", {0, 9}));
      config.finish();
    });
  };
  BOOST_TEST(finish("engine: {block_size: 1}\nlinks: [{gb: 1}]\n") == "(nothing thrown)");
  BOOST_TEST(finish("a: 1\nengin: {block_size: 1}\n") ==
             "s.yaml:1:1: unknown key \"a\" (known: trace, engine, links)");
  BOOST_TEST(finish("engin: {block_size: 1}\n") ==
             "s.yaml:1:1: unknown key \"engin\" (known: trace, engine, links; did you mean engine?)");
  BOOST_TEST(finish("engine:\n  blok_size: 1\n") ==
             "s.yaml:2:3: unknown key \"blok_size\" in engine (known: block_size, dtype, kv_offload; did you "
             "mean block_size?)");
  BOOST_TEST(finish("engine:\n  kv_offload: {gib: 1}\n") ==
             "s.yaml:2:16: unknown key \"gib\" in engine.kv_offload (known: host_gib)");
  BOOST_TEST(finish("links:\n  - gb: 1\n  - {gb: 2, mb: 3}\n") ==
             "s.yaml:3:13: unknown key \"mb\" in links.1 (known: gb; did you mean gb?)");
  // Asking whether a key is there is not reading it.
  BOOST_TEST(finish("trace: x\n") == "s.yaml:1:1: unknown key \"trace\" (known: engine, links)");
}

BOOST_AUTO_TEST_CASE(a_key_that_only_another_setting_reads_is_unknown) {
  Config config = parse("only: 1\n");
  BOOST_TEST(message_of([&] { config.finish(); }) == "s.yaml:1:1: unknown key \"only\" (none is known here)");
}

BOOST_AUTO_TEST_CASE(duplicate_keys) {
  BOOST_TEST(message_of([] { parse("a: 1\nb: 2\na: 3\n"); }) ==
             "s.yaml:3:1: key \"a\" is given twice; the first is at s.yaml:1:1");
  BOOST_TEST(message_of([] { parse("e:\n  x: 1\n  'x': 1\n"); }) ==
             "s.yaml:3:3: key \"x\" is given twice; the first is at s.yaml:2:3");
  BOOST_TEST(message_of([] { parse("l: [{b: 1, b: 1}]\n"); }) ==
             "s.yaml:1:12: key \"b\" is given twice; the first is at s.yaml:1:6");
  BOOST_CHECK_NO_THROW(parse("a: {x: 1}\nb: {x: 1}\n"));
}

BOOST_AUTO_TEST_CASE(what_a_configuration_has_no_use_for) {
  BOOST_TEST(message_of([] { parse("a: [1, 2\n"); }).starts_with("s.yaml:2:1: invalid YAML: "));
  BOOST_TEST(message_of([] { parse("a: 1\n\tb: 2\n"); }).starts_with("s.yaml:2:"));
  BOOST_TEST(message_of([] { parse("a: 1\n---\nb: 2\n"); }) ==
             "s.yaml:2:1: a second YAML document starts here; a configuration is one document");
  BOOST_TEST(message_of([] { parse("a: !!int 3\n"); }) ==
             "s.yaml:1:4: YAML tags are not supported: \"tag:yaml.org,2002:int\"");
  BOOST_TEST(message_of([] { parse("[a]: 3\n"); }) == "s.yaml:1:1: a key must be a name");
  BOOST_TEST(message_of([] { parse("? {b: 1}\n: 3\n"); }) == "s.yaml:1:3: a key must be a name");
  BOOST_TEST(message_of([] { parse("~: 3\n"); }) == "s.yaml:1:1: a key must be a name");
  BOOST_TEST(message_of([] { parse("a: *b\n"); }).starts_with("s.yaml:1:4: invalid YAML: "));
  BOOST_TEST(message_of([] { parse("a: &x [1, *x]\n"); }) ==
             "s.yaml:1:11: an alias inside the value that it names would never end");
  // yaml-cpp alone would stop reading at the 0x04 and accept the rest unseen.
  BOOST_TEST(message_of([] { parse("a: 1\n\x04garbage: [\n"); }) ==
             "s.yaml:2:1: control characters are not allowed");
  BOOST_TEST(message_of([] { parse(std::string("a: 1\0b", 6)); }) ==
             "s.yaml:1:5: control characters are not allowed");
  BOOST_TEST(message_of([] { parse("a: \xc3\xa4 \xff\n"); }) == "s.yaml:1:6: this is not UTF-8 text");
  BOOST_TEST(message_of([] { parse("a: \"x\\0y\"\n"); }) ==
             "s.yaml:1:4: control characters are not allowed: \"x\\u0000y\"");
  BOOST_CHECK_NO_THROW(parse("\xef\xbb\xbf# with a byte order mark\na: 1\r\nb: 2\r\n"));
}

BOOST_AUTO_TEST_CASE(aliases_are_values) {
  Config config = parse("a: &x {v: 1}\nb: *x\nc: [*x, *x]\n");
  BOOST_TEST(config.child("a").get_int("v", {0, 9}) == 1);
  BOOST_TEST(config.child("b").get_int("v", {0, 9}) == 1);
  BOOST_TEST(config.children("c").size() == 2U);
  // Reading one use of an alias does not read the others.
  BOOST_TEST(message_of([&] { config.finish(); }) ==
             "s.yaml:1:8: unknown key \"v\" in c.0 (none is known here)");
}

BOOST_AUTO_TEST_CASE(files) {
  const auto path =
      std::filesystem::temp_directory_path() / ("kvcast_config_test_" + std::to_string(::getpid()) + ".yaml");
  std::ofstream(path) << "a: 5\n";
  Config config = Config::from_file(path.string());
  BOOST_TEST(config.get_int("a", {0, 9}) == 5);
  BOOST_TEST(config.where("a") == path.string() + ":1:4");
  std::filesystem::remove(path);
  BOOST_TEST(message_of([&] { Config::from_file(path.string()); }) ==
             path.string() + ": cannot be opened: No such file or directory");
  BOOST_TEST(message_of([] { Config::from_file("/"); }).starts_with("/: cannot be read: "));
  BOOST_TEST(message_of([] { Config::from_file("/dev/zero"); }) ==
             "/dev/zero: is larger than the 4194304 bytes allowed here");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(config_guards)

std::string repeated(const std::string& piece, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += piece;
  return text;
}

BOOST_AUTO_TEST_CASE(deep_nesting_is_refused_and_does_not_overflow) {
  const std::string message = ": nested deeper than 64 levels";
  for (const char* piece : {"[", "{a: ", "- ", "? ", "[{a: "}) {
    const std::string text = (piece[0] == '[' || piece[0] == '{' ? "x: " : "") + repeated(piece, 100'000);
    BOOST_TEST(message_of([&] { parse(text); }).find(message) != std::string::npos, piece);
  }
  BOOST_CHECK_NO_THROW(parse("x: " + repeated("[", 63) + repeated("]", 63)));
  BOOST_TEST(message_of([] { parse("x: " + repeated("[", 64) + repeated("]", 64)); }) ==
             "s.yaml:1:67" + message);
}

BOOST_AUTO_TEST_CASE(alias_bombs_are_refused) {
  std::string text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int level = 1; level < 40; ++level) {
    const std::string below = "*a" + std::to_string(level - 1);
    text += "a" + std::to_string(level) + ": &a" + std::to_string(level) + " [" + below + ", " + below +
            ", " + below + "]\n";
  }
  BOOST_TEST(message_of([&] { parse(text); }).find(": more than 500000 values") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(large_texts_are_refused) {
  BOOST_TEST(message_of([] { parse(std::string(5'000'000, 'a')); }) ==
             "s.yaml: is larger than the 4194304 bytes allowed here");
}

// Any text costs time in proportion to its length: half a MiB of each kind stays within seconds.
// Quadratic behaviour, which this is here to catch, would take minutes to hours.
BOOST_AUTO_TEST_CASE(time_is_linear_in_the_text) {
  constexpr std::size_t kBytes = std::size_t{1} << 19;
  for (const char* piece :
       {"a",       "a ",     "a\n ", "- a\n",    "[],",   "\"",         "'a' ",  "{",    "}",
        "x: |\n ", "&a ",    "*a ",  "!t ",      "# c\n", "? a\n: b\n", "\\",    "\n",   "%D\n",
        "---\n",   "a: b: ", ", ",   "\xc3\xa4", "\r\n",  "a:\n",       "[a]: ", "\"\n", "-\n"}) {
    for (const char* start : {"", "x: ", "x: [", "x: \"", "x: |\n  ", "x: >\n  ", "x: '"}) {
      const std::string text = start + repeated(piece, kBytes / std::char_traits<char>::length(piece));
      const std::clock_t begin = std::clock();  // processor time: a busy machine is no quadratic parser
      static_cast<void>(message_of([&] { parse(text); }));
      const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
      BOOST_TEST(seconds < 5.0, "start " << start << " piece " << piece << ": " << seconds << " s");
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(config_set)

BOOST_AUTO_TEST_CASE(replaces_and_adds) {
  Config config = parse("engine: &e {block_size: 16, dtype: fp8}\nother: *e\nlist: [1, 2, {rate: 3}]\n");
  config.set("engine.block_size", "32");
  config.set("engine.kv_offload.host_gib", "64");
  config.set("list.2.rate", "4");
  config.set("list.0", "7");
  config.set("quantiles", "[1, 2]");
  config.set("seed", "1");
  config.set("seed", "2");
  Config engine = config.child("engine");
  BOOST_TEST(engine.get_int("block_size", {1, 4096}) == 32);
  BOOST_TEST(engine.get_string("dtype") == "fp8");
  BOOST_TEST(engine.child("kv_offload").get_int("host_gib", {0, 100}) == 64);
  BOOST_TEST(config.child("other").get_int("block_size", {1, 4096}) == 16, "the alias keeps its own value");
  BOOST_TEST(config.get_reals("quantiles", {0, 9}) == (std::vector<double>{1, 2}));
  BOOST_TEST(config.get_int("seed", {0, 9}) == 2);
  BOOST_TEST(engine.where("block_size") == "--set engine.block_size=32");
  BOOST_TEST(config.where("seed") == "--set seed=2");
}

BOOST_AUTO_TEST_CASE(on_an_empty_configuration) {
  Config config = Config::empty("defaults");
  config.set("engine.block_size", "8");
  BOOST_TEST(config.child("engine").get_int("block_size", {1, 4096}) == 8);
}

BOOST_AUTO_TEST_CASE(messages_name_the_argument) {
  const auto message = [](const char* path, const char* value) {
    return message_of([&] {
      Config config = parse("engine: {block_size: 16}\nlist: [1]\n");
      config.set(path, value);
      Config engine = config.child("engine");
      static_cast<void>(engine.get_int("block_size", {1, 4096}));
      if (config.has("map")) static_cast<void>(config.child("map").get_int("a", {0, 9}));
      static_cast<void>(config.get_reals("list", {0, 9}));
      config.finish();
    });
  };
  BOOST_TEST(message("engine.block_size", "0") == "--set engine.block_size=0: 0 is outside 1 to 4096");
  BOOST_TEST(message("map", "{a: x}") ==
             "--set map={a: x}: map.a: \"x\" is given, an integer from 0 to 9 is needed");
  BOOST_TEST(message("engine.block_size", "") ==
             "--set engine.block_size=: no value is given, an integer from 1 to 4096 is needed");
  BOOST_TEST(message("engine.blok_size", "1") ==
             "--set engine.blok_size=1: unknown key \"blok_size\" in engine (known: block_size; did you mean "
             "block_size?)");
  BOOST_TEST(message("map", "{a: 1, a: 2}") == "--set map={a: 1, a: 2}: key \"a\" is given twice");
  BOOST_TEST(
      message("engine.block_size.x", "1") ==
      "--set engine.block_size.x=1: \"x\" cannot be set below \"16\", which is no mapping (s.yaml:1:22)");
  BOOST_TEST(
      message("list.1", "1") ==
      "--set list.1=1: \"1\" is not an element of the list at s.yaml:2:7, which has 1 (the first is 0)");
  BOOST_TEST(message("engine", "[1").starts_with("--set engine=[1: invalid YAML: "));
  for (const char* path : {"", ".", "engine.", ".x", "a..b"}) {
    BOOST_TEST(message(path, "1") ==
               "--set " + std::string(path) + "=1: a path is names joined by dots, as in engine.block_size");
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(config_dump)

BOOST_AUTO_TEST_CASE(values_in_force_with_their_origin) {
  Config config =
      parse("engine:\n  block_size: 32\n  name: 'a: b'\nlinks: [{gb: 1}, {gb: 2, mb: 3}]\nunread: 1\n");
  config.set("seed", "4");
  static_cast<void>(config.get_int("seed", {0, 9}));
  Config engine = config.child("engine");
  static_cast<void>(engine.get_int("block_size", {1, 4096}));
  static_cast<void>(engine.get_string("name"));
  static_cast<void>(engine.get_real("gpu_memory_utilization", {0, 1}, 0.92));
  static_cast<void>(engine.child("kv_offload").get_bool("write_back", false));
  static_cast<void>(engine.child("nothing"));
  engine.note("max_model_len", "8192", Origin::model_file);
  engine.note("note", "yes # no", Origin::derived);
  for (Config& link : config.children("links")) {
    static_cast<void>(link.get_int("gb", {0, 9}));
    static_cast<void>(link.get_int("mb", {0, 9}, 0));
  }
  static_cast<void>(config.get_string("note", "null"));
  BOOST_TEST(config.dump() ==
             "seed: 4  # --set seed=4\n"
             "engine:\n"
             "  block_size: 32  # given at s.yaml:2:15\n"
             "  name: \"a: b\"  # given at s.yaml:3:9\n"
             "  gpu_memory_utilization: 0.92  # default\n"
             "  kv_offload:\n"
             "    write_back: false  # default\n"
             "  max_model_len: 8192  # model file\n"
             "  note: \"yes # no\"  # derived\n"
             "links:\n"
             "  - gb: 1  # given at s.yaml:4:14\n"
             "    mb: 0  # default\n"
             "  - gb: 2  # given at s.yaml:4:23\n"
             "    mb: 3  # given at s.yaml:4:30\n"
             "note: \"null\"  # default\n");
}

BOOST_AUTO_TEST_CASE(reads_back) {
  Config config = parse(
      "a: \"tab\\tquote\\\" back\\\\ \\u00e4\"\nb: \"- x\"\nc: ['1', 'true', '~', 'x, y', '']\nd: [1, 2.5, "
      "1e300]\n");
  const std::string a = config.get_string("a");
  const std::string b = config.get_string("b");
  const std::vector<double> d = config.get_reals("d", {0, 1e301});
  Config again = Config::from_text(config.dump(), "dump");
  BOOST_TEST(again.get_string("a") == a);
  BOOST_TEST(again.get_string("b") == b);
  BOOST_TEST(again.get_reals("d", {0, 1e301}) == d);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
