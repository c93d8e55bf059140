/// What the replays of both kinds of log share. Heavy: for .cpp files of this folder only.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sim/sglang/replay_log.h"
#include "sim/sglang/token_key.h"

namespace kvcast::sglang {

using Json = nlohmann::json;

struct LogLine {
  std::int64_t number;  // in the file, from 1
  const std::string* text;
  Json json;
};

struct LogFile {
  std::string name;
  Json header;
  std::vector<LogLine> requests;
  std::vector<LogLine> decisions;
};

[[noreturn]] void bad_log(const std::string& name, std::int64_t line, const std::string& what);
[[nodiscard]] LogFile read_log(const std::vector<std::string>& lines, const std::string& name);

/// A member of a line.
/// \throws InputError naming log and line if it is absent or of another type
template <class T>
[[nodiscard]] T field(const LogFile& log, std::int64_t line, const Json& json, const char* key) {
  try {
    return json.at(key).get<T>();
  } catch (const Json::exception&) {
    bad_log(log.name, line, std::string("\"") + key + "\" is missing or of the wrong type");
  }
}

/// Compares lines made with a log's, in order.
class LogComparison {
 public:
  explicit LogComparison(const LogFile& log) : log_(log) {}
  /// The next line made; after a difference nothing more is looked at.
  void add(const Json& made);
  /// No more lines will be made.
  void end();
  [[nodiscard]] const std::optional<DecisionDifference>& difference() const { return difference_; }
  [[nodiscard]] std::int64_t compared() const { return static_cast<std::int64_t>(next_); }

 private:
  void differ(std::string field, std::string made);

  const LogFile& log_;
  std::size_t next_ = 0;
  std::optional<DecisionDifference> difference_;
};

void replay_radix(const LogFile& log, DecisionReplay& result);
void replay_scheduler(const LogFile& log, StepPath path, DecisionReplay& result);

}  // namespace kvcast::sglang
