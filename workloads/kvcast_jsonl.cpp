/// kvcast's own requests: JSON lines sorted by arrival, strict (an unknown key is an error). The keys are
/// listed in kKeys; README.md explains them. The results that `kvcast simulate --requests` adds to such lines
/// are allowed and not used.
#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <unordered_map>

#include "sim/base/hash.h"
#include "workloads/chain_source.h"
#include "workloads/json_lines.h"
#include "workloads/kvcast_jsonl.h"
#include "workloads/segments.h"
#include "workloads/trace_format.h"

namespace kvcast {
namespace {

constexpr std::array<std::string_view, 25> kKeys = {
    "id", "arrival_us", "input_tokens", "output_tokens", "input", "priority", "tenant", "session", "after",
    "n", "best_of", "beam_width", "model", "slo", "max_tokens",
    // Results of an earlier run, from here on:
    "queued_us", "scheduled_us", "first_token_us", "last_token_us", "cached_tokens", "preemptions",
    "prefill_replica", "prefilled_us", "kv_sent_us", "kv_received_us"};
enum Key : std::size_t {
  kId,
  kArrival,
  kInputTokens,
  kOutputTokens,
  kInput,
  kPriority,
  kTenant,
  kSession,
  kAfter,
  kN,
  kBestOf,
  kBeamWidth,
  kModel,
  kSlo,
  kMaxTokens,
  kFirstResult
};
constexpr std::string_view kOutcome = "outcome";
constexpr int kMicrosecondDigits = 3;
constexpr std::size_t kNameBytesMax = 4096;

/// A line as it stands in the file.
struct Line {
  Request request;  // arrival: arrival_us, 0 where an `after` has none
  std::string after;
  Duration think{};
  std::int64_t number = 0;
};

class LineParser {
 public:
  explicit LineParser(const TraceFile& file) : json_(file) {}

  /// The next line; false at the end.
  [[nodiscard]] bool next(Line& line) {
    if (!json_.next()) return false;
    line = Line{};
    line.number = json_.lines().number();
    line.request.details = std::make_unique<RequestDetails>();
    keys_.clear();
    segments_total_ = 0;
    answers_ = 1;
    json_.fields([&](std::string_view key, JsonValue& value) { read_field(key, value, line); });
    finish(line);
    return true;
  }

  [[noreturn]] void fail(const std::string& message) const { json_.fail(message); }

 private:
  void read_field(std::string_view key, JsonValue& value, Line& line) {
    Request& request = line.request;
    switch (const std::size_t known = keys_.see(key, json_)) {
      case kId:
        request.details->name = name(value, key);
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
      case kPriority:
        request.priority = signed_integer(value, key);
        break;
      case kTenant:
        request.tenant = tenant_number(name(value, key));
        break;
      case kAfter:
        read_after(value, line);
        break;
      case kN:
        answers_ = answers(value, key);
        break;
      case kBestOf:
        request.details->samples = answers(value, key);
        break;
      case kBeamWidth:
        request.details->beams = answers(value, key);
        break;
      case kMaxTokens:
        request.output_limit = Tokens{json_.count(value, key, 1, kTokensMax)};
        break;
      case kSession:
        request.details->session = name(value, key);
        break;
      case kModel:
        request.details->model = name(value, key);
        break;
      case kSlo:
        request.details->slo_class = name(value, key);
        break;
      default:
        if (known == kKeys.size() && key != kOutcome) unknown_key(key);
        break;
    }
  }

  [[noreturn]] void unknown_key(std::string_view key) const {
    const std::vector<std::string> known(kKeys.begin(), kKeys.begin() + kFirstResult);
    json_.fail("unknown key " + quoted(key) + known_names(key, known));
  }

  std::string name(JsonValue& value, std::string_view key) {
    const char* at = json_.place(value);
    const std::string_view text = json_.string(value, key);
    if (text.empty() || text.size() > kNameBytesMax)
      json_.fail(at, std::string(key) + ": a text of 1 to 4096 bytes is needed");
    return std::string(text);
  }

  std::int32_t signed_integer(JsonValue& value, std::string_view key) {
    const char* at = json_.place(value);
    std::int64_t number = 0;
    if (value.get_int64().get(number) != simdjson::SUCCESS || number < INT32_MIN || number > INT32_MAX) {
      json_.wrong(at, key, "a whole number from -2147483648 to 2147483647");
    }
    return static_cast<std::int32_t>(number);
  }

  std::int32_t answers(JsonValue& value, std::string_view key) {
    return static_cast<std::int32_t>(json_.count(value, key, 1, kAnswersMax));
  }

