// Every decision of vLLM's own scheduler, five versions of it, on the logs of
// $KVCAST_DATA/oracles/vllm_schedule, in both step paths.
#include <unistd.h>
#include <boost/test/unit_test.hpp>

#include <cctype>
#include <filesystem>
#include <fstream>

#include "sim/app/vllm_decisions.h"
#include "sim/base/error.h"
#include "sim/base/rng.h"
#include "tests/support/data.h"

namespace kvcast {
namespace {

BOOST_AUTO_TEST_SUITE(vllm_schedule)

BOOST_AUTO_TEST_CASE(every_decision_of_every_log) {
  const auto folder = test::data_folder("oracles/vllm_schedule");
  if (!folder) return;
  std::int64_t logs = 0;
  std::int64_t steps = 0;
  std::int64_t grouped = 0;
  for (const char* version : {".", "v0.24.0", "v0.19.0", "v0.15.1", "v0.11.2"}) {
    for (const auto& path : test::files_in(*folder / version, ".jsonl.gz")) {
      const LogCheck check = check_vllm_log(path.string());
      if (check.difference) {
        BOOST_ERROR(check.engine << " " << check.name << ": " << check.difference->where
                                 << "\n  vLLM:   " << check.difference->expected.substr(0, 600)
                                 << "\n  kvcast: " << check.difference->made.substr(0, 600));
      }
      ++logs;
      steps += check.steps;
      grouped += check.steps_grouped;
    }
  }
  BOOST_TEST_MESSAGE(logs << " logs, " << steps << " steps; by the decode group as a whole: " << grouped);
  BOOST_TEST(logs >= 150);
}

/// The numbers of a line: begin and length in the text.
std::vector<std::pair<std::size_t, std::size_t>> numbers_in(const std::string& line) {
  std::vector<std::pair<std::size_t, std::size_t>> found;
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') quoted = !quoted;
    if (quoted || std::isdigit(static_cast<unsigned char>(line[i])) == 0) continue;
    std::size_t end = i;
    while (end < line.size() && std::isdigit(static_cast<unsigned char>(line[end])) != 0) ++end;
    found.emplace_back(i, end - i);
    i = end - 1;
  }
  return found;
}

/// A log in which one number was changed must fail: 200 random changes to steps, summaries and requests. A
/// change that no decision can show (an arrival that moves between two step boundaries, a count of empty
/// calls) is not drawn.
BOOST_AUTO_TEST_CASE(a_changed_number_is_caught) {
  const auto folder = test::data_folder("oracles/vllm_schedule");
  if (!folder) return;
  constexpr std::uint64_t kSeed = 42;
  RandomStream random(kSeed, "mutations");
  const std::vector<std::filesystem::path> paths = test::files_in(*folder, ".jsonl.gz");
  const std::filesystem::path changed =
      std::filesystem::temp_directory_path() / ("kvcast-mutation-" + std::to_string(::getpid()) + ".jsonl");
  int made = 0;
  int caught = 0;
  while (made < 200) {
    const auto& path =
        paths[static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(paths.size()) - 1))];
    std::vector<std::string> lines = test::gzip_lines(path);
    if (lines.size() > 1500 || lines.front().find("\"cut_after_steps\":null") == std::string::npos) continue;
    std::string& line =
        lines[static_cast<std::size_t>(random.integer(1, static_cast<std::int64_t>(lines.size()) - 1))];
    const auto numbers = numbers_in(line);
    const auto [begin, length] =
        numbers[static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(numbers.size()) - 1))];
    const std::string before = line.substr(begin > 14 ? begin - 14 : 0, begin > 14 ? 14 : begin);
    const bool shows_in_no_decision = before.ends_with("\"arr\":") || before.ends_with("empty_calls\":") ||
                                      before.ends_with("\"prio\":") || line.find("\"seg\":") < begin;
    if (shows_in_no_decision) continue;
    const std::string original = line;
    line.replace(begin, length,
                 std::to_string(std::stoll(line.substr(begin, length)) + random.integer(1, 3)));
    std::ofstream(changed) << [&] {
      std::string text;
      for (const std::string& l : lines) text += l + "\n";
      return text;
    }();
    ++made;
    bool differs = true;
    try {
      differs = check_vllm_log(changed.string()).difference.has_value();
    } catch (const InputError&) {
      // refused is caught too
    }
    caught += differs ? 1 : 0;
    BOOST_TEST(differs, path.filename().string() << ": seed " << kSeed << ", change " << made << ": "
                                                 << original.substr(0, 200) << " -> " << line.substr(0, 200));
  }
  std::filesystem::remove(changed);
  BOOST_TEST_MESSAGE(caught << " of " << made << " changes caught");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
