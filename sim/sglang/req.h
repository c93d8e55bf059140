/// One request inside the engine, as SGLang's Req: what its scheduler may see. The truth about its output
/// stays with the engine.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/units.h"
#include "sim/sglang/radix_tree.h"
#include "sim/sglang/token_key.h"

namespace kvcast::sglang {

enum class ReqIndex : std::int32_t {};
constexpr ReqIndex kNoReq{-1};
constexpr std::size_t to_index(ReqIndex req) { return static_cast<std::size_t>(req); }

struct Req {
  RequestId id{};
  std::uint64_t salt = 0;
  TokenSequence content;  // prompt, then outputs
  std::int64_t priority = 0;
  std::int64_t prompt = 0;
  std::int64_t max_new = 0;  // clipped
  std::int64_t out = 0;      // outputs whose step has been processed
  bool ignore_eos = false;
  bool refused = false;  // too long: passes the queue as one token and leaves nothing

  // Its KV: kv tokens have a slot, the first `shared` of them are the tree's.
  std::int64_t kv = 0;
  std::int64_t shared = 0;
  std::int64_t inserted = 0;  // tokens of its key that it has inserted itself
  NodeIndex node = kRoot;     // where its lock begins
  bool holds_row = false;

  // The prefill in progress: tokens [there, there + taken) of the first `fill`.
  std::int64_t fill = 0;
  std::int64_t there = 0;
  std::int64_t taken = 0;

  std::int64_t token_step = 0;  // number of the last step that makes a token for it
  bool listed = false;          // in the running batch or in the last prefill batch
  bool finished = false;
  bool retracted = false;

  // What the last look at the whole queue found.
  std::int64_t matched = 0;
  NodeIndex match_node = kRoot;
  bool put_behind = false;

  [[nodiscard]] std::int64_t length() const { return prompt + out; }
  [[nodiscard]] TokenKey key(std::int64_t n) const { return content.key(n, salt); }
};

using Reqs = std::vector<Req>;

}  // namespace kvcast::sglang
