#include <algorithm>
#include <array>
#include <unordered_map>

#include "workloads/engine_log.h"
#include "workloads/json_lines.h"

namespace kvcast {
namespace {

constexpr std::int64_t kTimeMaxUs = std::int64_t{1} << 53;  // exact in a double

class EngineRunReader {
 public:
  explicit EngineRunReader(const TraceFile& file) : json_(file) { run_.name = file.name; }

  [[nodiscard]] EngineRun read() {
    bool header = false;
    while (json_.next()) {
      json_.fields([&](std::string_view key, JsonValue& value) {
        if (key == "header") {
          header = true;
          read_header(value);
        }
        if (key == "request") read_request(value);
        if (key == "step") read_step(value);
      });
      if (!header) json_.fail("the first line of an engine's log is {\"header\": {...}}");
    }
    if (run_.answers.empty()) bad_trace(json_.lines().name(), 1, 1, "no request in this log");
    return std::move(run_);
  }

 private:
  void read_header(JsonValue& value) {
    json_.fields_of(value, "header", [&](std::string_view key, JsonValue& inner) {
      if (key == "case") run_.name = std::string(json_.string(inner, key));
      if (key == "vllm_version") run_.version = std::string(json_.string(inner, key));
      if (key != "engine") return;
      json_.fields_of(inner, "engine", [&](std::string_view name, JsonValue& setting) {
        run_.settings.emplace_back(std::string(name), scalar(setting, name));
      });
    });
  }

  /// A number, true, false or a text, as a scenario writes it.
  std::string scalar(JsonValue& value, std::string_view key) {
    const char* at = json_.place(value);
    if (*at == '"') return std::string(json_.string(value, key));
    if (*at == '[' || *at == '{') json_.wrong(at, key, "a number, a text, true or false");
    std::string_view token = value.raw_json_token();
    return std::string(token.substr(0, token.find_last_not_of(" \t\r\n") + 1));
  }

  void read_request(JsonValue& value) {
    static constexpr std::array<std::string_view, 5> kKeys = {"arrival_us", "first_token_us", "last_token_us",
                                                              "output_tokens", "input_tokens"};
    KeySet keys(kKeys);
    EngineAnswer answer;
    const auto time = [&](JsonValue& inner, std::string_view key) {
      return static_cast<double>(json_.count(inner, key, 0, kTimeMaxUs));
    };
    json_.fields_of(value, "request", [&](std::string_view key, JsonValue& inner) {
      switch (keys.see(key, json_)) {
        case 0:
          answer.arrival_us = time(inner, key);
          break;
        case 1:
          answer.first_token_us = time(inner, key);
          break;
        case 2:
          answer.last_token_us = time(inner, key);
          break;
        case 3:
          answer.output_tokens = json_.count(inner, key, 1, kTokensMax);
          break;
        case 4:
          run_.prompt_tokens += json_.count(inner, key, 1, kTokensMax);
          break;
        default:
          break;
      }
    });
    for (std::size_t i = 0; i < kKeys.size(); ++i) keys.need(i, json_);
    if (answer.first_token_us < answer.arrival_us || answer.last_token_us < answer.first_token_us)
      json_.fail("first_token_us and last_token_us come after arrival_us, in this order");
    run_.answers.push_back(answer);
  }

  void read_step(JsonValue& value) {
    json_.fields_of(value, "step", [&](std::string_view key, JsonValue& inner) {
      if (key == "dur_us") run_.busy_us += static_cast<double>(json_.count(inner, key, 0, kTimeMaxUs));
      if (key == "preempted") json_.elements_of(inner, key, [&](JsonValue&) { ++run_.preemptions; });
      if (key == "scheduled") json_.elements_of(inner, key, [&](JsonValue& triple) { read_chunk(triple); });
    });
  }

  /// [id, tokens, computed]: what was computed before a request's first step is what its prompt found in the
  /// cache.
  void read_chunk(JsonValue& triple) {
    int size = 0;
    bool first = false;
    json_.elements_of(triple, "scheduled", [&](JsonValue& element) {
      if (size == 0) {
        const std::string id(json_.place(element)[0] == '"' ? json_.string(element, "scheduled")
                                                            : std::string_view(element.raw_json_token()));
        first = seen_.emplace(id, true).second;
      }
      if (size == 2 && first) run_.cached_tokens += json_.count(element, "scheduled", 0, kTokensMax);
      ++size;
    });
  }

  JsonLines json_;
  EngineRun run_;
  std::unordered_map<std::string, bool> seen_;  // looked up only
};

}  // namespace

EngineRun read_engine_run(const TraceFile& file) { return EngineRunReader(file).read(); }

}  // namespace kvcast
