// engine.preemption: cheapest: for each sequence that gives way what is cheaper, copying its blocks out and
// in again or computing its tokens again.
#include <boost/test/unit_test.hpp>
#include <map>
#include <optional>

#include "hwmodels/affine_timer.h"
#include "sim/base/config.h"
#include "sim/kv/allocators.h"
#include "sim/sched/batch.h"
#include "sim/sched/scheduler.h"
#include "tests/support/random_runs.h"
#include "tests/support/sources.h"

namespace kvcast {
namespace {

/// A random deployment of vLLM's v0 scheduler whose pool presses and that may swap or choose; none where the
/// seed's blocks cannot be swapped.
std::optional<test::RandomRun> choosing(std::uint64_t seed) {
  test::RandomRun random = test::random_run(seed, {"vllm-v0", "paged", false});
  if (!random.setup.engine.batch.swap) return std::nullopt;
  random.setup.engine.batch.swap->where_cheaper = true;
  return random;
}

struct Seen {
  RunRecord record;
  std::string rows, text;
  test::Watcher watcher;
};

Seen watch(test::RandomRun& random, StepPath path) {
  Seen seen;
  random.setup.engine.path = path;
  RunHooks hooks;
  hooks.requests = &seen.watcher;
  if (path == StepPath::step_by_step) hooks.steps = &seen.watcher;
  seen.record = run(random.setup, random.source, *random.timer, hooks, 1);
  seen.text = test::text_of(seen.record);
  for (const auto& [id, row] : seen.watcher.rows)
    seen.rows += std::to_string(id) + " " + test::text_of(row) + "\n";
  return seen;
}

FineDuration copies(const SwapSpace& swap, std::int64_t tokens, Tokens block_size) {
  return swap.block_time * (2 * ceil_div(tokens, block_size.value));
}

BOOST_AUTO_TEST_SUITE(preemption)

/// Nobody is copied for whom computing is as cheap, nobody is computed again for whom copying is cheaper.
BOOST_AUTO_TEST_CASE(each_choice_is_the_cheaper_one) {
  std::int64_t swapped = 0, recomputed = 0;
  for (int i = 0; i < test::law_runs(600); ++i) {
    std::optional<test::RandomRun> random = choosing(test::law_seed() + static_cast<std::uint64_t>(i));
    if (!random) continue;
    random->setup.replicas = 1;
    const EngineSetup& engine = random->setup.engine;
    BOOST_TEST_CONTEXT(random->text) {
      const Seen seen = watch(*random, StepPath::step_by_step);
      std::map<std::uint64_t, std::int64_t> computed;  // of everybody, before the step
      std::map<std::uint64_t, std::int64_t> gave_way;  // with so many tokens
      for (const StepRecord& step : seen.watcher.steps) {
        for (const RequestId id : step.preempted) gave_way[to_number(id)] = computed[to_number(id)];
        for (const StepRecord::Entry& entry : step.scheduled) {
          const std::uint64_t id = to_number(entry.id);
          computed[id] = entry.computed + entry.n;
          const auto away = gave_way.find(id);
          if (away == gave_way.end()) continue;
          const FineDuration copying = copies(*engine.batch.swap, away->second, engine.pool.block_size);
          const FineDuration computing = random->timer->step(chunk_shape(0, away->second)).time;
          if (entry.admitted) {
            BOOST_REQUIRE(copying >= computing);
            BOOST_REQUIRE_EQUAL(entry.computed, 0);
            ++recomputed;
          } else {
            BOOST_REQUIRE(copying < computing);
            BOOST_REQUIRE_EQUAL(entry.computed, away->second);
            ++swapped;
          }
          gave_way.erase(away);
        }
      }
    }
  }
  BOOST_TEST_MESSAGE(swapped << " came back, " << recomputed << " were computed again");
  if (test::law_runs(600) >= 600) {
    BOOST_TEST(swapped > 100);
    BOOST_TEST(recomputed > 100);
  }
}

/// At its limits the choice is none: copies that take no time are swapping, copies without end and a host
/// without room are recomputing. And both step paths make it alike.
BOOST_AUTO_TEST_CASE(limits_are_swap_and_recompute) {
  std::int64_t preemptions = 0;
  for (int i = 0; i < test::law_runs(400); ++i) {
    std::optional<test::RandomRun> random = choosing(test::law_seed() + static_cast<std::uint64_t>(i));
    if (!random) continue;
    BOOST_TEST_CONTEXT(random->text) {
      BatchOptions& batch = random->setup.engine.batch;
      const Seen closed = watch(*random, StepPath::closed_form);
      const Seen stepped = watch(*random, StepPath::step_by_step);
      BOOST_REQUIRE_EQUAL(closed.text, stepped.text);
      BOOST_REQUIRE_EQUAL(closed.rows, stepped.rows);
      preemptions += closed.record.preemptions;

      batch.swap->block_time = FineDuration{0};
      const Seen free_copies = watch(*random, StepPath::closed_form);
      batch.swap->where_cheaper = false;
      BOOST_REQUIRE_EQUAL(free_copies.text, watch(*random, StepPath::closed_form).text);

      batch.swap->where_cheaper = true;
      batch.swap->block_time = FineDuration{std::int64_t{1} << 50};
      const Seen slow_copies = watch(*random, StepPath::closed_form);
      batch.swap->block_time = FineDuration{0};
      batch.swap->blocks = Blocks{0};
      const Seen no_room = watch(*random, StepPath::closed_form);
      batch.swap.reset();
      const Seen recomputing = watch(*random, StepPath::closed_form);
      BOOST_REQUIRE_EQUAL(slow_copies.text, recomputing.text);
      BOOST_REQUIRE_EQUAL(no_room.text, recomputing.text);
    }
  }
  if (test::law_runs(400) >= 400) BOOST_TEST(preemptions > 1000);
}

/// Where a step takes a + b n and copying a block 2 c: sequences of fewer tokens than a / (2 c / 16 - b) are
/// copied, longer ones computed again. Two sequences fill the pool; at their first decode the second gives
/// way.
BOOST_AUTO_TEST_CASE(break_even_in_closed_form) {
  constexpr std::int64_t kBreakEven = 200;  // 1000 us / (2 * 120 us / 16 - 10 us)
  const auto timer = make_affine_timer({.base_us = 1000, .per_token_us = 10});
  for (const std::int64_t blocks : {1, 2, 12, 13, 14, 40}) {
    Config engine =
        Config::from_text("max_num_seqs: 4\nmax_num_batched_tokens: 2048\nwatermark: 0\n", "test");
    EngineDefaults defaults;
    defaults.max_model_len = Tokens{2000};
    const auto scheduler = make_vllm_v0(engine, defaults)();
    const auto order = make_fcfs(engine)();
    CachedBlocksSettings layers;
    layers.groups = {KvGroup{}};
    layers.caching = false;
    const auto pool = make_paged(engine, layers)({Blocks{2 * blocks}, Tokens{16}});
    BatchOptions options;
    options.timer = timer.get();
    options.swap = {.blocks = Blocks{100},
                    .block_time = FineDuration{std::int64_t{120'000} << kFineBits},
                    .block_bytes = 1,
                    .where_cheaper = true};
    Batch batch(*pool, *order, options);
    Sequence s;
    s.input = s.known = Tokens{16 * blocks};
    s.table.limit = Tokens{2000};
    for (int i = 0; i < 2; ++i) (void)batch.add(s, Tokens{16 * blocks + 5}, Content{});
    scheduler->plan(batch);
    BOOST_REQUIRE_EQUAL(batch.chunks().size(), 2U);
    batch.launch();
    (void)batch.settle();
    batch.retire();
    scheduler->plan(batch);
    BOOST_REQUIRE_EQUAL(batch.preempted().size(), 1U);
    const bool copied = 16 * blocks < kBreakEven;
    BOOST_TEST(batch.swapped() == (copied ? 1 : 0));
    BOOST_TEST(batch.waiting() == (copied ? 0 : 1));
    BOOST_TEST(batch.preempted().front().dropped.value == (copied ? 0 : 16 * blocks));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
