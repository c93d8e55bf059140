/// SGLang's scheduling round: what the next step is, given what has been processed, and what its result does.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/sglang/admission.h"
#include "sim/sglang/kv_pool.h"
#include "sim/sglang/observer.h"
#include "sim/sglang/queue_policy.h"
#include "sim/sglang/req.h"
#include "sim/sglang/settings.h"

namespace kvcast::sglang {

struct PlannedChunk {
  ReqIndex req;
  std::int64_t there;
  std::int64_t now;
};

/// A step as planned; its slots are taken.
struct PlannedStep {
  SglangStepKind kind = SglangStepKind::decode;
  std::int64_t number = 0;
  std::vector<PlannedChunk> chunks;
  ReqIndex unfinished = kNoReq;    // its prompt goes on after this step, so it makes no token
  std::vector<ReqIndex> decoding;  // one token each
  std::int64_t decoding_waits = 0;
  std::int64_t decode_context = 0;  // lengths after the step, summed
  std::int64_t prefill_context = 0;
  SglangAdmission admission;
  SglangState state;
};

/// Requests that a retraction sent back to the queue, and the one it had to give up.
struct Retraction {
  std::vector<ReqIndex> retracted;
  std::vector<ReqIndex> aborted;
  std::int64_t available_before = 0;
  std::int64_t available_after = 0;
  std::int64_t dropped = 0;  // tokens whose KV is lost
};

/// Contract: plan() is called when the results up to processed() are in; at most one step before the planned
/// one is still in flight.
class Scheduler {
 public:
  Scheduler(const SglangSettings& settings, std::int64_t pool_tokens, std::int64_t page);

  /// Takes a request in, at the end of the queue. Its content, lengths and limits must be set.
  ReqIndex add(Req&& req);
  /// The next step, or none. A retraction that it needed is in retraction().
  [[nodiscard]] std::optional<PlannedStep> plan();
  [[nodiscard]] const std::optional<Retraction>& retraction() const { return retraction_; }
  /// Nothing ran and nothing is in flight.
  void idle() { ratio_ = settings_.new_token_ratio.start; }

  // The result of a step, in this order: process(), then for each of its requests in batch order token(),
  // then end() of those that ended.
  void process(const PlannedStep& step) { processed_ = step.number; }
  /// Whether the step made a token for the request (not: it had ended, or was sent back).
  [[nodiscard]] bool token(ReqIndex req);
  /// The request goes on after its prefill: others may share it now.
  void insert_unfinished(ReqIndex req);
  /// Returns what of it is in the tree. Its number may be given to another request once no step in flight
  /// knows it.
  SglangFinish end(ReqIndex req);

  // Runs of decode steps.
  /// Steps after `step`, up to most, that would be planned with the same requests and without a look at
  /// queue, tree or retraction, as long as nobody ends or arrives.
  [[nodiscard]] std::int64_t repeats(const PlannedStep& step, std::int64_t most) const;
  /// Plans n more steps like `step`, the last one planned, and processes as many results before it.
  void advance(PlannedStep& step, std::int64_t n);
  /// Tokens of the pool that n more steps take.
  [[nodiscard]] std::int64_t tokens_taken(const PlannedStep& step, std::int64_t n) const;

  [[nodiscard]] SglangState state() const;
  [[nodiscard]] const Reqs& reqs() const { return reqs_; }
  [[nodiscard]] const KvPool& pool() const { return pool_; }
  [[nodiscard]] const WaitingQueue& waiting() const { return waiting_; }
  /// Whether a call of plan() would look at the queue.
  [[nodiscard]] bool would_admit() const { return (!waiting_.empty() && !full_) || chunked_ != kNoReq; }
  [[nodiscard]] std::int64_t running() const { return rows_; }
  [[nodiscard]] bool used(ReqIndex req) const { return used_[to_index(req)]; }
  [[nodiscard]] std::int64_t processed() const { return processed_; }
  void check() const;

 private:
  [[nodiscard]] Req& at(ReqIndex req) { return reqs_[to_index(req)]; }
  [[nodiscard]] const Req& at(ReqIndex req) const { return reqs_[to_index(req)]; }
  [[nodiscard]] bool ends_in_flight(const Req& req) const;
  void merge_last_prefill();
  void drop_finished();
  void unlist(ReqIndex req);
  [[nodiscard]] std::optional<PlannedStep> plan_prefill();
  void admit_from_queue(PrefillAdder& adder, std::int64_t rows, SglangAdmission& admission);
  void mix_in_decoding(PlannedStep& step);
  [[nodiscard]] std::optional<PlannedStep> plan_decode();
  std::vector<ReqIndex> leave_out_ending();
  void retract();
  [[nodiscard]] PlannedStep make_step(SglangStepKind kind);
  void finish_step(PlannedStep& step);
  void add_decoding(PlannedStep& step);

  SglangSettings settings_;
  KvPool pool_;
  WaitingQueue waiting_;
  Reqs reqs_;
  std::vector<bool> used_;
  std::vector<ReqIndex> free_slots_;
  struct Retired {
    ReqIndex req;
    std::int64_t step;  // the last that may know it
  };
  std::vector<Retired> retired_;
  std::vector<ReqIndex> running_;
  std::vector<ReqIndex> last_prefill_;  // its requests, not merged yet
  ReqIndex last_unfinished_ = kNoReq;   // of that batch
  ReqIndex chunked_ = kNoReq;           // the prompt in progress
  std::int64_t rows_ = 0;               // requests that hold one
  bool full_ = false;
  double ratio_;
  std::int64_t planned_ = 0;
  std::int64_t processed_ = 0;
  std::optional<Retraction> retraction_;
};

}  // namespace kvcast::sglang
