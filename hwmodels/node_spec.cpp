#include "hwmodels/node_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/embedded.h"
#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr std::string_view kFolder = "configs/nodes/";
constexpr std::string_view kSuffix = ".yaml";
constexpr std::int64_t kGpusMax = 1024;

Fabric read_fabric(Config& config, Fabric otherwise) {
  const std::string name =
      config.get_choice("fabric", {"nvswitch", "mesh", "pairs", "pcie"}, std::string(to_string(otherwise)));
  for (const Fabric fabric : {Fabric::nvswitch, Fabric::mesh, Fabric::pairs}) {
    if (name == to_string(fabric)) return fabric;
  }
  return Fabric::pcie;
}

void read_mapping(Config& config, NodeSpec& node) {
  node.title = config.get_string("title", node.title);
  node.gpus = config.get_int("gpus", {1, kGpusMax}, node.gpus);
  node.fabric = read_fabric(config, node.fabric);
  node.link_efficiency = config.get_real("link_efficiency", {0.01, 1}, node.link_efficiency);
  node.multicast = config.get_bool("multicast", node.multicast);
  node.gpus_per_pcie_switch =
      config.get_int("gpus_per_pcie_switch", {1, kGpusMax}, node.gpus_per_pcie_switch);
  node.nics = config.get_real("nics", {0, 1024}, node.nics);
  node.nic_gb_per_s = config.get_real("nic_gb_per_s", {0, 1e5}, node.nic_gb_per_s);
  node.nic_latency_us = config.get_real("nic_latency_us", {0, 1e6}, node.nic_latency_us);
  node.rails = config.get_bool("rails", node.rails);
  node.oversubscription = config.get_real("oversubscription", {1, 1000}, node.oversubscription);
  if (config.has("sources")) node.sources = config.get_strings("sources");
}

NodeSpec read_entry(const EmbeddedFile& file) {
  Config config = Config::from_text(file.text, std::string(file.path));
  NodeSpec node;
  node.name =
      std::string(file.path.substr(kFolder.size(), file.path.size() - kFolder.size() - kSuffix.size()));
  if (config.has("for_gpus")) node.for_gpus = config.get_strings("for_gpus");
  read_mapping(config, node);
  config.finish();
  return node;
}

NodeSpec find_node(std::string_view name, const std::string& where) {
  std::vector<std::string> names;
  for (NodeSpec& node : list_nodes()) {
    if (node.name == name) return node;
    names.push_back(node.name);
  }
  throw InputError(where + ": unknown node \"" + std::string(name) + "\"" + known_names(name, names));
}

/// GPUs of one node that the group has, and the nodes that it spans.
struct Spread {
  std::int64_t nodes = 1;
  std::int64_t local = 1;
};

Spread spread_of(const NodeSpec& node, const RankGroup& group) {
  if ((group.size - 1) * group.stride < node.gpus) return {1, group.size};
  if (group.stride >= node.gpus) return {group.size, 1};
  const std::int64_t local = std::max<std::int64_t>(node.gpus / group.stride, 1);
  return {ceil_div(group.size, local), local};
}

void fill_inside(const NodeSpec& node, const GpuSpec& gpu, std::int64_t local, GroupLink& link) {
  link.efficiency = node.link_efficiency;
  link.latency_us = gpu.link_latency_us;
  link.gb_per_s = link.pair_gb_per_s = link.all_to_all_gb_per_s = gpu.link_gb_per_s;
  const auto members = static_cast<double>(local);
  switch (node.fabric) {
    case Fabric::nvswitch:
      link.peer_memory = true;
      link.multicast = node.multicast;
      link.name = fmt::format("{} of one switch", gpu.link);
      break;
    case Fabric::mesh:  // every pair has its own part of the links
      link.pair_gb_per_s = gpu.link_gb_per_s / static_cast<double>(std::max<std::int64_t>(node.gpus - 1, 1));
      link.gb_per_s = link.all_to_all_gb_per_s = link.pair_gb_per_s * (members - 1);
      link.peer_memory = true;
      link.name = fmt::format("{}, {} pairs", gpu.link, local * (local - 1) / 2);
      break;
    case Fabric::pairs:
      if (local <= 2) {
        link.peer_memory = true;
        link.name = fmt::format("{} between two GPUs", gpu.link);
        break;
      }
      link.gb_per_s = link.pair_gb_per_s = gpu.pcie_gb_per_s;
      link.all_to_all_gb_per_s = gpu.pcie_gb_per_s / 2;  // two GPUs of a pair share the way out
      link.name = "PCIe between pairs";
      break;
    case Fabric::pcie: {
      // A ring crosses a switch's uplink once each way; with everybody talking to everybody its GPUs share
      // it.
      const std::int64_t sharing = local > node.gpus_per_pcie_switch ? node.gpus_per_pcie_switch : 1;
      link.all_to_all_gb_per_s = gpu.link_gb_per_s / static_cast<double>(sharing);
      link.peer_memory = local <= 2;
      link.name = local > node.gpus_per_pcie_switch ? "PCIe, across switches" : "PCIe, one switch";
      break;
    }
  }
}

}  // namespace

std::string_view to_string(Fabric fabric) {
  switch (fabric) {
    case Fabric::nvswitch:
      return "nvswitch";
    case Fabric::mesh:
      return "mesh";
    case Fabric::pairs:
      return "pairs";
    case Fabric::pcie:
      return "pcie";
  }
  return "";
}

