#include "hwmodels/collectives.h"

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr double kUsPerGb = 1e-3;  // microseconds a byte at 1 GB/s

// NCCL's model, microseconds: what a call costs before its first hop, and the hops inside a node.
constexpr double kBaseLl = 6.6, kBaseLl128 = 14.0, kBaseSimple = 8.4, kBaseNvls = 23.0;
// A hop of each protocol, relative to that of LL.
constexpr double kHopLl128 = 1.9 / 0.6, kHopSimple = 3.4 / 0.6;
constexpr double kRateLl = 0.5, kRateLl128 = 120.0 / 128.0, kRateNvls = 0.85;
constexpr double kLlMaxGb = 141;  // LL's limit in one node of Hopper GPUs
// Kernels that read their peers' memory: a launch inside a CUDA graph, and barriers of a flag there and one
// back.
constexpr double kLaunchUs = 1.8;
constexpr double kBarrierHops = 2;
constexpr std::int64_t kPeerRanksMax = 8;

/// Hops of a ring, and how often a byte crosses a rank's link.
struct Steps {
  double hops = 0;
  double crossings = 0;
};

Steps ring_steps(CollectiveOp op, double ranks) {
  const double once = (ranks - 1) / ranks;
  return op == CollectiveOp::all_reduce ? Steps{2 * (ranks - 1), 2 * once} : Steps{ranks - 1, once};
}

CollectiveLine line(CollectiveAlgorithm algorithm, double fixed_us, double crossings, double gb_per_s) {
  return {algorithm, fixed_us, crossings * kUsPerGb / gb_per_s};
}

void add_rings(CollectiveOp op, double ranks, const GroupLink& link, std::vector<CollectiveLine>& lines) {
  const auto [hops, crossings] = ring_steps(op, ranks);
  const double rate = link.gb_per_s * link.efficiency;
  lines.push_back(line(CollectiveAlgorithm::ring_ll, kBaseLl + hops * link.latency_us, crossings,
                       std::min(rate * kRateLl, kLlMaxGb)));
  lines.push_back(line(CollectiveAlgorithm::ring_ll128, kBaseLl128 + hops * link.latency_us * kHopLl128,
                       crossings, rate * kRateLl128));
  lines.push_back(line(CollectiveAlgorithm::ring_simple, kBaseSimple + hops * link.latency_us * kHopSimple,
                       crossings, rate));
}

void add_peer_kernels(CollectiveOp op, double ranks, const GroupLink& link,
                      std::vector<CollectiveLine>& lines) {
  const double rate = link.gb_per_s * link.efficiency;
  const double barrier = kBarrierHops * link.latency_us;
  const double once = (ranks - 1) / ranks;
  if (op == CollectiveOp::all_reduce) {
    lines.push_back(line(CollectiveAlgorithm::one_shot, kLaunchUs + 2 * barrier, ranks - 1, rate));
    lines.push_back(line(CollectiveAlgorithm::two_shot, kLaunchUs + 3 * barrier, 2 * once, rate));
  }
}

/// Inside one node.
std::vector<CollectiveLine> local_lines(CollectiveOp op, std::int64_t ranks, const GroupLink& link) {
  std::vector<CollectiveLine> lines;
  const auto n = static_cast<double>(ranks);
  if (op == CollectiveOp::send) {
    lines.push_back(line(CollectiveAlgorithm::pairwise, kBaseLl + link.latency_us, 1,
                         link.pair_gb_per_s * link.efficiency));
    return lines;
  }
  if (op == CollectiveOp::all_to_all) {
    lines.push_back(line(CollectiveAlgorithm::pairwise, kBaseLl + link.latency_us, (n - 1) / n,
                         link.all_to_all_gb_per_s * link.efficiency));
    return lines;
  }
  if (link.peer_memory && ranks <= kPeerRanksMax) add_peer_kernels(op, n, link, lines);
  add_rings(op, n, link, lines);
  if (link.multicast && op == CollectiveOp::all_reduce && ranks > 2) {
    lines.push_back(
        line(CollectiveAlgorithm::nvls, kBaseNvls, 1 + 1 / n, link.gb_per_s * link.efficiency * kRateNvls));
  }
  return lines;
}

