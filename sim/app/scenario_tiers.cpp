#include "sim/app/scenario_tiers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hwmodels/link_catalog.h"
#include "sim/app/scenario_swap.h"
#include "sim/app/scheduler_features.h"
#include "sim/cluster/tiered_replica.h"
#include "sim/kv/eviction.h"

namespace kvcast {
namespace {

constexpr double kUnitsPerSecond = 1e9 * (1 << kFineBits);

FineTime fine(double seconds) { return FineTime{std::llround(seconds * kUnitsPerSecond)}; }

/// What all tiers have in common.
struct Common {
  LinkSharing sharing = LinkSharing::fifo;
  EvictionMaker eviction = make_lru_eviction;
  FineTime lifetime = kFineNever;
  std::int64_t block_bytes_all_ranks = 0;
};

/// Why tiers cannot be had; empty: they can.
std::string obstacle(const Scenario& scenario) {
  const Deployment& deployment = scenario.deployment;
  if (scenario.sglang)
    return "the scheduler sglang keeps its own tree of tokens, whose lower floors (HiCache) are not "
           "modelled; "
           "vllm-v1, vllm-v0, sarathi and tensorrt-llm have tiers";
  if (!features_of(deployment.scheduler).caches_prefixes)
    return "the scheduler " + deployment.scheduler +
           " finds no prefixes again, so nothing would be looked for in a tier; vllm-v1, vllm-v0, sarathi "
           "and "
           "tensorrt-llm do";
  if (!deployment.report)
    return "a model is needed: the bytes of its blocks decide how long they take to move";
  if (!deployment.memory.enable_prefix_caching.value_or(false))
    return "blocks are found again by their content: set enable_prefix_caching to true";
  const KvReport& kv = deployment.report->kv;
  if (scenario.allocator != "paged" || kv.groups.size() != 1 || !every_layer_keeps_all(kv))
    return "paged blocks of a model whose layers all keep every token are needed";
  if (scenario.engine.batch.speculation != nullptr || scenario.engine.batch.forks)
    return "speculation and branches that share blocks copy on write are not possible with it";
  if (scenario.engine.batch.swap)
    return "preemption by swap keeps sequences in host memory beside it, which is not modelled; set "
           "preemption "
           "to recompute";
  return "";
}

/// A tier of a size and on a link, which a mapping {link, gib, gb_per_s, latency_us} may change.
TierSpec read_tier(Config& offload, const char* name, double gib, const LinkDatasheet& link,
                   const Common& common) {
  TierSpec tier;
  tier.name = name;
  const std::string prefix = std::string(name) + "_";
  const double read = offload.get_real(prefix + "read_gb_per_s", {0, 1e9}, link.gb_per_s);
  const double write = offload.get_real(prefix + "write_gb_per_s", {0, 1e9}, link.write_gb_per_s);
  const FineTime latency = fine(offload.get_real(prefix + "latency_us", {0, 1e9}, link.latency_us) * 1e-6);
  tier.read = {.bytes_per_s = read * 1e9, .latency = latency, .sharing = common.sharing, .outages = {}};
  tier.write = {.bytes_per_s = write * 1e9, .latency = latency, .sharing = common.sharing, .outages = {}};
  tier.one_way = link.one_way && read > 0 && write > 0;
  tier.capacity = Blocks{static_cast<std::int64_t>(gib * 0x1p30) / common.block_bytes_all_ranks};
  tier.eviction = common.eviction;
  tier.lifetime = common.lifetime;
  constexpr std::int64_t kBlocksMax = std::int64_t{1} << 27;
  if (tier.capacity < Blocks{1} || tier.capacity.value > kBlocksMax) {
    offload.fail(prefix + "gib", fmt::format("gives {} blocks of {} bytes; between 1 and {} are possible",
                                             tier.capacity.value, common.block_bytes_all_ranks, kBlocksMax));
  }
  return tier;
}

LinkDatasheet host_link(Config& offload, const GpuSpec& gpu) {
  if (offload.has("host_link")) return find_link(offload.get_string("host_link"), offload.where("host_link"));
  LinkDatasheet link;
  link.name = "pcie";
  link.gb_per_s = link.write_gb_per_s = gpu.pcie_gb_per_s;
  link.latency_us = 1;
  return link;
}

/// remote: a link's name, or what such pools are called.
LinkDatasheet remote_link(Config& offload) {
  const std::string name = offload.get_string("remote");
  const std::string where = offload.where("remote");
  if (name == "rdma-pool") return find_link("rdma-200g", where);
  if (name == "cxl-pool") return find_link("cxl2", where);
  return find_link(name, where);
}

void read_tier_list(Config& offload, const GpuSpec& gpu, const Common& common, TiersSpec& spec) {
  constexpr RealRange kGib{0, 1e9};
  constexpr double kRemoteGib = 1024;
  if (const double gib = offload.get_real("host_gib", kGib, 0); gib > 0)
    spec.tiers.push_back(read_tier(offload, "host", gib, host_link(offload, gpu), common));
  if (const double gib = offload.get_real("ssd_gib", kGib, 0); gib > 0) {
    const std::string name = offload.get_string("ssd_link", "nvme-gen4");
    spec.tiers.push_back(read_tier(offload, "ssd", gib, find_link(name, offload.where("ssd_link")), common));
  }
  if (offload.has("remote")) {
    const double gib = offload.get_real("remote_gib", {1e-3, 1e9}, kRemoteGib);
    spec.tiers.push_back(read_tier(offload, "remote", gib, remote_link(offload), common));
    spec.tiers.back().shared = true;
  }
  if (spec.tiers.empty()) offload.fail("", "names no tier: host_gib, ssd_gib or remote is needed");
}

/// outages: [{tier: ssd, at_s: 10, for_s: 5, kind: stall}]
void read_outages(Config& offload, TiersSpec& spec) {
  for (Config& outage : offload.children("outages")) {
    const std::string name = outage.get_string("tier");
    const auto tier =
        std::find_if(spec.tiers.begin(), spec.tiers.end(), [&](const TierSpec& t) { return t.name == name; });
    if (tier == spec.tiers.end()) {
      std::vector<std::string> names;
      for (const TierSpec& t : spec.tiers) names.push_back(t.name);
      outage.fail("tier", "there is no tier \"" + name + "\"" + known_names(name, names));
    }
    Outage span;
    span.from = fine(outage.get_real("at_s", {0, 1e8}));
    const bool for_ever = !outage.has("for_s");
    span.until = for_ever ? kFineNever : span.from + fine(outage.get_real("for_s", {1e-6, 1e8}));
    const bool stalls = outage.get_choice("kind", {"fail", "stall"}, "fail") == "stall";
    if (stalls && for_ever) outage.fail("kind", "a stall needs for_s: how long it lasts");
    if (!stalls && spec.by_layers)
      outage.fail(
          "kind",
          "a tier that fails needs overlap: none; with layers a step that has begun cannot wait for a "
          "load that never comes");
    const auto add = [&](std::vector<Outage>& list) {
      if (!list.empty() && list.back().until >= span.from)
        outage.fail("at_s", "outages of a tier must follow each other in time, apart");
      list.push_back(span);
    };
    if (!stalls) {
      add(tier->failures);
    } else {
      add(tier->read.outages);
      add(tier->write.outages);
    }
  }
}

Common read_common(Config& offload, std::int64_t block_bytes_all_ranks) {
  Common common;
  common.block_bytes_all_ranks = block_bytes_all_ranks;
  if (offload.get_choice("sharing", {"fifo", "fair"}, "fifo") == "fair") common.sharing = LinkSharing::fair;
  const auto& eviction =
      eviction_catalog().find(offload.get_string("eviction", "lru"), offload.where("eviction"));
  if (eviction.make == nullptr)
    offload.fail("eviction", "belady needs the future: kvcast trace cache alone has it");
  common.eviction = eviction.make;
  if (offload.has("ttl_s")) common.lifetime = fine(offload.get_real("ttl_s", {1e-6, 1e8}));
  return common;
}

void assume(const TiersSpec& spec, Scenario& scenario) {
  scenario.assumptions.push_back(
      "Tiers: a load takes its link's time and no room in the pool until its request is admitted; a block is "
      "written from "
      "a copy, so that the pool may reuse its room at once; each GPU has links of its own, which run at "
      "their datasheets' rates; an SSD's and a remote "
      "pool's own links limit them, the host's link and memory in between do not");
  if (shares_a_store(spec))
    scenario.assumptions.push_back(
        "The remote pool's servers are never its bottleneck: each replica has a link of its own to it");
}

}  // namespace

void read_tiers(Config& engine, Scenario& scenario) {
  if (!engine.has("kv_offload")) return;
  if (const std::string why = obstacle(scenario); !why.empty()) engine.fail("kv_offload", why);
  Config offload = engine.child("kv_offload");
  const KvReport& kv = scenario.deployment.report->kv;
  auto spec = std::make_shared<TiersSpec>();
  spec->block_bytes = kv.bytes_per_block;
  spec->block_tokens = kv.block_size;
  const Common common =
      read_common(offload, kv.bytes_per_block * scenario.deployment.memory.tensor_parallel_size);
  const std::string writes =
      offload.get_choice("write_policy", {"write-through", "write-back", "write-on-hit"}, "write-through");
  spec->writes = writes == "write-back"     ? TierWrites::back
                 : writes == "write-on-hit" ? TierWrites::on_hit
                                            : TierWrites::through;
  if (spec->writes == TierWrites::on_hit)
    spec->uses_before_write = offload.get_int("write_threshold", {1, 1000}, 2);
  spec->load_always = offload.get_choice("load", {"cheapest", "always"}, "cheapest") == "always";
  spec->by_layers = offload.get_choice("overlap", {"none", "layers"}, "none") == "layers";
  if (spec->by_layers && common.sharing == LinkSharing::fair)
    offload.fail("overlap", "layers needs sharing: fifo, where a load's end is known when it begins");
  spec->cache_ratio = offload.get_real("cache_ratio", {0, 1}, 1);
  spec->on_arrival =
      offload.get_choice("prefetch", {"on_schedule", "on_arrival"}, "on_schedule") == "on_arrival";
  read_tier_list(offload, *scenario.deployment.gpu, common, *spec);
  read_outages(offload, *spec);
  assume(*spec, scenario);
  scenario.engine.layers = std::max<std::int64_t>(1, kv.groups.front().layers);
  scenario.engine.tiers = std::move(spec);
  scenario.engine.make = make_tiered_replica;
}

}  // namespace kvcast
