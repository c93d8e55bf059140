/// Attention of one prompt over context-parallel ranks in a ring: each keeps its queries, keys and values go
/// round.
#pragma once

#include <cstdint>

#include "hwmodels/spread_options.h"

namespace kvcast {

/// A layer's attention to `tokens` tokens under the causal mask.
struct RingShape {
  std::int64_t ranks = 1;
  double compute = 0;   // time of all its query-key pairs on one GPU
  double transfer = 0;  // time in which one rank's keys and values reach the next
};

/// Share of the query-key pairs that the busiest rank computes, of `ranks` ranks: 1 / c zigzag, (2 c - 1) /
/// c^2 contiguous.
[[nodiscard]] double ring_share(std::int64_t ranks, RingOrder order);

/// The time of a layer. In each of c rounds a rank attends to one rank's keys while it passes them on; c - 1
/// rounds have a transfer. Zigzag: a round is 1 / c^2 of the pairs on every rank, so the layer takes
///   compute / c^2 + (c - 1) max(compute / c^2, transfer).
/// Contiguous: the first round is the rank's own triangle, the others are whole squares on the last rank:
///   max(compute / c^2, transfer) + (c - 2) max(2 compute / c^2, transfer) + 2 compute / c^2.
/// Source: Liu, Zaharia & Abbeel 2023 (ring attention); Brandon et al. 2023 (striped), Llama 3 report 2024,
/// sec. 3.3.2 (two chunks a rank).
[[nodiscard]] double ring_time(const RingShape& shape, RingOrder order);

/// Bytes of keys and values on one rank while a prompt is computed: its own, those that it attends to and
/// those on their way in. \param bytes of the whole prompt, one layer
[[nodiscard]] double ring_kv_bytes(double bytes, std::int64_t ranks);

}  // namespace kvcast
