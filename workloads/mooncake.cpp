/// Mooncake's trace release (FAST'25) and files of its form: timestamp in ms, input_length, output_length,
/// hash_ids. A hash stands for a block and all blocks before it. Published at github.com/kvcache-ai/Mooncake.
/// Other keys are not used.
#include <array>

#include "sim/base/error.h"
#include "workloads/block_hashes.h"
#include "workloads/csv_trace.h"
#include "workloads/json_lines.h"
#include "workloads/trace_format.h"

namespace kvcast {
namespace {

constexpr std::array<std::string_view, 4> kKeys = {"timestamp", "input_length", "output_length", "hash_ids"};
enum Key : std::size_t { kTimestamp, kInput, kOutput, kHashes };

constexpr std::int64_t kMooncakeBlock = 512;
constexpr std::uint64_t kSpace = 0x6d6f6f6e63616b65;  // one trace, one space of hashes
constexpr int kMillisecondDigits = 6;

/// Whether n hashes fit a prompt: one a block, the last block partial (Mooncake) or left out (files made from
/// full blocks).
bool block_fits(std::int64_t block, std::int64_t input, std::int64_t hashes) {
  return hashes == ceil_div(input, block) || hashes == input / block;
}

class Mooncake final : public OpenLoopSource {
 public:
  Mooncake(const TraceFile& file, std::int64_t block) : json_(file), block_(block) {}

 private:
  bool read(Request& request) override {
    if (!json_.next()) return false;
    keys_.clear();
    hashes_.clear();
    json_.fields([&](std::string_view key, JsonValue& value) { read_field(key, value, request); });
    for (const Key key : {kTimestamp, kInput, kOutput}) keys_.need(key, json_);
    if (request.arrival < last_) json_.fail("timestamp: earlier than the line before: sort the lines by it");
    last_ = request.arrival;
    if (keys_.saw(kHashes) && !hashes_.empty()) {
      check_block(request.input.value);
      request.details = std::make_unique<RequestDetails>();
      append_blocks(request.details->content, kSpace, hashes_, block_, request.input.value, requests_);
    }
    ++requests_;
    return true;
  }

  void read_field(std::string_view key, JsonValue& value, Request& request) {
    switch (keys_.see(key, json_)) {
      case kTimestamp:
        request.arrival = Instant{Duration{json_.time_ns(value, key, kMillisecondDigits)}};
        break;
      case kInput:
        request.input = Tokens{std::max<std::int64_t>(json_.count(value, key, 0, kTokensMax), 1)};
        break;
      case kOutput:
        request.output = Tokens{std::max<std::int64_t>(json_.count(value, key, 0, kTokensMax), 1)};
        break;
      case kHashes:
        json_.elements_of(value, key, [&](JsonValue& element) {
          hashes_.push_back(static_cast<std::uint64_t>(json_.count(element, key, 0, INT64_MAX)));
        });
        break;
      default:
        break;
    }
  }

  /// The block size that the user gave, or the first of the usual ones that the first line with hashes fits;
  /// every line must fit it.
  void check_block(std::int64_t input) {
    const std::int64_t hashes = std::ssize(hashes_);
    if (block_ == 0) {
      for (const std::int64_t block :
           {kMooncakeBlock, std::int64_t{16}, std::int64_t{32}, std::int64_t{64}, std::int64_t{128},
            std::int64_t{256}, std::int64_t{1024}, std::int64_t{2048}}) {
        if (block_ == 0 && block_fits(block, input, hashes)) block_ = block;
      }
      if (block_ == 0)
        json_.fail(std::to_string(hashes) + " hash_ids for " + std::to_string(input) +
                   " tokens fit no block size from 16 to 2048: give block_tokens");
    }
    if (!block_fits(block_, input, hashes)) {
      json_.fail(std::to_string(hashes) + " hash_ids for " + std::to_string(input) +
                 " tokens: with blocks of " + std::to_string(block_) + " tokens " +
                 std::to_string(ceil_div(input, block_)) +
                 " are needed (block_tokens says how many tokens a hash stands for)");
    }
  }

  JsonLines json_;
  KeySet<kKeys.size()> keys_{kKeys};
  std::vector<std::uint64_t> hashes_;
  std::int64_t block_;  // 0: not known yet
  std::uint64_t requests_ = 0;
  Instant last_;
};

WorkloadFactory make(TraceInput& input) {
  const std::int64_t block = input.options.get_int("block_tokens", {0, 1 << 20}, 0);
  input.assumptions.push_back(zero_tokens_assumption());
  return [file = input.files.front(), block] { return std::make_unique<Mooncake>(file, block); };
}

bool recognises(std::string_view head) {
  head = head.substr(0, head.find('\n'));
  return head.find("\"timestamp\"") != std::string_view::npos &&
         head.find("\"input_length\"") != std::string_view::npos;
}

}  // namespace

TraceFormat mooncake_format() {
  return {recognises, make, false,
          "Mooncake traces (github.com/kvcache-ai/Mooncake), Apache-2.0; cite Qin et al., FAST 2025"};
}

}  // namespace kvcast