/// Over nodes: what crosses the NICs is each GPU's part, all NICs at once; inside, the node's link.
std::vector<CollectiveLine> node_lines(CollectiveOp op, std::int64_t ranks, const GroupLink& link) {
  KVCAST_CHECK(link.nic_gb_per_s > 0);
  const auto nodes = static_cast<double>(link.nodes);
  const std::int64_t local = (ranks + link.nodes - 1) / link.nodes;
  std::vector<CollectiveLine> lines;
  if (op == CollectiveOp::send) {
    lines.push_back(line(CollectiveAlgorithm::pairwise, kBaseLl + link.nic_latency_us, 1, link.nic_gb_per_s));
    return lines;
  }
  if (op == CollectiveOp::all_to_all) {  // 1 - 1/nodes of the bytes leave the node
    const double inside = (1 / nodes) / (link.all_to_all_gb_per_s * link.efficiency);
    const double outside = (1 - 1 / nodes) / link.nic_all_to_all_gb_per_s;
    lines.push_back(
        {CollectiveAlgorithm::pairwise, kBaseLl + link.nic_latency_us, kUsPerGb * std::max(inside, outside)});
    return lines;
  }
  const auto [hops, crossings] = ring_steps(op, nodes);
  const double share = 1.0 / static_cast<double>(local);  // of the bytes that one GPU's NIC carries
  double fixed_inside = 0, per_byte_inside = 0;
  if (local > 1) {
    const double rate = link.gb_per_s * link.efficiency;
    const auto inside = ring_steps(op, static_cast<double>(local));
    fixed_inside = inside.hops * link.latency_us;
    per_byte_inside = inside.crossings * kUsPerGb / rate;
  }
  lines.push_back({CollectiveAlgorithm::hierarchical, kBaseLl + fixed_inside + hops * link.nic_latency_us,
                   per_byte_inside + share * crossings * kUsPerGb / (link.nic_gb_per_s * kRateLl)});
  lines.push_back({CollectiveAlgorithm::hierarchical,
                   kBaseSimple + (fixed_inside + hops * link.nic_latency_us) * kHopSimple,
                   per_byte_inside + share * crossings * kUsPerGb / link.nic_gb_per_s});
  if (op == CollectiveOp::all_reduce) {  // up and down a tree of nodes
    const double depth = 2 * std::ceil(std::log2(nodes));
    lines.push_back({CollectiveAlgorithm::tree_ll, kBaseLl + fixed_inside + depth * link.nic_latency_us,
                     per_byte_inside + share * 2 * kUsPerGb / (link.nic_gb_per_s * kRateLl)});
    lines.push_back({CollectiveAlgorithm::tree_simple,
                     kBaseSimple + (fixed_inside + depth * link.nic_latency_us) * kHopSimple,
                     per_byte_inside + share * 2 * kUsPerGb / link.nic_gb_per_s});
  }
  return lines;
}

}  // namespace

std::string_view to_string(CollectiveOp op) {
  switch (op) {
    case CollectiveOp::all_reduce:
      return "all_reduce";
    case CollectiveOp::all_gather:
      return "all_gather";
    case CollectiveOp::reduce_scatter:
      return "reduce_scatter";
    case CollectiveOp::all_to_all:
      return "alltoall";
    case CollectiveOp::send:
      return "send";
  }
  return "";
}

std::string_view to_string(CollectiveAlgorithm algorithm) {
  switch (algorithm) {
    case CollectiveAlgorithm::one_shot:
      return "one-shot";
    case CollectiveAlgorithm::two_shot:
      return "two-shot";
    case CollectiveAlgorithm::ring_ll:
      return "ring (LL)";
    case CollectiveAlgorithm::ring_ll128:
      return "ring (LL128)";
    case CollectiveAlgorithm::ring_simple:
      return "ring";
    case CollectiveAlgorithm::tree_ll:
      return "tree (LL)";
    case CollectiveAlgorithm::tree_simple:
      return "tree";
    case CollectiveAlgorithm::nvls:
      return "NVLS";
    case CollectiveAlgorithm::pairwise:
      return "pairwise";
    case CollectiveAlgorithm::hierarchical:
      return "hierarchical ring";
  }
  return "";
}

std::vector<CollectiveLine> collective_lines(CollectiveOp op, std::int64_t ranks, const GroupLink& link) {
  KVCAST_CHECK(ranks >= 1);
  if (ranks == 1) return {};
  return link.nodes > 1 ? node_lines(op, ranks, link) : local_lines(op, ranks, link);
}

CollectiveTime collective_time(CollectiveOp op, std::int64_t ranks, double bytes, const GroupLink& link) {
  CollectiveTime best;
  bool first = true;
  for (const CollectiveLine& way : collective_lines(op, ranks, link)) {
    const double us = way.at(bytes);
    if (!first && us >= best.us) continue;
    best = {way.algorithm, us};
    first = false;
  }
  return best;
}

std::vector<CollectiveLine> lower_envelope(std::vector<CollectiveLine> lines) {
  std::stable_sort(lines.begin(), lines.end(), [](const CollectiveLine& a, const CollectiveLine& b) {
    return a.fixed_us != b.fixed_us ? a.fixed_us < b.fixed_us : a.us_per_byte < b.us_per_byte;
  });
  std::vector<CollectiveLine> lower;
  const auto crossing = [](const CollectiveLine& a, const CollectiveLine& b) {
    return (b.fixed_us - a.fixed_us) / (a.us_per_byte - b.us_per_byte);
  };
  for (const CollectiveLine& next : lines) {
    if (!lower.empty() && next.us_per_byte >= lower.back().us_per_byte) continue;
    while (lower.size() >= 2 &&
           crossing(lower[lower.size() - 2], next) <= crossing(lower[lower.size() - 2], lower.back()))
      lower.pop_back();
    lower.push_back(next);
  }
  return lower;
}

}  // namespace kvcast
