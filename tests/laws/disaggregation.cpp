// Prompts and answers made by different replicas: nothing lost, nothing before its cause, and what theory
// says of single requests. A failure names the seeds; KVCAST_LAW_SEED=seed KVCAST_LAW_RUNS=1 repeats it.
#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "hwmodels/affine_timer.h"
#include "sim/base/config.h"
#include "sim/base/rng.h"
#include "sim/kv/allocators.h"
#include "tests/support/explained.h"
#include "tests/support/random_runs.h"
#include "tests/support/sources.h"

namespace kvcast {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A random deployment for prompts, one for answers, and what is between them.
struct Staged {
  std::string text;
  ClusterSetup setup;
  std::unique_ptr<StepTimer> timer;
  std::vector<Request> requests;
  SourceMaker source;

  [[nodiscard]] Disaggregation& plan() { return *setup.disaggregation; }
};

bool keeps_all(const EngineSetup& engine) {
  return engine.allocator(engine.pool)->growing() != BlockAllocator::Growing::by_step &&
         engine.batch.reach.cap == 0;
}

bool fit_together(const test::RandomRun& a, const test::RandomRun& b) {
  return a.setup.engine.max_model_len == b.setup.engine.max_model_len &&
         a.setup.engine.pool.block_size == b.setup.engine.pool.block_size && keeps_all(b.setup.engine);
}

std::string some_router(RandomStream& random) {
  for (;;) {
    const auto& names = router_catalog().names();
    const std::string name =
        names[static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(names.size()) - 1))];
    if (name != "central-queue") return name;
  }
}

double some_rate(RandomStream& random) {
  return random.uniform() < 0.1 ? kInfinity : std::pow(10.0, 4 + 7 * random.uniform());
}