  /// n of the answers that are made are returned: best_of samples, or the beams of a search.
  void finish_answers(RequestDetails& details) {
    if (keys_.saw(kBestOf) && details.samples < answers_) json_.fail("best_of: it must be at least n");
    details.samples = std::max(details.samples, answers_);
    if (details.beams == 1) return;
    if (details.samples > details.beams)
      json_.fail("n, best_of: at most beam_width, the answers that a search of that width can return");
    details.samples = 1;
  }

  /// [["sys", 600], ["u7", 212]]
  void read_segments(JsonValue& value, std::vector<PromptSegment>& content) {
    json_.elements_of(value, "input", [&](JsonValue& pair) {
      const char* at = json_.place(pair);
      PromptSegment segment;
      int size = 0;
      json_.elements_of(pair, "input", [&](JsonValue& element) {
        if (size == 0) segment.segment = segment_id(name(element, "input"));
        if (size == 1) segment.length = Tokens{json_.count(element, "input", 1, kTokensMax)};
        ++size;
      });
      if (size != 2) json_.fail(at, "input: pairs [\"segment\", tokens] are needed");
      segments_total_ += segment.length.value;
      if (segments_total_ > kTokensMax)
        json_.fail(at, "input: more than " + std::to_string(kTokensMax) + " tokens");
      content.push_back(segment);
    });
  }

  /// {"id": "a3", "think_us": 2000}
  void read_after(JsonValue& value, Line& line) {
    static constexpr std::array<std::string_view, 2> kAfterKeys = {"id", "think_us"};
    KeySet keys(kAfterKeys);
    const char* at = json_.place(value);
    json_.fields_of(value, "after", [&](std::string_view key, JsonValue& inner) {
      switch (keys.see(key, json_)) {
        case 0:
          line.after = name(inner, "after.id");
          break;
        case 1:
          line.think = Duration{json_.time_ns(inner, "after.think_us", kMicrosecondDigits)};
          break;
        default:
          json_.fail("unknown key " + quoted(key) + " in after (known: id, think_us)");
      }
    });
    if (!keys.saw(0)) json_.fail(at, "after: \"id\" is missing");
  }

  void finish(Line& line) {
    for (const Key key : {kId, kOutputTokens}) keys_.need(key, json_);
    if (!keys_.saw(kAfter)) keys_.need(kArrival, json_);
    if (!keys_.saw(kInputTokens) && segments_total_ == 0)
      json_.fail("\"input_tokens\" or \"input\" is missing");
    if (!keys_.saw(kInputTokens)) line.request.input = Tokens{segments_total_};
    // Whoever repeats the answer repeats the prompt before it: an answer after unknown content is never found
    // again.
    RequestDetails& details = *line.request.details;
    finish_answers(details);
    if (!details.content.empty()) details.output_segment = output_segment(details.name);
    if (segments_total_ != 0 && segments_total_ != line.request.input.value) {
      json_.fail("input_tokens is " + std::to_string(line.request.input.value) +
                 ", but the segments of input have " + std::to_string(segments_total_));
    }
  }

  JsonLines json_;
  KeySet<kKeys.size()> keys_{kKeys};
  std::int64_t segments_total_ = 0;
  std::int32_t answers_ = 1;  // n
};

/// The lines that wait for others, by the name they wait for. Shared by all sources of a file.
struct WaitingLines {
  std::vector<Line> lines;                                   // in the order of the file
  std::map<std::string, std::vector<std::size_t>> by_cause;  // indices into lines
};

/// Whether the text `"after"` is anywhere in the file: most traces have none and need no second look.
bool mentions_after(const TraceFile& file) {
  constexpr std::string_view kWord = "\"after\"";
  const std::unique_ptr<ByteSource> bytes = file.open();
  std::vector<char> buffer(std::size_t{1} << 16);
  std::size_t kept = 0;
  while (const std::size_t count = bytes->read(buffer.data() + kept, buffer.size() - kept)) {
    const std::string_view text(buffer.data(), kept + count);
    if (text.find(kWord) != std::string_view::npos) return true;
    kept = std::min(text.size(), kWord.size() - 1);
    std::memmove(buffer.data(), text.data() + text.size() - kept, kept);
  }
  return false;
}

/// Reads the file twice: who waits for whom; then that each of those exists, once, above the one that waits
/// (so there is no circle).
std::shared_ptr<const WaitingLines> find_waiting(const TraceFile& file) {
  auto waiting = std::make_shared<WaitingLines>();
  if (!mentions_after(file)) return waiting;
  Line line;
  for (LineParser parser(file); parser.next(line);) {
    if (line.after.empty()) continue;
    waiting->by_cause[line.after].push_back(waiting->lines.size());
    waiting->lines.push_back(std::move(line));
  }
  std::map<std::string, std::int64_t> cause_lines;
  for (LineParser parser(file); parser.next(line);) {
    const std::string& name = line.request.details->name;
    if (!waiting->by_cause.contains(name)) continue;
    const auto [first, is_new] = cause_lines.emplace(name, line.number);
    if (!is_new)
      parser.fail("id: " + kvcast::quoted(name) + " is also the id of line " + std::to_string(first->second) +
                  ", and others wait for it");
  }
  for (const auto& [name, indices] : waiting->by_cause) {
    const Line& first = waiting->lines[indices.front()];
    const auto cause = cause_lines.find(name);
    if (cause == cause_lines.end())
      bad_trace(file.name, first.number, 1, "after: no request " + kvcast::quoted(name) + " in this file");
    if (cause->second >= first.number)
      bad_trace(file.name, first.number, 1,
                "after: " + kvcast::quoted(name) + " must stand above the request that waits for it");
  }
  return waiting;
}

/// Nodes are line numbers.
class KvcastJsonl final : public ChainSource {
 public:
  KvcastJsonl(const TraceFile& file, std::shared_ptr<const WaitingLines> waiting)
      : ChainSource(!waiting->lines.empty()), parser_(file), waiting_(std::move(waiting)) {
    read_ahead();
  }

