#include "sim/sglang/replay_log.h"

#include <algorithm>

#include "sim/base/error.h"
#include "sim/sglang/log_file.h"

namespace kvcast {
namespace sglang {
namespace {

constexpr std::size_t kContextLines = 3;

/// Path of the first member in which two values differ; equal values give nothing.
std::string first_difference(const Json& expected, const Json& made) {
  if (!expected.is_object() || !made.is_object()) return {};
  for (const auto& [key, value] : expected.items()) {
    if (!made.contains(key)) return key;
    if (value == made.at(key)) continue;
    const std::string below = first_difference(value, made.at(key));
    return below.empty() ? key : key + "." + below;
  }
  for (const auto& [key, value] : made.items()) {
    if (!expected.contains(key)) return key;
  }
  return {};
}

}  // namespace

void bad_log(const std::string& name, std::int64_t line, const std::string& what) {
  throw InputError(name + ":" + std::to_string(line) + ": " + what, ExitCode::bad_data);
}

LogFile read_log(const std::vector<std::string>& lines, const std::string& name) {
  LogFile log;
  log.name = name;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto number = static_cast<std::int64_t>(i) + 1;
    if (lines[i].empty()) continue;
    Json json = Json::parse(lines[i], nullptr, false);
    if (json.is_discarded() || !json.is_object()) bad_log(name, number, "not a JSON object");
    const std::string kind = field<std::string>(log, number, json, "k");
    if (i == 0) {
      if (kind != "header") bad_log(name, number, "the first line must be the header (\"k\": \"header\")");
      log.header = std::move(json);
    } else if (kind == "header") {
      bad_log(name, number, "a second header");
    } else {
      (kind == "q" ? log.requests : log.decisions).push_back({number, &lines[i], std::move(json)});
    }
  }
  if (log.header.is_null()) bad_log(name, 1, "empty: a header is needed");
  return log;
}

void LogComparison::differ(std::string field, std::string made) {
  DecisionDifference difference;
  const bool ended = next_ == log_.decisions.size();
  if (!ended) {
    difference.line = log_.decisions[next_].number;
    difference.expected = *log_.decisions[next_].text;
  } else if (next_ > 0) {
    difference.line = log_.decisions[next_ - 1].number + 1;
  }
  difference.field = std::move(field);
  difference.made = std::move(made);
  for (std::size_t i = next_ - std::min(next_, kContextLines); i < next_; ++i)
    difference.context.push_back(*log_.decisions[i].text);
  difference_ = std::move(difference);
}

void LogComparison::add(const Json& made) {
  if (difference_) return;
  if (next_ == log_.decisions.size()) return differ({}, made.dump());
  const Json& expected = log_.decisions[next_].json;
  if (expected == made) {
    ++next_;
    return;
  }
  differ(first_difference(expected, made), made.dump());
}

void LogComparison::end() {
  if (!difference_ && next_ < log_.decisions.size()) differ({}, {});
}

}  // namespace sglang

DecisionReplay replay_sglang_log(const std::vector<std::string>& lines, const std::string& name,
                                 StepPath path) {
  const sglang::LogFile log = sglang::read_log(lines, name);
  const auto text = [&](const char* key) { return sglang::field<std::string>(log, 1, log.header, key); };
  if (text("engine") != "sglang") sglang::bad_log(name, 1, "\"engine\" must be \"sglang\"");
  DecisionReplay result;
  result.log_case = text("case");
  result.version = text("version");
  const std::string kind = text("kind");
  if (kind == "radix") {
    sglang::replay_radix(log, result);
  } else if (kind == "scheduler") {
    sglang::replay_scheduler(log, path, result);
  } else {
    sglang::bad_log(name, 1, "\"kind\" must be \"scheduler\" or \"radix\"");
  }
  return result;
}

}  // namespace kvcast
