/// How a model's layers, tokens, caches and experts are spread over GPUs, beside tensor parallelism.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "hwmodels/node_spec.h"

namespace kvcast {

/// The layers [first, last) of a pipeline stage, and what it has beside them.
struct LayerSlice {
  std::size_t first = 0;
  std::size_t last = std::numeric_limits<std::size_t>::max();
  bool embeds = true;   // looks tokens up
  bool samples = true;  // has the LM head
};

/// How ranks that hold whole experts get the tokens that chose them, and give results back.
enum class ExpertExchange : std::uint8_t {
  gather,      // all tokens to all ranks, results summed and scattered (vLLM: allgather_reducescatter)
  all_to_all,  // each token to the ranks of its experts, once to each (DeepEP)
};

/// Which tokens of a prompt a context-parallel rank computes.
enum class RingOrder : std::uint8_t {
  zigzag,      // two of 2c pieces, one from each end: every rank has as many query-key pairs
  contiguous,  // one of c pieces: the last rank has nearly twice the mean
};

/// Which operators a timer has.
enum class OpChoice : std::uint8_t { all, computing, communicating };

struct SpreadOptions {
  LayerSlice slice;
  std::int64_t data_parallel = 1;            // ranks with an own scheduler and cache; they share the experts
  std::int64_t context_parallel = 1;         // ranks that share a prompt's tokens and everybody's cache
  std::int64_t decode_context_parallel = 1;  // of the tensor-parallel ranks: parts of the cache
  bool expert_parallel = false;              // whole experts over all ranks that share them
  double expert_skew = 1;                    // the busiest rank's tokens, relative to the mean
  ExpertExchange exchange = ExpertExchange::gather;
  RingOrder ring = RingOrder::zigzag;
  OpChoice ops = OpChoice::all;
  std::optional<NodeSpec> node;  // none: the GPU's default

  /// Ranks that whole experts are spread over.
  [[nodiscard]] std::int64_t expert_ranks(std::int64_t tensor_parallel) const {
    return expert_parallel ? tensor_parallel * data_parallel * context_parallel : 1;
  }
  /// Whether tokens must travel to experts: every tensor-parallel rank has those of its own group.
  [[nodiscard]] bool exchanges() const { return expert_parallel && data_parallel * context_parallel > 1; }
};

}  // namespace kvcast
