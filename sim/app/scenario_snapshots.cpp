#include "sim/app/scenario_snapshots.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/format.h"

namespace kvcast {
namespace {

/// Tokens between snapshots; 0: at a prompt's end alone.
std::int64_t read_interval(Config& snapshots, std::int64_t block) {
  const std::string at = snapshots.get_choice("at", {"prompt_end", "block_ends", "every"}, "block_ends");
  if (at == "prompt_end") return 0;
  if (at == "block_ends") return block;
  const std::int64_t tokens = snapshots.get_int("tokens", {1, std::int64_t{1} << 24});
  if (tokens % block != 0) {
    const std::int64_t below = std::max<std::int64_t>(1, tokens / block) * block;
    snapshots.fail("tokens",
                   fmt::format("{} is no multiple of the {} tokens of a block, at whose end a state can be "
                               "kept; {} and {} are",
                               tokens, block, below, below + block));
  }
  return tokens;
}

}  // namespace

void read_snapshots(Config& engine, Scenario& scenario, CachedBlocksSettings& layers) {
  if (!engine.has("state_snapshots")) return;
  const Deployment& deployment = scenario.deployment;
  if (!deployment.report) engine.fail("state_snapshots", "needs a model with recurrent layers");
  const KvReport& kv = deployment.report->kv;
  const auto state = std::find_if(kv.groups.begin(), kv.groups.end(),
                                  [](const KvGroupReport& group) { return group.kind == "recurrent"; });
  if (state == kv.groups.end())
    engine.fail("state_snapshots",
                "needs a model with recurrent layers; " + deployment.model->name + " has none");
  if (!layers.caching)
    engine.fail(
        "state_snapshots",
        "are for prompts that begin alike: set enable_prefix_caching to true, with the allocator paged");
  Config snapshots = engine.child("state_snapshots");
  const std::int64_t interval = read_interval(snapshots, state->block_size);
  for (KvGroup& group : layers.groups) {
    if (group.recurrent) group.kept_every = interval;
  }
  if (interval == 0) {
    scenario.assumptions.push_back(
        "States of recurrent layers are kept for later prompts at the last block end of each prompt alone");
    return;
  }
  const double per_token = static_cast<double>(kv.state_bytes_per_sequence) / static_cast<double>(interval);
  scenario.assumptions.push_back(fmt::format(
      "States of recurrent layers are kept for later prompts every {} tokens: {} each, {:.3g} bytes a "
      "token beside {} of KV, as long as the pool has room for them",
      grouped(interval), bytes(kv.state_bytes_per_sequence), per_token, grouped(kv.bytes_per_token)));
}

}  // namespace kvcast
