#include "tests/unit/includes/include_rules.h"

#include <algorithm>
#include <cctype>
#include <iterator>

namespace kvcast {
namespace {

/// A folder (or file) and what its files may include besides their own folder. The first rule whose folder
/// holds the file decides.
struct FolderRule {
  std::string_view folder;
  std::vector<std::string_view> allowed;  // prefixes of paths from the root
};

const std::vector<FolderRule>& folder_rules() {
  static const std::vector<FolderRule> rules = {
      {"sim/app/", {""}},
      {"sim/base/", {}},
      {"sim/metrics/", {"sim/base/", "sim/request.h", "sim/request_source.h", "sim/step_timer.h"}},
      {"sim/kv/", {"sim/base/"}},
      {"sim/sched/", {"sim/kv/", "sim/base/", "sim/request.h", "sim/step_timer.h"}},
      {"sim/engine/", {"sim/base/"}},
      {"sim/regress/", {"sim/base/"}},
      {"sim/cluster/",
       {"sim/sched/", "sim/kv/", "sim/engine/", "sim/metrics/", "sim/base/", "sim/request.h",
        "sim/request_source.h", "sim/step_timer.h"}},
      // An engine of its own beside cluster/'s replica: scheduler, radix cache and loop as SGLang has them.
      {"sim/sglang/",
       {"sim/cluster/", "sim/engine/", "sim/metrics/", "sim/base/", "sim/request.h", "sim/request_source.h",
        "sim/step_timer.h"}},
      {"sim/plan/",
       {"sim/cluster/", "sim/metrics/", "sim/base/", "sim/request.h", "sim/request_source.h",
        "sim/step_timer.h"}},
      {"sim/", {"sim/base/", "sim/request.h"}},  // the interface headers themselves
      {"hwmodels/", {"sim/step_timer.h", "sim/base/"}},
      {"workloads/", {"sim/request_source.h", "sim/request.h", "sim/step_timer.h", "sim/base/"}},
      // Results of load generators: JSON with places (hwmodels/), compressed bytes and CSV (workloads/).
      {"measured/",
       {"hwmodels/json_document.h", "workloads/bytes.h", "workloads/csv.h", "workloads/lines.h",
        "workloads/numbers.h", "sim/base/"}},
      {"reports/", {"sim/metrics/", "sim/regress/", "sim/plan/", "sim/request.h", "sim/base/"}},
      {"kernels/engine/", {"kernels/", "sim/step_timer.h", "sim/base/"}},
      {"kernels/", {}},
  };
  return rules;
}

/// A library that costs seconds of compile time or belongs to one job, and the only places that may include
/// it.
struct LibraryRule {
  std::string_view prefix;
  std::vector<std::string_view> places;
};

const std::vector<LibraryRule>& library_rules() {
  static const std::vector<LibraryRule> rules = {
      {"yaml-cpp/", {"sim/base/yaml_tree.cpp"}},
      {"CLI/", {"sim/app/command_parser.cpp"}},
      {"Random123/", {"sim/base/rng.cpp"}},
      {"xxhash.h", {"sim/base/hash.cpp"}},
      {"nlohmann/",
       {"sim/sglang/log_file.h", "sim/sglang/", "hwmodels/", "reports/", "sim/app/", "workloads/"}},
      {"simdjson.h", {"workloads/json_lines.h", "workloads/"}},
      {"zstd.h", {"workloads/", "hwmodels/parquet_codec.cpp"}},
      {"zlib.h", {"workloads/", "hwmodels/parquet_codec.cpp"}},
      {"sqlite3.h", {"reports/sweep_sqlite.cpp"}},
      {"Eigen/", {"hwmodels/"}},
      {"fmt/", {"sim/", "hwmodels/", "workloads/", "measured/", "reports/"}},
      {"cuda", {"kernels/"}},
      {"sanitizer/", {"kernels/emulation/fiber.cpp"}},
      {"boost/", {}},
      {"benchmark/", {"kernels/bench/"}},
  };
  return rules;
}

/// Headers too heavy to be included by a header.
bool only_in_sources(std::string_view include) {
  constexpr std::string_view kHeavy[] = {"yaml-cpp/", "CLI/", "nlohmann/", "simdjson.h", "Eigen/"};
  return std::any_of(std::begin(kHeavy), std::end(kHeavy),
                     [&](std::string_view heavy) { return include.starts_with(heavy); });
}

bool is_header(std::string_view file) { return file.ends_with(".h") || file.ends_with(".cuh"); }

std::string check_own(std::string_view file, std::string_view include) {
  for (const FolderRule& rule : folder_rules()) {
    if (!file.starts_with(rule.folder)) continue;
    const bool own = rule.folder != "sim/" && include.starts_with(rule.folder);
    const bool allowed =
        own || std::any_of(rule.allowed.begin(), rule.allowed.end(),
                           [&](std::string_view prefix) { return include.starts_with(prefix); });
    if (allowed) return "";
    std::string message =
        std::string(rule.folder) + " may not include " + std::string(include) + " (allowed: its own";
    for (const std::string_view prefix : rule.allowed) message += ", " + std::string(prefix);
    return message + ")";
  }
  return "no rule says what this folder may include";
}

std::string check_library(std::string_view file, std::string_view include) {
  for (const LibraryRule& rule : library_rules()) {
    if (!include.starts_with(rule.prefix)) continue;
    const bool allowed = std::any_of(rule.places.begin(), rule.places.end(),
                                     [&](std::string_view place) { return file.starts_with(place); });
    if (!allowed) return std::string(include) + " may not be included here";
    const bool named = std::find(rule.places.begin(), rule.places.end(), file) != rule.places.end();
    if (is_header(file) && only_in_sources(include) && !named) {
      return std::string(include) + " is too heavy for a header; keep it in a .cpp file";
    }
    return "";
  }
  // Standard headers have no dot or end in .h of the C and POSIX world; anything else is a library that the
  // table should name.
  const bool standard = include.find('/') == std::string_view::npos || include.starts_with("sys/");
  return standard ? ""
                  : std::string(include) + " is a library that the table in include_rules.cpp does not know";
}

/// Blanks comments, so that their lines stay countable.
std::string without_comments(std::string_view text) {
  std::string result(text);
  for (std::size_t at = 0; at + 1 < result.size(); ++at) {
    if (result[at] == '"' && at > 0 && result[at - 1] == 'R') {  // a raw string: skip to )delimiter"
      const std::size_t open = result.find('(', at);
      if (open == std::string::npos) break;
      const std::string end = ")" + result.substr(at + 1, open - at - 1) + "\"";
      const std::size_t close = std::min(result.find(end, open), result.size());
      for (std::size_t i = open; i < close; ++i) {
        if (result[i] != '\n') result[i] = ' ';
      }
      at = close + end.size() - 1;
    } else if (result[at] == '"' ||
               (result[at] == '\'' &&
                (at == 0 || std::isalnum(static_cast<unsigned char>(result[at - 1])) == 0))) {
      const char quote = result[at];
      for (++at; at < result.size() && result[at] != quote && result[at] != '\n'; ++at) {
        if (result[at] == '\\') ++at;
      }
    } else if (result.compare(at, 2, "//") == 0) {
      while (at < result.size() && result[at] != '\n') result[at++] = ' ';
    } else if (result.compare(at, 2, "/*") == 0) {
      const std::size_t close = std::min(result.find("*/", at + 2), result.size());
      for (; at < close; ++at) {
        if (result[at] != '\n') result[at] = ' ';
      }
      ++at;
    }
  }
  return result;
}

}  // namespace

std::vector<IncludeLine> include_lines(std::string_view text) {
  const std::string code = without_comments(text);
  std::vector<IncludeLine> lines;
  int number = 0;
  for (std::size_t begin = 0; begin < code.size();) {
    const std::size_t end = std::min(code.find('\n', begin), code.size());
    std::string_view line(code.data() + begin, end - begin);
    begin = end + 1;
    ++number;
    const auto skip_blanks = [&] {
      line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    };
    skip_blanks();
    if (!line.starts_with('#')) continue;
    line.remove_prefix(1);
    skip_blanks();
    if (!line.starts_with("include")) continue;
    line.remove_prefix(std::string_view("include").size());
    skip_blanks();
    if (line.empty() || (line[0] != '"' && line[0] != '<')) continue;
    const std::size_t close = line.find(line[0] == '"' ? '"' : '>', 1);
    lines.push_back({number, std::string(line.substr(1, close - 1)), line[0] == '"'});
  }
  return lines;
}

std::vector<std::string> check_includes(std::string_view file, std::string_view text) {
  std::vector<std::string> problems;
  for (const IncludeLine& include : include_lines(text)) {
    const std::string message =
        include.quoted ? check_own(file, include.path) : check_library(file, include.path);
    if (!message.empty())
      problems.push_back(std::string(file) + ":" + std::to_string(include.line) + ": " + message);
  }
  return problems;
}

}  // namespace kvcast
