/// What an SGLang engine decided, in the words of SGLang's own decision logs: one callback a kind of line.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/base/units.h"

namespace kvcast {

enum class SglangStepKind : std::uint8_t { prefill, decode, mixed };

/// Verdict of the admission: about a candidate that was turned down, or about going on after one that was
/// admitted.
enum class SglangVerdict : std::uint8_t { go_on, no_token, other };

/// State of the engine after a step's allocation, tokens.
struct SglangState {
  std::int64_t waiting = 0;
  double new_token_ratio = 0;
  std::int64_t available = 0;  // free slots
  std::int64_t evictable = 0;
  std::int64_t locked = 0;
  bool full = false;  // the running batch's flag that stops admission
};

/// A prompt's part in a step.
struct SglangChunk {
  RequestId id{};
  std::int64_t there = 0;  // cached prefix and what was computed before
  std::int64_t now = 0;
};

/// How the admission ended.
struct SglangAdmission {
  bool tried = false;               // any candidate
  std::optional<RequestId> turned;  // the candidate that was turned down
  SglangVerdict verdict = SglangVerdict::go_on;
  double total_left = 0;
  std::int64_t input_left = 0;
  std::optional<std::int64_t> chunk_left;
  std::int64_t put_behind = 0;  // requests put behind by the in-batch prefix rule
};

struct SglangStep {
  SglangStepKind kind = SglangStepKind::decode;
  std::int64_t number = 0;  // from 1
  Instant planned;
  Instant start;
  Duration duration{};
  std::vector<SglangChunk> chunks;      // prefill, mixed: in batch order
  std::optional<RequestId> unfinished;  // whose prompt goes on after this step
  std::vector<RequestId> decoding;      // decode, mixed: in batch order
  std::int64_t decoding_waits = 0;      // prefill: decoding requests that wait meanwhile
  std::int64_t tokens = 0;              // new ones
  std::int64_t context = 0;             // lengths after the step, summed
  SglangAdmission admission;            // prefill, mixed
  SglangState state;
};

struct SglangRetraction {
  Instant at;
  std::vector<RequestId> retracted;
  std::vector<RequestId> aborted;
  double new_token_ratio = 0;
  std::int64_t available_before = 0;
  std::int64_t available_after = 0;
};

struct SglangFinish {
  RequestId id{};
  std::int64_t output = 0;
  std::int64_t cached = 0;  // tokens of it in the tree afterwards
  std::int64_t held = 0;    // KV tokens it held
};

struct SglangResult {
  Instant at;
  std::int64_t step = 0;
  std::vector<SglangFinish> finished;
};

struct SglangIdle {
  Instant at;
  std::int64_t available = 0;
  std::int64_t evictable = 0;
  std::int64_t locked = 0;
};

/// Contract: in the order in which things happen. A run of equal decode steps may be told at once: `run` of
/// them, of which `step` is the first and `last` the last (its members are the first's).
class SglangObserver {
 public:
  virtual ~SglangObserver() = default;
  virtual void on_step(const SglangStep& step) = 0;
  virtual void on_decode_run(const SglangStep& first, const SglangStep& last, std::int64_t run) = 0;
  virtual void on_retraction(const SglangRetraction& retraction) = 0;
  virtual void on_result(const SglangResult& result) = 0;  // only where requests ended
  virtual void on_idle(const SglangIdle& idle) = 0;
};

}  // namespace kvcast