 private:
  std::optional<Upcoming> upcoming() override {
    if (!have_ahead_) return std::nullopt;
    return Upcoming{ahead_.request.arrival, static_cast<Node>(ahead_.number)};
  }

  void load() override {
    const Node node = static_cast<Node>(ahead_.number);
    add_root(node, ahead_.request.arrival);
    loaded_.emplace(node, std::move(ahead_.request));
    read_ahead();
  }

  Request make(Node node, RequestId /*id*/) override {
    Request request;
    if (auto loaded = loaded_.extract(node); !loaded.empty()) {
      request = std::move(loaded.mapped());
    } else {
      request = copy_of(waiting_line(node).request);
    }
    const auto effects = waiting_->by_cause.find(request.details->name);
    if (effects == waiting_->by_cause.end()) return request;
    for (const std::size_t i : effects->second) {
      const Line& line = waiting_->lines[i];
      add_child(static_cast<Node>(line.number), node, line.think, line.request.arrival);
    }
    return request;
  }

  [[nodiscard]] const Line& waiting_line(Node node) const {
    const auto& lines = waiting_->lines;
    const auto found =
        std::lower_bound(lines.begin(), lines.end(), static_cast<std::int64_t>(node),
                         [](const Line& line, std::int64_t number) { return line.number < number; });
    KVCAST_CHECK(found != lines.end());
    KVCAST_CHECK(found->number == static_cast<std::int64_t>(node));
    return *found;
  }

  /// To the next line that waits for nobody.
  void read_ahead() {
    const Instant last = ahead_.request.arrival;
    do {
      have_ahead_ = parser_.next(ahead_);
      if (!have_ahead_) return;
      if (!ahead_.after.empty() && waiting_->lines.empty())
        parser_.fail("after: the key must be written without escapes");
    } while (!ahead_.after.empty());
    if (ahead_.request.arrival < last)
      parser_.fail("arrival_us: earlier than the line before: sort the lines by it");
  }

  LineParser parser_;
  std::shared_ptr<const WaitingLines> waiting_;
  Line ahead_;
  bool have_ahead_ = false;
  std::unordered_map<Node, Request> loaded_;  // looked up only
};

WorkloadFactory make(TraceInput& input) {
  const TraceFile& file = input.files.front();
  auto waiting = find_waiting(file);
  return [file, waiting] { return std::make_unique<KvcastJsonl>(file, waiting); };
}

bool recognises(std::string_view head) {
  head = head.substr(0, head.find('\n'));
  const auto has = [&](std::string_view key) { return head.find(key) != std::string_view::npos; };
  return head.starts_with('{') && has("\"id\"") &&
         (has("\"arrival_us\"") || has("\"input_tokens\"") || has("\"output_tokens\""));
}

}  // namespace

std::uint32_t tenant_number(std::string_view name) {
  const auto number = parse_count(name);
  if (number && *number <= UINT32_MAX && name == std::to_string(*number))
    return static_cast<std::uint32_t>(*number);
  return static_cast<std::uint32_t>(hash64(name));
}

TraceFormat kvcast_format() { return {recognises, make, false, ""}; }

}  // namespace kvcast
