/// What a user may set of SGLang's scheduler, under SGLang's names; defaults of 0.5.23.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "sim/base/catalog.h"
#include "sim/request.h"
#include "sim/sglang/eviction.h"

namespace kvcast {

class SglangObserver;

/// Order of the waiting queue.
enum class SglangPolicy : std::uint8_t { fcfs, lof, lpm, dfs_weight };

/// fcfs, lof, lpm, dfs-weight.
[[nodiscard]] const Catalog<SglangPolicy>& sglang_policy_catalog();

/// How much of a running request's remaining output is reserved. Falls by `decay` a decode step, rises with a
/// retraction, starts over when idle.
struct NewTokenRatio {
  double start = 0.7;
  double floor = 0.098;
  double decay = 0.0010033333333333333;

  /// min(0.7 c, 1), 0.14 of it, and a 600th of the way down.
  [[nodiscard]] static NewTokenRatio of(double schedule_conservativeness);
};

/// The pool, its page size (block size) and context_len (max_model_len) are EngineSetup's.
struct SglangSettings {
  SglangPolicy schedule_policy = SglangPolicy::fcfs;
  NewTokenRatio new_token_ratio;
  std::optional<std::int64_t> chunked_prefill_size = 8192;  // none: no chunking
  std::int64_t max_prefill_tokens = 16384;
  std::int64_t max_running_requests = 256;
  bool enable_mixed_chunk = false;  // needs chunking
  bool overlap_schedule = true;
  bool disable_radix_cache = false;
  bool ignore_eos = false;  // of every request
  std::string radix_eviction_policy = "lru";
  sglang::TlruSettings tlru;

  // Environment variables and constants of SGLang.
  std::int64_t clip_max_new_tokens = 4096;
  std::int64_t in_batch_prefix_check = 32;
  std::int64_t in_batch_prefix_deprioritize = 32;
  std::int64_t lpm_fallback_waiting = 128;
  std::int64_t retract_decode_steps = 20;

  /// The segment of the tokens that a request generates, so that later prompts may contain them. Needed where
  /// prompts have content.
  std::function<std::uint64_t(const Request&)> output_segment;
  /// Who is told of the decisions of each replica's engine; none, or null for a replica: nobody.
  std::function<SglangObserver*(ReplicaId)> observer;
};

}  // namespace kvcast