Disaggregation some_plan(RandomStream& random, std::string& text) {
  Disaggregation plan;
  plan.push = random.uniform() < 0.5;
  plan.by_layers = plan.push && random.uniform() < 0.5;
  plan.local_prompt_max = Tokens{random.uniform() < 0.6 ? 0 : random.integer(1, 200)};
  plan.decode_caches = random.uniform() < 0.5;
  plan.rates = {some_rate(random), some_rate(random)};
  plan.latency = random.uniform() < 0.5 ? 0 : FineTime{random.integer(0, 20'000'000)} << kFineBits;
  plan.block_bytes = random.integer(1, 100'000);
  plan.layers = random.integer(1, 40);
  const std::string router = some_router(random);
  Config keys = Config::empty("law");
  plan.decode_router = router_catalog().find(router, "law").make(keys);
  text += fmt::format("{}{}, local up to {}, rates {:g} {:g}, decodes behind {}", plan.push ? "push" : "pull",
                      plan.by_layers ? " by layers" : "", plan.local_prompt_max.value,
                      plan.rates.out_bytes_per_s, plan.rates.in_bytes_per_s, router);
  return plan;
}

std::optional<Staged> staged_run(std::uint64_t seed) {
  const test::Choice choice{"vllm-v1", "paged", false};
  test::RandomRun prompts = test::random_run(seed, choice);
  if (!keeps_all(prompts.setup.engine)) return std::nullopt;
  std::optional<test::RandomRun> answers;
  for (std::uint64_t k = 1; k <= 40 && !answers; ++k) {
    test::RandomRun next = test::random_run(seed + 1'000'000 * k, choice);
    if (fit_together(prompts, next)) answers = std::move(next);
  }
  if (!answers) return std::nullopt;
  RandomStream random(seed, "laws/disaggregation");
  Staged staged;
  staged.text = prompts.text + "\ndecodes: " + answers->text + "\n";
  staged.setup = prompts.setup;
  staged.setup.replicas = random.integer(1, 4);
  Config keys = Config::empty("law");
  staged.setup.router = router_catalog().find(some_router(random), "law").make(keys);
  staged.setup.disaggregation = some_plan(random, staged.text);
  staged.plan().block_tokens = prompts.setup.engine.pool.block_size;
  staged.setup.engine.role = Role::prefill;
  staged.setup.engine.tells_first = random.uniform() < 0.5;
  PoolSetup decode{"decode", answers->setup.engine, random.integer(1, 4),
                   std::shared_ptr<const StepTimer>(std::move(answers->timer))};
  decode.engine.role = Role::decode;
  staged.text += fmt::format(", {} and {} replicas, first token from {}", staged.setup.replicas,
                             decode.replicas, staged.setup.engine.tells_first ? "prefill" : "decode");
  staged.setup.further_pools.push_back(std::move(decode));
  staged.timer = std::move(prompts.timer);
  staged.requests = std::move(prompts.requests);
  staged.source = prompts.source;
  return staged;
}

template <class Law>
void for_each_staged(int runs, Law law) {
  for (int i = 0; i < test::law_runs(runs); ++i) {
    std::optional<Staged> staged = staged_run(test::law_seed() + static_cast<std::uint64_t>(i));
    if (!staged) continue;
    BOOST_TEST_CONTEXT(staged->text) { law(*staged); }
  }
}

std::string text_of_all(const RunRecord& record) {
  std::string text = test::text_of(record);
  for (const RunRecord& pool : record.pools) text += "pool\n" + test::text_of(pool);
  const TransferTotals& t = record.transfers;
  return text + fmt::format("\ntransfers {} tokens {} bytes {} local {} time {} wait {} behind {} over {} {}",
                            t.transfers, t.tokens, t.bytes, t.local, t.time.mean_ns(), t.wait.mean_ns(),
                            t.behind.mean_ns(), record.handed_over, record.taken_over);
}

/// What each request did on its replicas, from the steps.
struct Walk {
  Instant prefill_end, decode_begin = kNever;
  bool prefilled = false;
  std::int64_t prompt_steps = 0;  // where it decodes
};

std::map<std::uint64_t, Walk> walk(const test::Watcher& watcher, std::int64_t prefill_replicas) {
  std::map<std::uint64_t, Walk> walks;
  for (const StepRecord& step : watcher.steps) {
    const bool prefill = static_cast<std::int64_t>(to_index(step.replica)) < prefill_replicas;
    for (const StepRecord::Entry& entry : step.scheduled) {
      Walk& w = walks[to_number(entry.id)];
      if (prefill) {
        w.prefilled = true;
        w.prefill_end = std::max(w.prefill_end, step.device_end);
      } else {
        w.decode_begin = std::min(w.decode_begin, step.device_begin);
        if (entry.n > 1) ++w.prompt_steps;
      }
    }
  }
  return walks;
}

BOOST_AUTO_TEST_SUITE(disaggregation)

BOOST_AUTO_TEST_CASE(nothing_lost_and_nothing_before_its_cause) {
  std::int64_t transfers = 0, local = 0, waited = 0, preempted = 0, layered = 0;
  for_each_staged(600, [&](Staged& staged) {
    staged.setup.set_path(StepPath::step_by_step);
    test::Watcher watcher;
    RunHooks hooks;
    hooks.requests = &watcher;
    hooks.steps = &watcher;
    const RunRecord r = run(staged.setup, staged.source, *staged.timer, hooks);
    BOOST_REQUIRE_EQUAL(r.arrived, r.completed + r.rejected_too_long + r.rejected_never_fits + r.unfinished);
    BOOST_REQUIRE_EQUAL(static_cast<std::int64_t>(watcher.rows.size()), r.arrived);
    for (const auto& [id, times] : watcher.reports) BOOST_REQUIRE_EQUAL(times, 1);
    if (!staged.setup.sim_time_max && !r.stuck) {
      BOOST_REQUIRE_EQUAL(r.unfinished, 0);
      BOOST_REQUIRE_EQUAL(r.arrived, static_cast<std::int64_t>(staged.requests.size()));
      BOOST_REQUIRE_EQUAL(r.handed_over, r.taken_over);
      BOOST_REQUIRE_LE(r.transfers.transfers, r.handed_over);
    }
    const std::map<std::uint64_t, Walk> walks = walk(watcher, staged.setup.replicas);
    std::int64_t outputs = 0;
    for (const auto& [id, row] : watcher.rows) {
      if (row.outcome != Outcome::completed) continue;
      const Request& asked = staged.requests[id];
      Tokens output = asked.output;
      if (asked.output_limit > Tokens{0}) output = std::min(output, asked.output_limit);
      BOOST_REQUIRE(row.output == std::min(output, staged.setup.engine.max_model_len - asked.input));
      outputs += row.output.value;
      BOOST_REQUIRE(row.arrival <= row.scheduled && row.scheduled <= row.first_token &&
                    row.first_token <= row.last_token);
      if (row.stages.replica < 0) continue;
      const Walk& w = walks.at(id);
      const StageTimes& s = row.stages;
      BOOST_REQUIRE(w.prefilled && w.prefill_end == s.prefilled);
      BOOST_REQUIRE(s.transfer_end <= w.decode_begin && s.prefilled <= s.transfer_end);
      BOOST_REQUIRE(staged.plan().by_layers ? s.transfer_begin >= row.scheduled
                                            : s.transfer_begin >= s.prefilled);
      BOOST_REQUIRE(staged.setup.engine.tells_first
                        ? row.first_token == s.prefilled + staged.setup.delay_after
                        : row.first_token > s.transfer_end);
      if (row.preemptions == 0) BOOST_REQUIRE_EQUAL(w.prompt_steps, 0);
      waited += s.transfer_begin - s.prefilled > Duration{1'000'000} ? 1 : 0;
      preempted += row.preemptions;
    }
    BOOST_REQUIRE_EQUAL(outputs, r.output_tokens);
    transfers += r.transfers.transfers;
    local += r.transfers.local;
    layered += staged.plan().by_layers ? r.transfers.transfers : 0;
  });
  BOOST_TEST_MESSAGE(transfers << " transfers, " << layered << " by layers, " << local << " served whole, "
                               << waited << " waited for room, " << preempted << " preemptions");
  if (test::law_runs(600) < 600) return;
  BOOST_TEST(transfers > 5'000);
  BOOST_TEST(layered > 500);
  BOOST_TEST(local > 500);
  BOOST_TEST(waited > 100);
  BOOST_TEST(preempted > 100);
}

BOOST_AUTO_TEST_CASE(equal_for_both_step_paths_and_any_number_of_threads) {
  for_each_staged(600, [](Staged& staged) {
    const auto outcome = [&](StepPath path, unsigned threads) {
      staged.setup.set_path(path);
      test::Watcher watcher;
      RunHooks hooks;
      hooks.requests = &watcher;
      std::string text = text_of_all(run(staged.setup, staged.source, *staged.timer, hooks, threads));
      for (const auto& [id, row] : watcher.rows) text += "\n" + test::text_of(row);
      return text;
    };
    const std::string once = outcome(StepPath::closed_form, 1);
    BOOST_REQUIRE_EQUAL(once, outcome(StepPath::step_by_step, 1));
    BOOST_REQUIRE_EQUAL(once, outcome(StepPath::closed_form, 5));
  });
}

BOOST_AUTO_TEST_CASE(parts_of_explain_sum_to_the_whole) {
  std::int64_t moving = 0;
  for_each_staged(300, [&](Staged& staged) {
    const test::Explained explained = test::explain_run(staged.setup, staged.source, *staged.timer);
    BOOST_REQUIRE_EQUAL(test::problem_of(explained), "");
    for (const RequestTime& time : explained.requests) {
      const RequestRow& row = explained.watcher.rows.at(to_number(time.id));
      const std::int64_t transfer = time.e2el[static_cast<std::size_t>(TimePart::transfer)];
      if (row.stages.replica < 0) BOOST_REQUIRE_EQUAL(transfer, 0);
      if (row.stages.replica >= 0) {
        const Instant from = std::max(row.stages.transfer_begin, row.stages.prefilled);
        BOOST_REQUIRE_EQUAL(transfer, (row.stages.transfer_end - from).count());
      }
      moving += transfer;
    }
  });
  BOOST_TEST(moving > 0);
}

/// Where a transfer takes no time and the first token is told behind the prompt, TTFT is that of a cluster
/// that computes prompts and does nothing else.
BOOST_AUTO_TEST_CASE(free_transfers_give_the_first_tokens_of_a_cluster_for_prompts) {
  std::int64_t judged = 0;
  for_each_staged(400, [&](Staged& staged) {
    if (staged.setup.engine.batch.asynchronous)
      return;  // a step beside a last one is planned before its KV has gone
    Config keys = Config::empty("law");
    const RouterMaker router = router_catalog().find("round-robin", "law").make(keys);
    staged.setup.router = router;
    staged.setup.sim_time_max.reset();
    staged.setup.engine.tells_first = true;
    staged.setup.engine.pool.blocks = Blocks{1 << 20};  // so that KV on its way is in nobody's way
    staged.plan().push = staged.plan().by_layers = false;
    staged.plan().local_prompt_max = Tokens{0};
    staged.plan().rates = {kInfinity, kInfinity};
    staged.plan().latency = 0;
    const SourceMaker source = test::list_source(staged.requests);
    test::Watcher apart, alone;
    RunHooks hooks;
    hooks.requests = &apart;
    (void)run(staged.setup, source, *staged.timer, hooks);
    for (Request& request : staged.requests) request.output = Tokens{1};
    ClusterSetup prompts = staged.setup;
    prompts.further_pools.clear();
    prompts.disaggregation.reset();
    prompts.engine.role = Role::whole;
    hooks.requests = &alone;
    (void)run(prompts, test::list_source(staged.requests), *staged.timer, hooks);
    for (const auto& [id, row] : apart.rows) {
      if (row.first_token == kNever) continue;
      BOOST_REQUIRE(row.first_token == alone.rows.at(id).first_token);
      ++judged;
    }
  });
  if (test::law_runs(400) >= 400) BOOST_TEST(judged > 3'000);
}

struct OneRequest {
  bool push = false, by_layers = false, tells_first = false;
  double rate = 1e9;  // bytes a second
  std::int64_t layers = 8;
};

constexpr std::int64_t kInput = 640, kBlockTokens = 16, kBlockBytes = 1'600'000;
constexpr double kBaseUs = 5000, kPerTokenUs = 20, kPerContextUs = 1;

RequestRow row_of(const OneRequest& one) {
  Config engine = Config::from_text("max_num_seqs: 8\nmax_num_batched_tokens: 1024\n", "law");
  EngineDefaults defaults;
  defaults.max_model_len = Tokens{2048};
  ClusterSetup setup;
  setup.engine.scheduler = scheduler_catalog().find("vllm-v1", "law").make(engine, defaults);
  setup.engine.order = queue_order_catalog().find("fcfs", "law").make(engine);
  CachedBlocksSettings layers;
  layers.groups = {KvGroup{kBlockTokens, 0, std::nullopt}};
  layers.unit = layers.hash_unit = kBlockTokens;
  setup.engine.allocator = allocator_catalog().find("paged", "law").make(engine, layers);
  setup.engine.pool = {Blocks{200}, Tokens{kBlockTokens}};
  setup.engine.max_model_len = defaults.max_model_len;
  const AffineTime affine{
      .base_us = kBaseUs, .per_token_us = kPerTokenUs, .per_context_token_us = kPerContextUs};
  PoolSetup decode{"decode", setup.engine, 1, std::shared_ptr<const StepTimer>(make_affine_timer(affine))};
  decode.engine.role = Role::decode;
  setup.engine.role = Role::prefill;
  setup.engine.tells_first = one.tells_first;
  setup.further_pools.push_back(std::move(decode));
  Config keys = Config::empty("law");
  setup.router = router_catalog().find("round-robin", "law").make(keys);
  Disaggregation plan;
  plan.push = one.push;
  plan.by_layers = one.by_layers;
  plan.decode_router = setup.router;
  plan.rates = {one.rate, kInfinity};
  plan.latency = FineTime{1'000'000} << kFineBits;  // 1 ms
  plan.block_tokens = Tokens{kBlockTokens};
  plan.block_bytes = kBlockBytes;
  plan.layers = one.layers;
  setup.disaggregation = plan;
  std::vector<Request> requests(1);
  requests.front().input = Tokens{kInput};
  requests.front().output = Tokens{2};
  test::Watcher watcher;
  RunHooks hooks;
  hooks.requests = &watcher;
  const auto timer = make_affine_timer(affine);
  (void)run(setup, test::list_source(requests), *timer, hooks);
  return watcher.rows.at(0);
}

/// One request over a slow link, to the nanosecond: prompt, transfer, steps.
BOOST_AUTO_TEST_CASE(one_request_over_a_slow_link_in_closed_form) {
  const auto timer = make_affine_timer(
      {.base_us = kBaseUs, .per_token_us = kPerTokenUs, .per_context_token_us = kPerContextUs});
  const auto ns = [](const StepCost& cost) { return cost.time.count() >> kFineBits; };
  StepShape prompt{.tokens = kInput, .sampled = 1, .prefill_seqs = 1};
  prompt.prefill_context = kInput;
  prompt.prefill_pairs = kInput * (kInput + 1) / 2;
  const std::int64_t prefill = ns(timer->step(prompt));
  const auto decode = [&](std::int64_t context) {
    return ns(timer->step({.tokens = 1, .sampled = 1, .decode_seqs = 1, .decode_context = context}));
  };
  constexpr std::int64_t kLatency = 1'000'000, kBytes = kInput / kBlockTokens * kBlockBytes;
  for (const bool push : {false, true}) {
    for (const bool tells_first : {false, true}) {
      for (const bool by_layers : {false, true}) {
        if (by_layers && !push) continue;
        for (const double rate : {1e8, 1e9, 1e10}) {
          const OneRequest one{push, by_layers, tells_first, rate, 8};
          const RequestRow row = row_of(one);
          const auto sending =
              static_cast<std::int64_t>(std::llround(static_cast<double>(kBytes) / rate * 1e9));
          const std::int64_t begin = push ? 1 : 0;  // room is taken first
          const std::int64_t prefilled = begin + prefill;
          // Layer k of L leaves when it is there and those before have left: the first or the last decides.
          const std::int64_t there =
              by_layers ? std::max(begin + prefill / one.layers + sending, prefilled + sending / one.layers)
                        : prefilled + (push ? 0 : 1) + sending;
          const std::int64_t arrived = there + kLatency;
          const auto at = [](Instant t) { return t.time_since_epoch().count(); };
          BOOST_TEST_CONTEXT("push " << push << " by layers " << by_layers << " told by prefill "
                                     << tells_first << " rate " << rate) {
            BOOST_TEST(at(row.stages.prefilled) == prefilled);
            BOOST_TEST(std::abs(at(row.stages.transfer_end) - arrived) <= 2);
            const std::int64_t first = tells_first ? prefilled : arrived + decode(kInput);
            BOOST_TEST(std::abs(at(row.first_token) - first) <= 2);
            const std::int64_t last = tells_first ? arrived + decode(kInput + 1) : first + decode(kInput + 1);
            BOOST_TEST(std::abs(at(row.last_token) - last) <= 3);
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
