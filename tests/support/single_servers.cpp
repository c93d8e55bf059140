#include "tests/support/single_servers.h"

#include "sim/base/config.h"
#include "sim/kv/allocators.h"

namespace kvcast::test {

ClusterSetup single_servers(std::int64_t replicas, RouterMaker router) {
  Config engine = Config::from_text("max_num_seqs: 1\nmax_num_batched_tokens: 100000\n", "single_servers");
  ClusterSetup setup;
  setup.engine.max_model_len = Tokens{100'000};
  EngineDefaults defaults;
  defaults.max_model_len = setup.engine.max_model_len;
  setup.engine.scheduler = make_vllm_v1(engine, defaults);
  setup.engine.order = make_fcfs(engine);
  CachedBlocksSettings layers;
  layers.groups = {KvGroup{}};
  layers.caching = false;
  setup.engine.allocator = make_paged(engine, layers);
  setup.engine.pool = {Blocks{10'000}, Tokens{16}};
  setup.router = std::move(router);
  setup.replicas = replicas;
  return setup;
}

}  // namespace kvcast::test
