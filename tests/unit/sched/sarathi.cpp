#include <boost/test/unit_test.hpp>

#include "sim/base/config.h"
#include "sim/kv/allocators.h"
#include "sim/sched/batch.h"
#include "sim/sched/scheduler.h"

namespace kvcast {
namespace {

BOOST_AUTO_TEST_SUITE(sarathi)

/// A prompt of 100 tokens in steps of 32 takes its ceil(100 / 16) blocks with its first chunk.
BOOST_AUTO_TEST_CASE(a_prompt_takes_its_blocks_with_its_first_chunk) {
  Config engine = Config::from_text("max_num_seqs: 4\nmax_num_batched_tokens: 32\nwatermark: 0\n", "test");
  EngineDefaults defaults;
  const auto scheduler = make_sarathi(engine, defaults)();
  const auto order = make_fcfs(engine)();
  CachedBlocksSettings layers;
  layers.groups = {KvGroup{}};
  layers.caching = false;
  const auto pool = make_paged(engine, layers)({Blocks{10}, Tokens{16}});
  Batch batch(*pool, *order, {});
  Sequence s;
  s.input = s.known = Tokens{100};
  s.table.limit = Tokens{150};
  (void)batch.add(s, Tokens{110}, Content{});
  for (const std::int64_t chunk : {32, 32, 32, 4, 1}) {
    scheduler->plan(batch);
    std::int64_t n = batch.group_scheduled() ? 1 : 0;
    for (const Chunk& c : batch.chunks()) n += c.n.value;
    BOOST_TEST(n == chunk);
    BOOST_TEST(pool->free().value == 3);
    batch.launch();
    (void)batch.settle();
    batch.retire();
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
