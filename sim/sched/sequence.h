/// What a policy may see of a request that is in an engine.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/units.h"
#include "sim/kv/block_allocator.h"

namespace kvcast {

/// Index of a sequence in its engine's pool.
enum class SeqIndex : std::uint32_t {};
constexpr SeqIndex kNoSeq{~std::uint32_t{0}};
constexpr std::size_t to_index(SeqIndex seq) { return static_cast<std::size_t>(seq); }

/// Execution state. The true output length is not here: policies cannot know it (see Batch, which ends
/// sequences).
struct Sequence {
  RequestId id{};
  Instant arrival;
  std::int32_t priority = 0;
  std::uint32_t tenant = 0;
  Instant deadline;  // of its first token, as the queue order sets it; else its arrival
  Tokens input;
  Tokens output_limit;      // max_tokens as sent; 0: not given
  Tokens output_predicted;  // 0: no predictor
  Tokens known;  // prompt and outputs so far, those under way included; stale while in the decode group, see
                 // Batch::known()
  Tokens computed;                // of these, with KV; stale likewise
  Tokens pending;                 // of `known`: outputs under way
  Tokens drafts;                  // proposed for the next step
  std::int64_t draft_length = 0;  // to ask the drafter for; see Speculation::length_after()
  bool in_prefill =
      false;  // its last step left tokens of the prompt (or, resumed, of what it knows) to compute
  std::int32_t preemptions = 0;
  bool exceeds_pool = false;  // had the pool to itself and found it too small
  std::int32_t branches = 1;  // answers that share blocks copy on write; they run and give way together
  bool beams = false;         // the branches are beams of one search
  bool forked = false;        // the prompt is computed: each branch has a token of its own in every step
  bool awaits_kv = false;  // another replica computes its prompt: it waits for that KV, holding room for it
  bool keeps_kv = false;   // what it holds stays when it ends, until another replica has it
  Tokens apart_until;      // known tokens below which it stays out of the decode group
  std::uint64_t admitted_no = 0;  // order of admission: the order of the running list
  BlockTable table;
};

}  // namespace kvcast
