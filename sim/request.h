/// Request: what the user asked, with the truth about its output. Sequence (sim/sched/sequence.h): what a
/// policy may see of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/units.h"

namespace kvcast {

/// Prompt content as segments: two tokens are equal exactly when segment and position in the segment are.
struct PromptSegment {
  std::uint64_t segment = 0;
  Tokens length;
};

/// What became of a request on replicas that were lost under it.
struct RequestPast {
  std::int32_t retries = 0;    // replicas that it was sent to again
  bool continues = false;      // the tokens that the client has are part of the prompt now; else made again
  Tokens answered;             // tokens that the client has
  Instant scheduled = kNever;  // the first time
  Instant first_token = kNever;  // at the client
  Int128 last_token = 0;         // that the client has, at the engine, in 2^-20 ns
  Tokens cached;                 // prompt tokens from a prefix cache at the first admission
  std::int32_t preemptions = 0;

  /// Of them, those that the engine reads as a part of the prompt.
  [[nodiscard]] Tokens in_prompt() const { return continues ? answered : Tokens{0}; }
};

/// What few requests have; absent (null) in plain traces, so that a request stays small.
struct RequestDetails {
  std::string name;  // the id in the user's file; empty: the request's number
  std::string session;
  std::string model;
  std::string slo_class;
  std::int32_t samples =
      1;  // answers that the engine makes for it (n, best_of), each as long as the request's output
  std::int32_t beams = 1;              // width of its beam search; above 1 only with samples 1
  std::vector<PromptSegment> content;  // empty: shares nothing with anybody
  std::uint64_t output_segment =
      0;  // names the tokens it generates, where later prompts may hold them; 0: they do not
  std::optional<RequestPast> past;  // of a request that is sent again
};

/// One user request. Immutable once generated: all its randomness has been drawn, so no policy can shift the
/// workload.
struct Request {
  RequestId id{};
  Instant arrival;          // at the engine
  Duration delay_before{};  // of it, what lies between the client and the engine: it was sent so much earlier
  Tokens input;
  Tokens output;              // truth: tokens generated if nothing cuts it; never shown to a policy
  Tokens output_limit;        // max_tokens as the client sent it (policies see it); 0: not given
  Tokens output_predicted;    // what a length predictor says (policies see it); 0: no predictor
  std::int32_t priority = 0;  // smaller is served first, as in vLLM
  std::uint32_t tenant = 0;
  std::unique_ptr<RequestDetails> details;

  [[nodiscard]] const RequestPast* past() const {
    return details != nullptr && details->past ? &*details->past : nullptr;
  }
  /// What an engine computes before the next token: the prompt, and of an answer that goes on what the client
  /// has of it.
  [[nodiscard]] Tokens prompt() const {
    return past() == nullptr ? input : input + details->past->in_prompt();
  }
};

[[nodiscard]] inline Request copy_of(const Request& from) {
  Request request;
  request.id = from.id;
  request.arrival = from.arrival;
  request.delay_before = from.delay_before;
  request.input = from.input;
  request.output = from.output;
  request.output_limit = from.output_limit;
  request.output_predicted = from.output_predicted;
  request.priority = from.priority;
  request.tenant = from.tenant;
  if (from.details != nullptr) request.details = std::make_unique<RequestDetails>(*from.details);
  return request;
}

}  // namespace kvcast
