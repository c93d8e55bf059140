/// What is timed: a kernel at one shape, by name. Devices turn a case into a job.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace kvcast::bench {

/// One line of a suite. The shape's members are what the record says, in this order:
///   gemm                      m, n, k
///   decode_attention          heads, kv_heads, head_size, page, batch, context_sum, ragged, q_len, window
///   mla_decode                heads, kv_heads (1), head_size (576), page, batch, context_sum, q_len
///   prefill_attention         heads, kv_heads, head_size, page, batch, q_len, past
///   mla_prefill               heads, kv_heads (1), head_size (576), page, batch, q_len, past
///   append                    heads, kv_heads, head_size, page, tokens
///   rms_norm, silu_mul, embed rows, width
///   sample                    rows, vocabulary
///   copy_blocks, gather_blocks, scatter_blocks, swap_out, swap_in   blocks, block_bytes
///   swap_duplex               blocks, block_bytes: out and in at once
///   overlap                   part (0: both at once, 1, 2: the first, the second alone), batch, context_sum,
///   blocks, block_bytes;
///                             the variant says what runs beside what
///   launch                    kernels: empty ones in a row
///   memory, pcie              bytes (pcie "duplex": each way)
///   accumulate_scores         heads, kv_heads, head_size, page, batch, context_sum
struct Case {
  std::string op;
  std::string variant = {};  // of the kernel: "greedy", "dma"; may be empty
  std::string dtype = {};    // of the operands; of the cache for attention and append
  std::vector<std::pair<std::string, std::int64_t>> shape = {};
  double bytes = 0;  // moved to and from memory at least
  double flop = 0;
  bool sentinel = false;

  /// \returns the member, or 0 where there is none
  [[nodiscard]] std::int64_t get(const std::string& member) const;
  /// The record's first members as JSON, up to and with the dtype: equal for equal cases.
  [[nodiscard]] std::string identity() const;
};

/// A model's part that decides the shapes of its kernels.
struct ModelShape {
  std::int64_t hidden = 0, heads = 0, kv_heads = 0, head_size = 0, intermediate = 0, vocabulary = 0;
};

enum class Suite : std::uint8_t { quick, full };

/// The cases of a device, in a fixed order: those of the small model that the CPU backend runs, and in the
/// full suite two larger ones.
[[nodiscard]] std::vector<Case> cpu_suite(Suite suite);
/// Fixed cases that are measured again and again, to tell a change of the machine from one of a kernel.
[[nodiscard]] std::vector<Case> cpu_sentinels();

}  // namespace kvcast::bench
