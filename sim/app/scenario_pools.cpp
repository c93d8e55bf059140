#include "sim/app/scenario_pools.h"

#include <algorithm>
#include <string_view>

#include "sim/base/text.h"

namespace kvcast {
namespace {

/// Keys of a pool: those of `cluster` that say what a replica is, and its own.
const std::vector<std::string>& pool_keys() {
  static const std::vector<std::string> keys{"name",
                                             "gpu",
                                             "node",
                                             "replicas",
                                             "tensor_parallel_size",
                                             "pipeline_parallel_size",
                                             "context_parallel_size",
                                             "context_parallel_order",
                                             "data_parallel_size",
                                             "expert_parallel_size",
                                             "price_per_gpu_hour",
                                             "engine"};
  return keys;
}

void check_keys(const Config& pool) {
  for (const std::string& key : pool.names()) {
    const std::vector<std::string>& known = pool_keys();
    if (std::find(known.begin(), known.end(), key) == known.end())
      pool.fail(key, "is not a key of a pool" + known_names(key, known));
  }
}

/// Every line as a comment: a dump with pools reads back without them.
std::string commented(const std::string& name, const std::string& dump) {
  std::string text = "# pool " + name + "\n";
  for (std::size_t begin = 0; begin < dump.size();) {
    const std::size_t end = dump.find('\n', begin) + 1;
    text += "#   " + dump.substr(begin, end - begin);
    begin = end;
  }
  return text;
}

bool equal(const FrontendDelays& a, const FrontendDelays& b) {
  return a.before == b.before && a.per_input_token == b.per_input_token && a.after == b.after;
}

void check_name(const Config& pool, const std::string& name) {
  const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  if (!plain) pool.fail("name", "letters, digits, - and _ are allowed in the name of a pool");
}

}  // namespace

void check_together(const Config& pool, const Scenario& first, const Scenario& other) {
  if (first.engine.tiers || other.engine.tiers)
    pool.fail("", "engine.kv_offload is not modelled for replicas of several shapes behind one router");
  if (first.deployment.speculation || other.deployment.speculation)
    pool.fail("", "engine.speculative is not modelled for replicas of several shapes behind one router");
  if (first.fleet || other.fleet)
    pool.fail("", "cluster.elasticity is modelled for replicas of one shape only");
  if (!equal(first.frontend, other.frontend))
    pool.fail("",
              "its engine takes other times between client and engine than that of the pool " +
                  first.pool_name +
                  ": give engine.frontend for the whole scenario (before_us, per_input_token_us, after_us)");
  if (first.deployment.model.has_value() != other.deployment.model.has_value())
    pool.fail("", "pools serve one model: either all have one or none");
}

bool cluster_has(const Config& root, std::string_view key) {
  Config unread = root.without("cluster", "");
  return unread.child("cluster").contains(key);
}

Scenario read_pool(const Config& base, const std::string& folder, const Scenario& scenario,
                   const std::string& name, Config& shape) {
  Scenario read;
  read.path = scenario.path;
  read.name = scenario.name;
  read.hash = scenario.hash;
  read.pool_name = name;
  check_keys(shape);
  Config text = base.overlaid("cluster", shape.copy_without("engine").copy_without("name"))
                    .overlaid("engine", shape.child("engine"));
  read_serving(text, folder, read);
  Config engine = text.child("engine");
  Config cluster = text.child("cluster");
  engine.finish();
  cluster.finish();
  read.resolved_pools = commented(name, text.dump());
  return read;
}

void take_pools(Config& root, std::vector<Scenario> pools, Scenario& scenario) {
  if (root.has("model")) (void)root.get_string("model");
  root.read_elsewhere("engine");
  root.read_elsewhere("cluster");
  std::string resolved;
  for (const Scenario& pool : pools) resolved += pool.resolved_pools;
  scenario = std::move(pools.front());
  scenario.resolved_pools = std::move(resolved);
  pools.erase(pools.begin());
  scenario.further_pools = std::move(pools);
}

bool read_pools(Config& root, const std::string& folder, Scenario& scenario) {
  if (!cluster_has(root, "pools")) return false;
  Config cluster = root.child("cluster");
  const Config base = root.without("cluster", "pools");
  std::vector<Config> pools = cluster.children("pools");
  if (pools.empty())
    cluster.fail("pools", "is empty; a pool is for example {name: large, gpu: h200, replicas: 2}");
  std::vector<Scenario> read;
  for (Config& pool : pools) {
    const std::string name = pool.get_string("name");
    check_name(pool, name);
    Scenario next = read_pool(base, folder, scenario, name, pool);
    for (const Scenario& other : read) {
      if (other.pool_name == name) pool.fail("name", "there is a pool of this name already");
    }
    if (!read.empty()) check_together(pool, read.front(), next);
    read.push_back(std::move(next));
  }
  take_pools(root, std::move(read), scenario);
  return true;
}

}  // namespace kvcast
