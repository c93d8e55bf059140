/// Logs of a real engine, JSON lines: a header, then a line for each request and each step. The requests are
/// read here; the steps are what `kvcast calibrate steps` fits (workloads/step_log.h). A request line is
/// {"request": {"id", "arrival_us", "input": [[segment, tokens], ...], "input_tokens", "output_tokens"}};
/// what the engine did with it (first_token_us, last_token_us, tokens_us) is not used.
#include <array>

#include "workloads/json_lines.h"
#include "workloads/segments.h"
#include "workloads/trace_format.h"

namespace kvcast {
namespace {

constexpr std::array<std::string_view, 5> kKeys = {"id", "arrival_us", "input_tokens", "output_tokens",
                                                   "input"};
enum Key : std::size_t { kId, kArrival, kInputTokens, kOutputTokens, kInput };

constexpr std::uint64_t kSpace = 0x656e67696e65;  // segments of one log
constexpr int kMicrosecondDigits = 3;

class EngineLog final : public OpenLoopSource {
 public:
  explicit EngineLog(const TraceFile& file) : json_(file) {}

 private:
  bool read(Request& request) override {
    bool found = false;
    while (!found && json_.next()) {
      json_.fields([&](std::string_view key, JsonValue& value) {
        if (key != "request") return;
        found = true;
        read_request(value, request);
      });
    }
    if (!found) return false;
    if (request.arrival < last_)
      json_.fail("arrival_us: earlier than the request before: sort the lines by it");
    last_ = request.arrival;
    return true;
  }

  void read_request(JsonValue& value, Request& request) {
    keys_.clear();
    segments_total_ = 0;
    request.details = std::make_unique<RequestDetails>();
    json_.fields_of(value, "request",
                    [&](std::string_view key, JsonValue& inner) { read_field(key, inner, request); });
    for (const Key key : {kId, kArrival, kInputTokens, kOutputTokens}) keys_.need(key, json_);
    RequestDetails& details = *request.details;
    if (!details.content.empty()) details.output_segment = output_segment(details.name);
    if (segments_total_ != 0 && segments_total_ != request.input.value)
      json_.fail("input_tokens is " + std::to_string(request.input.value) +
                 ", but the segments of input have " + std::to_string(segments_total_));
  }

  void read_field(std::string_view key, JsonValue& value, Request& request) {
    switch (keys_.see(key, json_)) {
      case kId:
        request.details->name = std::to_string(json_.count(value, key, 0, INT64_MAX));
        break;
      case kArrival:
        request.arrival = Instant{Duration{json_.time_ns(value, key, kMicrosecondDigits)}};
        break;
      case kInputTokens:
        request.input = Tokens{json_.count(value, key, 1, kTokensMax)};
        break;
      case kOutputTokens:
        request.output = Tokens{json_.count(value, key, 1, kTokensMax)};
        break;
      case kInput:
        read_segments(value, request.details->content);
        break;
      default:
        break;
    }
  }

  /// [[segment, tokens], ...]
  void read_segments(JsonValue& value, std::vector<PromptSegment>& content) {
    json_.elements_of(value, "input", [&](JsonValue& pair) {
      const char* at = json_.place(pair);
      PromptSegment segment;
      int size = 0;
      json_.elements_of(pair, "input", [&](JsonValue& element) {
        if (size == 0) {
          const std::int64_t number = json_.count(element, "input", 0, INT64_MAX);
          segment.segment = numbered_segment(kSpace, static_cast<std::uint64_t>(number));
        }
        if (size == 1) segment.length = Tokens{json_.count(element, "input", 1, kTokensMax)};
        ++size;
      });
      if (size != 2) json_.fail(at, "input: pairs [segment, tokens] are needed");
      segments_total_ += segment.length.value;
      if (segments_total_ > kTokensMax)
        json_.fail(at, "input: more than " + std::to_string(kTokensMax) + " tokens");
      content.push_back(segment);
    });
  }

  JsonLines json_;
  KeySet<kKeys.size()> keys_{kKeys};
  std::int64_t segments_total_ = 0;
  Instant last_;
};

WorkloadFactory make(TraceInput& input) {
  return [file = input.files.front()] { return std::make_unique<EngineLog>(file); };
}

bool recognises(std::string_view head) {
  head = head.substr(0, head.find('\n'));
  return head.starts_with("{\"header\"") && head.find("\"engine\"") != std::string_view::npos;
}

}  // namespace

TraceFormat engine_log_format() { return {recognises, make, false, ""}; }

}  // namespace kvcast
