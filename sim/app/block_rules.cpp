#include "sim/app/block_rules.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "sim/base/error.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

bool has_kind(const KvReport& kv, const char* kind) {
  return std::any_of(kv.groups.begin(), kv.groups.end(),
                     [&](const KvGroupReport& group) { return group.kind == kind; });
}

KvGroup to_group(const KvGroupReport& report, bool caching) {
  KvGroup group;
  group.block_size = report.block_size;
  group.window = report.kind == "recurrent" && caching ? report.block_size + 1 : report.window;
  group.recurrent = report.kind == "recurrent";
  group.bounded = is_bounded(report);
  group.chunks = report.kind == "chunked_local";
  if (group.window > 0) group.admission_blocks = report.blocks_per_request;
  group.blocks_max = report.blocks_max;
  group.prompt_max = report.prompt_max;
  return group;
}

}  // namespace

EngineVersion parse_engine_version(const std::string& text) {
  EngineVersion version;
  const char* end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, version.major);
  const bool dotted = major.ec == std::errc{} && major.ptr != end && *major.ptr == '.';
  if (!dotted || std::from_chars(major.ptr + 1, end, version.minor).ec != std::errc{}) {
    throw InputError("engine version " + kvcast::quoted(text) + ": two numbers are needed (0.32)");
  }
  return version;
}

CachedBlocksSettings vllm_block_rules(std::vector<KvGroup> groups, bool caching, EngineVersion version) {
  KVCAST_CHECK(!groups.empty());
  CachedBlocksSettings settings;
  settings.caching = caching;
  settings.unit = 1;
  settings.hash_unit = 0;
  for (const KvGroup& group : groups) {
    settings.unit = std::lcm(settings.unit, group.block_size);
    settings.hash_unit = std::gcd(settings.hash_unit, group.block_size);
  }
  settings.groups = std::move(groups);
  if (version <
      EngineVersion{0, 24}) {  // the admission gate, where there was one, asked for the whole sequence
    for (KvGroup& group : settings.groups) group.admission_blocks.reset();
  }
  if (version < EngineVersion{0, 32}) settings.retention_interval.reset();  // dense: all that a hit can use
  settings.keep_all_window_blocks = version < EngineVersion{0, 24};
  settings.commit_whole_units = version >= EngineVersion{0, 24};
  settings.keep_junctions = version >= EngineVersion{0, 32};
  settings.free_order = version >= EngineVersion{0, 24} ? FreeOrder::split_by_key : FreeOrder::all_behind;
  return settings;
}

std::vector<KvGroup> kv_groups_of(const KvReport& kv, bool caching) {
  std::vector<KvGroup> groups;
  for (const KvGroupReport& report : kv.groups) groups.push_back(to_group(report, caching));
  std::stable_partition(groups.begin(), groups.end(), [&](const KvGroup& group) {
    return group.window == 0 && group.block_size == kv.block_size;
  });
  return groups;
}

std::string kv_groups_assumption(const KvReport& kv, bool caching) {
  std::string text;
  if (caching && has_kind(kv, "recurrent"))
    text = "A recurrent layer holds two states a sequence, and a prefix is found at the end of a block";
  return text;
}

}  // namespace kvcast