std::vector<NodeSpec> list_nodes() {
  std::vector<NodeSpec> nodes;
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.path.starts_with(kFolder) && file.path.ends_with(kSuffix)) nodes.push_back(read_entry(file));
  }
  std::sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return nodes;
}

NodeSpec default_node(const GpuSpec& gpu) {
  for (NodeSpec& node : list_nodes()) {
    if (std::find(node.for_gpus.begin(), node.for_gpus.end(), gpu.name) != node.for_gpus.end()) return node;
  }
  NodeSpec node;
  node.name = "generic";
  node.fabric = gpu.link.starts_with("nvlink") ? Fabric::nvswitch : Fabric::pcie;
  node.title = fmt::format("{} GPUs over {}, no network", node.gpus, gpu.link.empty() ? "PCIe" : gpu.link);
  return node;
}

NodeSpec read_node(Config& cluster, std::string_view key, const GpuSpec& gpu) {
  if (!cluster.has(key)) return default_node(gpu);
  if (!cluster.is_mapping(key)) return find_node(cluster.get_string(key), cluster.where(key));
  Config config = cluster.child(key);
  NodeSpec node =
      config.has("base") ? find_node(config.get_string("base"), config.where("base")) : default_node(gpu);
  node.name = "custom";
  node.title = fmt::format("{}, changed", node.title);
  read_mapping(config, node);
  if (node.nics > 0 && node.nic_gb_per_s <= 0)
    config.fail("nic_gb_per_s", "must be given where there are nics");
  return node;
}

GroupLink group_link(const NodeSpec& node, const GpuSpec& gpu, const RankGroup& group) {
  GroupLink link;
  if (group.size <= 1) return link;
  if (gpu.link_gb_per_s <= 0)
    throw InputError("cluster.gpu: " + gpu.name +
                     " has no link_gb_per_s, which the traffic between its ranks needs");
  const Spread spread = spread_of(node, group);
  fill_inside(node, gpu, spread.local, link);
  if (spread.nodes == 1) return link;
  if (node.nics <= 0) {
    throw InputError(fmt::format(
        "cluster.node: {} ranks do not fit into one node of {} GPUs ({}), and it has no NICs to others: give "
        "cluster.node: {{nics: ..., nic_gb_per_s: ..., nic_latency_us: ...}}",
        group.size * group.stride, node.gpus, node.title));
  }
  link.nodes = spread.nodes;
  link.peer_memory = link.multicast = false;
  link.nic_gb_per_s = node.nic_gb_per_s_each() / (node.rails ? 1 : node.oversubscription);
  link.nic_all_to_all_gb_per_s = node.nic_gb_per_s_each() / node.oversubscription;
  link.nic_latency_us = node.nic_latency_us;
  link.name = fmt::format("{} nodes of {} ranks, {:g} GB/s of NIC each", spread.nodes, spread.local,
                          link.nic_gb_per_s);
  return link;
}

std::string describe(const ParallelShape& shape) {
  std::string text = fmt::format("TP {}", shape.tensor);
  if (shape.pipeline > 1) text += fmt::format(", PP {}", shape.pipeline);
  if (shape.context > 1) text += fmt::format(", CP {}", shape.context);
  if (shape.data > 1) text += fmt::format(", DP {}", shape.data);
  return text;
}

namespace {

/// The ranks of a stage talk in every layer.
bool fits(const NodeSpec& node, const ParallelShape& shape) {
  if (shape.gpus() <= node.gpus) return true;
  const std::int64_t stage = shape.tensor * shape.context;
  const auto fills = [&](std::int64_t ranks) { return node.gpus % ranks == 0 || ranks % node.gpus == 0; };
  return fills(shape.tensor) && fills(stage);
}

/// The fitting shape of the nearest number of GPUs, then of the nearest tensor parallelism.
ParallelShape nearest(const NodeSpec& node, const ParallelShape& shape) {
  constexpr std::int64_t kReach = 2;
  ParallelShape best;
  double best_far = INFINITY;
  const auto far = [](std::int64_t a, std::int64_t b) {
    return std::abs(std::log2(static_cast<double>(a) / static_cast<double>(b)));
  };
  for (std::int64_t tensor = 1; tensor <= shape.tensor * kReach; ++tensor) {
    for (std::int64_t context = 1; context <= shape.context * kReach; ++context) {
      for (std::int64_t pipeline = 1; pipeline <= shape.pipeline * kReach; ++pipeline) {
        const ParallelShape other{tensor, pipeline, shape.data, context};
        if (!fits(node, other)) continue;
        const double distance = 4 * far(other.gpus(), shape.gpus()) + far(tensor, shape.tensor) +
                                far(context, shape.context) + far(pipeline, shape.pipeline);
        if (distance >= best_far) continue;
        best = other;
        best_far = distance;
      }
    }
  }
  return best;
}

}  // namespace

std::string why_not(const NodeSpec& node, const ParallelShape& shape) {
  if (fits(node, shape)) return "";
  const std::int64_t stage = shape.tensor * shape.context;
  return fmt::format(
      "{} takes {} GPUs, more than a node's {} ({}), and groups of {} neither divide a node nor fill whole "
      "ones: some would lie astride two nodes; the nearest shape that fits is {}",
      describe(shape), shape.gpus(), node.gpus, node.title,
      node.gpus % shape.tensor == 0 || shape.tensor % node.gpus == 0 ? stage : shape.tensor,
      describe(nearest(node, shape)));
}

}  // namespace kvcast
