/// SGLang's PrefillAdder: which waiting requests, and how much of them, go into one prefill batch.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "sim/sglang/kv_pool.h"
#include "sim/sglang/observer.h"
#include "sim/sglang/req.h"
#include "sim/sglang/settings.h"

namespace kvcast::sglang {

/// Contract: one admission pass. add_chunked() and add() set `there` and `taken` of a request that they
/// admit, and add() locks its prefix; slots are not taken yet. Budgets: total (room for outputs reserved),
/// current (without that), input, chunk.
class PrefillAdder {
 public:
  struct Setup {
    std::span<const ReqIndex> running;
    double new_token_ratio = 0;
    std::int64_t decode_tokens = 0;  // of a mixed step, taken from every budget first
  };

  PrefillAdder(const SglangSettings& settings, Reqs& reqs, KvPool& pool, const Setup& setup);

  /// Whether there are slots for the next chunk of the prompt in progress. (Where there are none, SGLang
  /// stops with an error; here the chunk waits.)
  [[nodiscard]] bool fits_chunked(ReqIndex req) const;
  /// The next chunk of the prompt in progress. True: the prompt goes on after it.
  [[nodiscard]] bool add_chunked(ReqIndex req);
  /// A request from the queue whose cached prefix has just been matched.
  [[nodiscard]] SglangVerdict add(ReqIndex req, const RadixTree::Match& prefix);
  /// Input or chunk budget is spent.
  [[nodiscard]] bool input_spent() const { return input_ <= 0 || (chunk_ && *chunk_ <= 0); }

  [[nodiscard]] const std::vector<ReqIndex>& admitted() const { return admitted_; }
  /// The admitted request whose prompt was cut.
  [[nodiscard]] ReqIndex cut() const { return cut_; }
  [[nodiscard]] double total() const {
    return static_cast<double>(pool_.free() + pool_.evictable()) - total_offset_;
  }
  [[nodiscard]] std::int64_t input() const { return input_; }
  [[nodiscard]] std::optional<std::int64_t> chunk() const { return chunk_; }

 private:
  struct Remaining {
    double outputs;         // still to come
    std::int64_t occupied;  // tokens that its end sets free
  };

  [[nodiscard]] std::int64_t current() const { return pool_.free() + pool_.evictable() - current_offset_; }
  [[nodiscard]] std::int64_t clipped(std::int64_t outputs) const {
    return std::min(outputs, settings_.clip_max_new_tokens);
  }
  [[nodiscard]] std::int64_t next_chunk(const Req& req) const;
  [[nodiscard]] SglangVerdict state() const;
  [[nodiscard]] SglangVerdict add_within_budget(Req& req, ReqIndex index);
  [[nodiscard]] SglangVerdict add_with_look_ahead(Req& req, ReqIndex index);
  [[nodiscard]] bool outlives_pool(const Req& req, std::int64_t input);
  void note_remaining(const Req& req, bool sorted);
  void charge(std::int64_t taken, std::int64_t outputs);

  const SglangSettings& settings_;
  Reqs& reqs_;
  KvPool& pool_;
  Setup setup_;
  double total_offset_ = 0;
  std::int64_t current_offset_ = 0;
  std::int64_t input_ = 0;
  std::optional<std::int64_t> chunk_;
  std::vector<ReqIndex> admitted_;
  ReqIndex cut_ = kNoReq;
  std::optional<std::vector<Remaining>> remaining_;  // of running and admitted requests, for the look-ahead
};

}  // namespace kvcast::sglang
