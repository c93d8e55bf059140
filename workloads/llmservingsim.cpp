/// LLMServingSim workloads (github.com/casys-kaist/LLMServingSim): input_toks, output_toks, arrival_time_ns
/// and, in some files, the prompt's token ids. Other keys (output_tok_ids among them) are not used.
#include <algorithm>
#include <array>

#include "workloads/csv_trace.h"
#include "workloads/json_lines.h"
#include "workloads/segments.h"
#include "workloads/trace_format.h"

namespace kvcast {
namespace {

constexpr std::array<std::string_view, 4> kKeys = {"input_toks", "output_toks", "arrival_time_ns",
                                                   "input_tok_ids"};
enum Key : std::size_t { kInput, kOutput, kArrival, kIds };

constexpr std::uint64_t kSpace = 0x73657276696e67;  // ids of one tokenizer
constexpr std::int64_t kBlockDefault = 16;          // vLLM's default block size: sharing at its grain

class LlmServingSim final : public OpenLoopSource {
 public:
  LlmServingSim(const TraceFile& file, std::int64_t block) : json_(file), block_(block) {}

 private:
  bool read(Request& request) override {
    if (!json_.next()) return false;
    keys_.clear();
    ids_.clear();
    json_.fields([&](std::string_view key, JsonValue& value) { read_field(key, value, request); });
    for (const Key key : {kInput, kOutput, kArrival}) keys_.need(key, json_);
    if (request.arrival < last_)
      json_.fail("arrival_time_ns: earlier than the line before: sort the lines by it");
    last_ = request.arrival;
    if (keys_.saw(kIds)) fill_content(request);
    return true;
  }

  void read_field(std::string_view key, JsonValue& value, Request& request) {
    switch (keys_.see(key, json_)) {
      case kInput:
        request.input = Tokens{std::max<std::int64_t>(json_.count(value, key, 0, kTokensMax), 1)};
        break;
      case kOutput:
        request.output = Tokens{std::max<std::int64_t>(json_.count(value, key, 0, kTokensMax), 1)};
        break;
      case kArrival:
        request.arrival = Instant{Duration{json_.time_ns(value, key, 0)}};
        break;
      case kIds:
        json_.elements_of(
            value, key, [&](JsonValue& element) { ids_.push_back(json_.count(element, key, 0, INT64_MAX)); });
        break;
      default:
        break;
    }
  }

  /// Each block's segment is a hash of its tokens and of the blocks before it, so that equal segments mean
  /// equal prefixes.
  void fill_content(Request& request) {
    if (std::ssize(ids_) != request.input.value) {
      json_.fail("input_tok_ids: " + std::to_string(ids_.size()) + " ids for input_toks " +
                 std::to_string(request.input.value));
    }
    request.details = std::make_unique<RequestDetails>();
    std::uint64_t chain = kSpace;
    std::int64_t length = 0;
    for (const std::int64_t id : ids_) {
      chain = numbered_segment(chain, static_cast<std::uint64_t>(id));
      if (++length == block_) {
        request.details->content.push_back({chain, Tokens{length}});
        length = 0;
      }
    }
    if (length > 0) request.details->content.push_back({chain, Tokens{length}});
  }

  JsonLines json_;
  std::int64_t block_;
  KeySet<kKeys.size()> keys_{kKeys};
  std::vector<std::int64_t> ids_;
  Instant last_;
};

WorkloadFactory make(TraceInput& input) {
  const std::int64_t block = input.options.get_int("block_tokens", {1, 1 << 20}, kBlockDefault);
  input.assumptions.push_back("prompts share content at the grain of " + std::to_string(block) +
                              " tokens (block_tokens) where the trace has token ids; " +
                              zero_tokens_assumption());
  return [file = input.files.front(), block] { return std::make_unique<LlmServingSim>(file, block); };
}

bool recognises(std::string_view head) {
  head = head.substr(0, head.find('\n'));
  return head.find("\"input_toks\"") != std::string_view::npos &&
         head.find("\"output_toks\"") != std::string_view::npos;
}

}  // namespace

TraceFormat llmservingsim_format() {
  return {recognises, make, false, "LLMServingSim workloads (github.com/casys-kaist/LLMServingSim), MIT"};
}

}  // namespace kvcast
