/// A replica that serves requests together with another: one computes the prompt, the other goes on with its
/// KV.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/engine/fine_instant.h"
#include "sim/request.h"

namespace kvcast {

struct EngineSetup;

/// What the replica that computes a prompt knows of the request when it has.
struct Prefilled {
  RequestId id{};
  ReplicaId replica{};
  FineInstant at;  // the end of its last step there
  Instant received, scheduled;
  Tokens cached;  // prompt tokens from its prefix cache
  std::int32_t preemptions = 0;
  Instant first_token = kNever;  // at the client, where this side tells it
};

/// A request whose room is taken where it will decode.
struct Reserved {
  RequestId id{};
  std::uint32_t seq = 0;
  Tokens cached;  // of its prompt, found in the prefix cache there
};

/// A part of a prompt that a step computes.
struct Streamed {
  RequestId id{};
  FineInstant begin, end;  // of the step
  Tokens until;            // of the prompt, with KV behind the step
  Tokens before;           // with KV before it
};

/// When a request's KV went from one replica to the other.
struct KvTransfer {
  FineInstant begin, end;
  Tokens tokens;
  std::int64_t bytes = 0;
};

/// Contract: the side of an Engine that prompts and KV go through. Roles (EngineSetup::role) decide which
/// half is used.
/// - enqueue_awaiting() adds a request whose KV will come; when there is room for it the engine takes it, and
///   take_reserved() tells after a plan().
/// - receive() ends its wait, release() gives back what is held for a request that has gone: both act as an
/// arrival at
///   `now` does (Engine::cut(), plan()).
class KvPeer {
 public:
  virtual ~KvPeer() = default;
  /// \param first_seen nobody else has counted its arrival
  [[nodiscard]] virtual bool enqueue_awaiting(Request&& request, bool first_seen) = 0;
  /// Computes a prompt for a request that another replica answers for.
  [[nodiscard]] virtual bool enqueue_for(Request&& request) = 0;
  [[nodiscard]] virtual std::vector<Reserved> take_reserved() = 0;
  /// Prompts that the last complete() has finished, for another replica to go on with, in order.
  [[nodiscard]] virtual const std::vector<Prefilled>& prefilled() const = 0;
  /// Parts of prompts in the steps begun since the last call.
  [[nodiscard]] virtual std::vector<Streamed> take_streamed() = 0;
  virtual void receive(std::uint32_t seq, const Prefilled& prefilled, const KvTransfer& transfer) = 0;
  virtual void release(RequestId id, FineInstant now) = 0;
};

/// Whether nothing is left to do once the first token is there.
[[nodiscard]] bool ends_with_first_token(const Request& request, const EngineSetup& engine);

}  // namespace kvcast
