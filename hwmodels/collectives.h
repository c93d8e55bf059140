/// What collectives between GPUs take, by algorithm, where nobody has timed them: links' rates and latencies
/// in the forms of the libraries that run them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvcast {

/// Sizes are bytes: of all_reduce, a rank's whole buffer; of all_gather the result, of reduce_scatter the
/// input; of all_to_all what one rank holds for all ranks, itself included; of send the message.
enum class CollectiveOp : std::uint8_t { all_reduce, all_gather, reduce_scatter, all_to_all, send };
/// As kernel tables name them: "all_reduce", "all_gather", "reduce_scatter", "alltoall", "send".
[[nodiscard]] std::string_view to_string(CollectiveOp op);

enum class CollectiveAlgorithm : std::uint8_t {
  one_shot,      // every rank reads every other's whole buffer from its memory
  two_shot,      // every rank reduces its part of all buffers, then reads the others' parts
  ring_ll,       // a ring of flagged 8-byte words: half the rate, the shortest hops
  ring_ll128,    // flagged 128-byte lines
  ring_simple,   // a ring of buffers
  tree_ll,       // a double binary tree over nodes: log2 hops
  tree_simple,   // the same with buffers
  nvls,          // the switch reduces and multicasts (NVLink SHARP)
  pairwise,      // messages between pairs at once: all_to_all, send
  hierarchical,  // inside each node, then between nodes on every GPU's own NIC, then inside again
};
[[nodiscard]] std::string_view to_string(CollectiveAlgorithm algorithm);

/// What a group of ranks talks over.
struct GroupLink {
  double gb_per_s = 0;             // datasheet's rate, one direction, one GPU to its neighbours in a ring
  double all_to_all_gb_per_s = 0;  // the same to all peers at once
  double pair_gb_per_s = 0;        // to one peer
  double efficiency = 1;           // share of these that libraries plan with
  double latency_us = 0;           // one hop
  bool peer_memory = false;        // kernels may read the peers' memory
  bool multicast = false;          // the switch reduces
  /// Beyond one node; 1 node: these are not read.
  std::int64_t nodes = 1;
  double nic_gb_per_s = 0;             // of each GPU, one direction, to its like in another node
  double nic_all_to_all_gb_per_s = 0;  // to all GPUs of other nodes, oversubscription counted
  double nic_latency_us = 0;
  std::string name;  // "NVLink, 8 GPUs of one switch": for outputs
};

/// One way to do a collective: fixed_us + bytes * us_per_byte.
struct CollectiveLine {
  CollectiveAlgorithm algorithm = CollectiveAlgorithm::ring_ll;
  double fixed_us = 0;
  double us_per_byte = 0;
  [[nodiscard]] double at(double bytes) const { return fixed_us + bytes * us_per_byte; }
};

/// The ways that a group has, in the order of the enumeration. One rank: none, nothing is to be done.
///
/// Rings and trees: NCCL's own model (src/graph/tuning.cc, 2.29: baseLat, hwLat, Hopper's limit of LL),
/// steps(n) hops and steps(n) / n of the bytes over the link: 2 (n - 1) steps of an all-reduce, n - 1 of the
/// others (Thakur, Rabenseifner & Gropp 2005). NVLS: 1 + 1/n of the bytes each way at 85 % (the same file).
/// One-shot, two-shot: a launch, and barriers of two hops before, between and behind; (n - 1) and 2 (n - 1) /
/// n of the bytes (vLLM csrc/custom_all_reduce.cuh).
[[nodiscard]] std::vector<CollectiveLine> collective_lines(CollectiveOp op, std::int64_t ranks,
                                                           const GroupLink& link);

/// The fastest way for a message.
struct CollectiveTime {
  CollectiveAlgorithm algorithm = CollectiveAlgorithm::ring_ll;
  double us = 0;
};
[[nodiscard]] CollectiveTime collective_time(CollectiveOp op, std::int64_t ranks, double bytes,
                                             const GroupLink& link);

/// The lines that are the fastest somewhere: those of the lower envelope, by ascending fixed_us.
[[nodiscard]] std::vector<CollectiveLine> lower_envelope(std::vector<CollectiveLine> lines);

}  // namespace kvcast
