/// What stands between a client and the engine: HTTP, tokenizer, detokenizer, streaming. It takes time that
/// users see and the GPU does not.
#pragma once

#include "sim/cluster/cluster.h"

namespace kvcast {

/// Fixed times of one request's way in and out. They do not queue: servers run this work beside the engine.
struct FrontendDelays {
  Duration before{};               // from the client's send to the engine's queue, plus
  FineDuration per_input_token{};  // for each prompt token (tokenizer, request parsing)
  Duration after{};                // from a token's step to the client

  [[nodiscard]] bool none() const {
    return before == Duration{} && per_input_token == FineDuration{} && after == Duration{};
  }
  /// From the send of a prompt of so many tokens to its arrival at the engine, rounded down to the
  /// nanosecond.
  [[nodiscard]] Duration before_engine(Tokens input) const;
};

/// Sources whose requests reach the engine that much later than their clients sent them, in order of their
/// arrival at the engine (a short prompt may overtake a long one), with Request::delay_before set.
[[nodiscard]] SourceMaker with_frontend(SourceMaker source, const FrontendDelays& delays);

}  // namespace kvcast
