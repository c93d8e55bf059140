/// Nodes: which link a group of a replica's ranks talks over (configs/nodes).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/collectives.h"
#include "hwmodels/gpu_spec.h"
#include "sim/base/config.h"

namespace kvcast {

/// How the GPUs of a node reach each other.
enum class Fabric : std::uint8_t {
  nvswitch,  // any pair at the link's full rate
  mesh,      // a link of its own to every other GPU: the rate is shared out
  pairs,     // bridges between two GPUs; others over PCIe
  pcie,      // over PCIe switches and the host
};
[[nodiscard]] std::string_view to_string(Fabric fabric);

struct NodeSpec {
  std::string name;                   // "hgx-h100"
  std::string title;                  // for outputs
  std::vector<std::string> for_gpus;  // of the catalogue, whose default it is
  std::int64_t gpus = 8;
  Fabric fabric = Fabric::nvswitch;
  double link_efficiency = 0.8;  // share of the GPU's link rate that libraries plan with
  bool multicast = false;        // the switch reduces
  std::int64_t gpus_per_pcie_switch = 2;
  double nics = 0;              // of the whole node
  double nic_gb_per_s = 0;      // of one NIC, one direction
  double nic_latency_us = 0;    // from GPU to GPU
  bool rails = true;            // NICs of equal place in all nodes share a switch
  double oversubscription = 1;  // of the switches above, where traffic leaves its rail
  std::vector<std::string> sources;

  /// Rate of one GPU's share of the NICs.
  [[nodiscard]] double nic_gb_per_s_each() const { return nic_gb_per_s * nics / static_cast<double>(gpus); }
};

/// All entries, in order of name.
[[nodiscard]] std::vector<NodeSpec> list_nodes();

/// cluster.node: a catalogue name, or a mapping whose known `base` gives what it leaves out. Absent: the
/// catalogue's node for the GPU, else one by the name of its link (eight GPUs, no NICs).
/// \throws InputError at the offending key
[[nodiscard]] NodeSpec read_node(Config& cluster, std::string_view key, const GpuSpec& gpu);
[[nodiscard]] NodeSpec default_node(const GpuSpec& gpu);

/// Ranks at equal distances: ranks 0, stride, 2 stride, ... of a replica whose ranks fill its nodes in order.
struct RankGroup {
  std::int64_t size = 1;
  std::int64_t stride = 1;
};

/// What the group talks over. \throws InputError where it spans nodes without NICs, or a GPU without a link
[[nodiscard]] GroupLink group_link(const NodeSpec& node, const GpuSpec& gpu, const RankGroup& group);

/// How one replica's GPUs are divided: data-parallel ranks of pipeline stages of context-parallel ranks of
/// tensor-parallel ranks, the last numbered first (vLLM's order).
struct ParallelShape {
  std::int64_t tensor = 1;
  std::int64_t pipeline = 1;
  std::int64_t data = 1;     // ranks with an own scheduler and cache that share the experts
  std::int64_t context = 1;  // ranks that share a prompt's tokens
  [[nodiscard]] std::int64_t gpus() const { return tensor * pipeline * data * context; }
  friend bool operator==(const ParallelShape&, const ParallelShape&) = default;
};

[[nodiscard]] std::string describe(const ParallelShape& shape);

/// Groups that talk at every layer must fill their node or fit several times into it. Empty: the shape fits;
/// else the reason and the nearest shape that fits.
[[nodiscard]] std::string why_not(const NodeSpec& node, const ParallelShape& shape);

}  // namespace kvcast
