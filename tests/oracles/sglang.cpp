// Every decision of SGLang 0.5.23's own scheduler and radix cache, on all logs of $KVCAST_DATA/oracles/sglang, in both step paths; and that no changed number
// goes unnoticed.
#include <boost/test/unit_test.hpp>
#include <cctype>
#include <cstdio>
#include <filesystem>

#include "sim/base/error.h"
#include "sim/base/rng.h"
#include "sim/sglang/replay_log.h"
#include "tests/support/data.h"
#include "tests/support/random_runs.h"

namespace kvcast {
namespace {

struct Log {
  std::string name;
  std::vector<std::string> lines;
};

std::vector<Log> all_logs() {
  std::vector<Log> logs;
  const auto folder = test::data_folder("oracles/sglang");
  if (!folder) return logs;
  for (const auto& path : test::files_in(*folder, ".jsonl.gz")) logs.push_back({path.filename().string(), test::gzip_lines(path)});
  return logs;
}

std::string told(const DecisionDifference& difference) {
  std::string text = "line " + std::to_string(difference.line) + ", " + difference.field + "\n";
  for (const std::string& line : difference.context) text += "  both     " + line + "\n";
  return text + "  log      " + difference.expected + "\n  replayed " + difference.made;
}

struct Span {
  std::size_t begin, end;
};

/// The numbers of a line that are results: not in keys or names, and in radix logs not the tokens that an eviction was asked for.
std::vector<Span> numbers_in(const std::string& line) {
  std::vector<Span> spans;
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') quoted = !quoted;
    if (quoted || std::isdigit(static_cast<unsigned char>(line[i])) == 0) continue;
    const std::size_t begin = i;
    while (i < line.size() && (std::isdigit(static_cast<unsigned char>(line[i])) != 0 || line[i] == '.')) ++i;
    const bool asked = line.find("\"k\":\"evict\",\"n\":") != std::string::npos && line.compare(begin - 4, 4, "\"n\":") == 0;
    if (!asked) spans.push_back({begin, i});
    --i;
  }
  return spans;
}

/// One digit of one number of one decision becomes another.
std::string mutate(std::vector<std::string>& lines, RandomStream& random) {
  for (;;) {
    std::string& line = lines[static_cast<std::size_t>(random.integer(1, std::ssize(lines) - 1))];
    if (line.find("\"k\":\"q\"") != std::string::npos) continue;  // an input: it may change nothing
    const std::vector<Span> numbers = numbers_in(line);
    if (numbers.empty()) continue;
    const Span number = numbers[static_cast<std::size_t>(random.integer(0, std::ssize(numbers) - 1))];
    const auto at = static_cast<std::size_t>(random.integer(static_cast<std::int64_t>(number.begin), static_cast<std::int64_t>(number.end) - 1));
    if (line[at] == '.') continue;
    const bool leads = at == number.begin && number.end - number.begin > 1;  // a number with a leading zero is no JSON: caught, but too easily
    const auto digit = static_cast<char>('0' + random.integer(leads && line.find('.', at) != at + 1 ? 1 : 0, 9));
    if (digit == line[at]) continue;
    const std::string before = line;
    line[at] = digit;
    return before + "\n  became " + line;
  }
}

/// Whether a replay differs, or refuses the log.
bool caught(const Log& log, StepPath path) {
  try {
    return replay_sglang_log(log.lines, log.name, path).difference.has_value();
  } catch (const InputError&) {
    return true;
  }
}

BOOST_AUTO_TEST_SUITE(sglang)

BOOST_AUTO_TEST_CASE(every_line_of_every_log) {
  for (const Log& log : all_logs()) {
    for (const StepPath path : {StepPath::step_by_step, StepPath::closed_form}) {
      const DecisionReplay replay = replay_sglang_log(log.lines, log.name, path);
      BOOST_TEST(!replay.difference.has_value(), log.name << ": " << (replay.difference ? told(*replay.difference) : ""));
      if (path == StepPath::step_by_step) {
        BOOST_TEST(replay.steps_in_runs == 0);
        continue;
      }
      std::printf("%-40s %6ld lines, %6ld steps, %6ld of them in closed form\n", log.name.c_str(), static_cast<long>(replay.decisions),
                  static_cast<long>(replay.steps), static_cast<long>(replay.steps_in_runs));
      BOOST_TEST((log.name.front() == 'r' || replay.steps_in_runs > 0));
    }
  }
}

BOOST_AUTO_TEST_CASE(no_changed_number_goes_unnoticed) {
  const std::vector<Log> logs = all_logs();
  if (logs.empty()) return;
  RandomStream random(test::law_seed(), "mutations");
  for (int i = 0; i < test::law_runs(100); ++i) {
    Log log = logs[static_cast<std::size_t>(random.integer(0, std::ssize(logs) - 1))];
    const std::string change = mutate(log.lines, random);
    BOOST_TEST(caught(log, i % 2 == 0 ? StepPath::closed_form : StepPath::step_by_step), log.name << ": " << change);
  }
}

BOOST_AUTO_TEST_CASE(a_missing_or_an_extra_line_is_noticed) {
  const std::vector<Log> logs = all_logs();
  if (logs.empty()) return;
  RandomStream random(2, "lines");
  for (int i = 0; i < 20; ++i) {
    Log log = logs[static_cast<std::size_t>(random.integer(0, std::ssize(logs) - 1))];
    const auto at = static_cast<std::ptrdiff_t>(random.integer(1, std::ssize(log.lines) - 1));
    if (i % 2 == 0) {
      log.lines.erase(log.lines.begin() + at);
    } else {
      log.lines.insert(log.lines.begin() + at, log.lines[static_cast<std::size_t>(at)]);
    }
    BOOST_TEST(caught(log, StepPath::closed_form), log.name << " line " << at);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
