/// LMCache agent traces (github.com/LMCache/lmcache-agent-trace) with the prompt text replaced by its length
/// and by hashes of 256-character blocks (each hash stands for the block and all before it): timestamp_us,
/// session, turn, in_chars, out_chars, hash_rle [[first, count], ...]. Other keys are not used.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "workloads/csv_trace.h"
#include "workloads/json_lines.h"
#include "workloads/segments.h"
#include "workloads/trace_format.h"

namespace kvcast {
namespace {

constexpr std::array<std::string_view, 5> kKeys = {"timestamp_us", "session", "in_chars", "out_chars",
                                                   "hash_rle"};
enum Key : std::size_t { kTimestamp, kSession, kIn, kOut, kHashes };

constexpr int kMicrosecondDigits = 3;
constexpr std::int64_t kAbsoluteMaxNs = std::int64_t{1} << 62;
constexpr std::int64_t kBlockChars = 256;
constexpr std::uint64_t kSpace = 0x6c6d6361636865;  // one trace, one space of hashes
constexpr double kCharsPerToken = 4;                // the usual rule of thumb for English text and code

class Lmcache final : public OpenLoopSource {
 public:
  Lmcache(const TraceFile& file, double chars_per_token) : json_(file), chars_per_token_(chars_per_token) {}

 private:
  struct HashRun {
    std::uint64_t first = 0;
    std::int64_t count = 0;
  };

  bool read(Request& request) override {
    if (!json_.next()) return false;
    keys_.clear();
    runs_.clear();
    request.details = std::make_unique<RequestDetails>();
    json_.fields([&](std::string_view key, JsonValue& value) { read_field(key, value, request); });
    for (const Key key : {kTimestamp, kIn, kOut}) keys_.need(key, json_);
    if (first_ns_ < 0) first_ns_ = last_ns_ = at_ns_;
    if (at_ns_ < last_ns_) json_.fail("timestamp_us: earlier than the line before: sort the lines by it");
    if (at_ns_ - first_ns_ > kArrivalMaxNs)
      json_.fail("timestamp_us: more than ten years after the first line");
    last_ns_ = at_ns_;
    request.arrival = Instant{Duration{at_ns_ - first_ns_}};
    request.input = tokens(in_chars_);
    request.output = tokens(out_chars_);
    fill_content(*request.details, request.input.value);
    ++requests_;
    return true;
  }

  void read_field(std::string_view key, JsonValue& value, Request& request) {
    switch (keys_.see(key, json_)) {
      case kTimestamp:
        at_ns_ = json_.time_ns(value, key, kMicrosecondDigits, kAbsoluteMaxNs);
        break;
      case kSession:
        request.details->session = json_.string(value, key);
        break;
      case kIn:
        in_chars_ = json_.count(value, key, 0, kTokensMax);
        break;
      case kOut:
        out_chars_ = json_.count(value, key, 0, kTokensMax);
        break;
      case kHashes:
        json_.elements_of(value, key, [&](JsonValue& run) { read_run(key, run); });
        break;
      default:
        break;
    }
  }

  void read_run(std::string_view key, JsonValue& run) {
    std::array<std::int64_t, 2> pair{};
    std::size_t size = 0;
    const char* at = json_.place(run);
    json_.elements_of(run, key, [&](JsonValue& element) {
      if (size == pair.size()) json_.fail(at, "hash_rle: pairs [first, count] are needed");
      pair[size++] = json_.count(element, key, 0, kTokensMax);
    });
    if (size != pair.size()) json_.fail(at, "hash_rle: pairs [first, count] are needed");
    runs_.push_back({static_cast<std::uint64_t>(pair[0]), pair[1]});
  }

  [[nodiscard]] Tokens tokens(std::int64_t chars) const {
    return Tokens{
        std::max<std::int64_t>(std::llround(std::ceil(static_cast<double>(chars) / chars_per_token_)), 1)};
  }

  /// Block i of the text covers the tokens up to floor((i + 1) * 256 / chars per token); the rest is shared
  /// with nobody.
  void fill_content(RequestDetails& details, std::int64_t input) {
    std::int64_t blocks = 0;
    std::int64_t covered = 0;
    for (const HashRun& run : runs_) {
      if (blocks + run.count > in_chars_ / kBlockChars) {
        json_.fail(fmt::format("hash_rle: more hashes than the {} full blocks of {} characters in in_chars",
                               in_chars_ / kBlockChars, kBlockChars));
      }
      for (std::int64_t i = 0; i < run.count; ++i) {
        ++blocks;
        const double chars = static_cast<double>(blocks * kBlockChars);
        const std::int64_t end =
            std::min(static_cast<std::int64_t>(std::floor(chars / chars_per_token_)), input);
        if (end > covered) {
          details.content.push_back(
              {numbered_segment(kSpace, run.first + static_cast<std::uint64_t>(i)), Tokens{end - covered}});
        }
        covered = std::max(covered, end);
      }
    }
    if (input > covered)
      details.content.push_back({numbered_segment(~kSpace, requests_), Tokens{input - covered}});
  }

  JsonLines json_;
  double chars_per_token_;
  KeySet<kKeys.size()> keys_{kKeys};
  std::vector<HashRun> runs_;
  std::int64_t at_ns_ = 0;
  std::int64_t in_chars_ = 0;
  std::int64_t out_chars_ = 0;
  std::int64_t first_ns_ = -1;  // -1: before the first line
  std::int64_t last_ns_ = 0;
  std::uint64_t requests_ = 0;
};

WorkloadFactory make(TraceInput& input) {
  const double chars = input.options.get_real("chars_per_token", {0.5, 64}, kCharsPerToken);
  input.assumptions.push_back(
      fmt::format("lengths in characters are taken as {} characters a token (chars_per_token)", chars));
  input.assumptions.push_back(
      "calls of a session arrive at their recorded times, however slow the simulated server is; " +
      zero_tokens_assumption());
  return [file = input.files.front(), chars] { return std::make_unique<Lmcache>(file, chars); };
}

bool recognises(std::string_view head) {
  head = head.substr(0, head.find('\n'));
  return head.find("\"timestamp_us\"") != std::string_view::npos &&
         head.find("\"in_chars\"") != std::string_view::npos;
}

}  // namespace

TraceFormat lmcache_format() {
  return {recognises, make, false,
          "LMCache agent traces (github.com/LMCache/lmcache-agent-trace), Apache-2.0"};
}

}  // namespace kvcast
