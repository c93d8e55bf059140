/// The operators of one engine step as integer-coefficient functions of a StepShape: what the roofline timer
/// evaluates.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "hwmodels/collectives.h"
#include "hwmodels/gpu_spec.h"
#include "hwmodels/model_spec.h"
#include "hwmodels/roofline_timer.h"
#include "sim/step_timer.h"

namespace kvcast {

/// What an operator's cost grows with. Every count is one that never falls when a count of the shape rises.
enum class OpRows : std::uint8_t {
  fixed,           // once per step
  tokens,          // rows of the GEMMs
  sampled,         // rows of the LM head
  decode_context,  // tokens attended to by decoding sequences, bounded by a window per sequence
  prefill_pairs,   // query-key pairs of prompt chunks, bounded by a window per query
  state_updates,   // sequences whose recurrent state is read and written
  latent_rows,     // rows of MLA's up-projection: decoding sequences, and the whole context of prompt chunks
  group_tokens,    // tokens of all ranks that share the experts
  decode_seqs,     // decoding sequences
  cached_context,  // tokens of prompt chunks' contexts that earlier steps left
};

/// What kind of kernel an operator runs as: what tables of kernel timings are looked up by.
enum class OpKind : std::uint8_t {
  elementwise,
  gemm,
  attention,
  latent_attention,
  experts,
  recurrent,
  collective,
  sort,  // of logits
  host
};

/// The kernel that one layer's operator runs, on one rank.
struct OpForm {
  OpKind kind = OpKind::elementwise;
  std::int64_t layers = 1;   // operators of equal form that were merged
  std::int64_t kernels = 1;  // launches of one layer's operator
  bool in_experts = false;   // runs inside the fused kernel of the layer's experts
  bool in_latent = false;    // is a part of the module that DeepSeek's attention is timed as
  WeightFormat format = WeightFormat::none;
  std::int64_t in = 0, out = 0;  // of a GEMM; of experts, the width that they see and their inner one
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;  // of attention
  std::int64_t key_heads = 0, value_heads = 0;         // of a gated delta net; 0: another kind of state
  CollectiveOp collective = CollectiveOp::all_reduce;
  std::int64_t ranks = 1;          // of a collective; of experts, those that hold whole ones
  bool across_nodes = false;       // of a collective
  std::int64_t bytes_row = 0;      // of a collective, for each row
  double skew = 1;                 // of experts: the busiest rank's rows, relative to the mean
  std::int64_t context_parts = 1;  // of attention over a cache: ranks that have a part of it each
  std::int64_t kv_millibytes = 0;  // of attention, thousandths of a byte a value; 0: as kv_cache_dtype says

  friend bool operator==(const OpForm&, const OpForm&) = default;
};

/// A prompt's attention in a ring of ranks (ring_attention.h): compute_row is that of all pairs on one GPU.
struct RingCost {
  std::int64_t ranks = 1;
  RingOrder order = RingOrder::zigzag;
  std::int64_t transfer_fixed = 0, transfer_row = 0;  // of a round, by tokens of context; 2^-20 ns

  /// \param compute of all pairs
  template <class Int>
  [[nodiscard]] Int time(Int compute, Int transfer) const {
    const Int round = compute / (ranks * ranks);
    if (order == RingOrder::zigzag) return round + (ranks - 1) * std::max<Int>(round, transfer);
    return std::max<Int>(round, transfer) + (ranks - 2) * std::max<Int>(2 * round, transfer) + 2 * round;
  }
};

/// One way of several to do a collective.
struct LinkWay {
  std::int64_t fixed = 0, row = 0;  // 2^-20 ns
  friend bool operator==(const LinkWay&, const LinkWay&) = default;
};

/// One operator of every layer that has it. Time in units of 2^-20 ns; memory and compute overlap, so that an
/// operator takes the longer. memory(shape) = memory_fixed + memory_row * rows + memory_side * side;
/// compute(shape) = compute_row * rows. For decode_context, side counts decoding sequences (queries and
/// outputs). For prefill_pairs, memory_row multiplies the context that chunks read instead, and side their
/// tokens. Experts replace memory_fixed by the expected number of distinct experts.
struct Op {
  std::string name;
  OpRows rows = OpRows::tokens;
  OpBound memory_bound = OpBound::memory;  // link for all-reduces, host for the engine's own time
  std::int64_t window = 0;                 // tokens per sequence; 0: unbounded
  std::int64_t experts = 0;                // of a MoE layer; 0: none
  std::int64_t top_k = 0;
  std::int64_t memory_fixed = 0, memory_row = 0, memory_side = 0, compute_row = 0;  // 2^-20 ns
  std::int64_t bytes_fixed = 0, bytes_row = 0, bytes_side = 0, flop_row = 0;
  double flop_per_s = 0;      // rate of the operator's dtype
  std::vector<LinkWay> ways;  // of a collective: its time is that of the fastest, in place of memory_*
  RingCost ring;
  OpForm form;
};

/// All operators of a step, equal ones of several layers merged.
/// \throws InputError where the model does not divide over the ranks
[[nodiscard]] std::vector<Op> make_roofline_ops(const ModelSpec& model, const GpuSpec& gpu,
                                                const TimerOptions& options);

}  // namespace kvcast
