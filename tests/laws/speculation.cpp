// Speculative decoding: the speed-up is that of Leviathan, Kalman and Matias 2023 where steps cost what they
// assume, draws do not depend on the schedule, and nothing of the other laws breaks.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>

#include "hwmodels/affine_timer.h"
#include "hwmodels/speculation.h"
#include "sim/base/config.h"
#include "sim/base/rng.h"
#include "sim/kv/allocators.h"
#include "sim/sched/batch.h"
#include "sim/sched/drawn_speculation.h"
#include "tests/support/explained.h"
#include "tests/support/sources.h"

namespace kvcast {
namespace {

constexpr double kTargetUs = 10'000;

struct Served {
  RunRecord record;
  test::Watcher watcher;
};

/// A vLLM engine with room for everybody, whose every step takes kTargetUs and every drafting pass a share
/// of it.
struct Engine {
  ClusterSetup setup;
  std::unique_ptr<Speculation> speculation;
  std::unique_ptr<StepTimer> timer;

  Engine(const DrawnSpeculationSettings* settings, double pass_share, std::int64_t max_num_seqs) {
    Config config = Config::from_text(
        fmt::format("max_num_seqs: {}\nmax_num_batched_tokens: 65536\n", max_num_seqs), "law.yaml");
    EngineDefaults defaults;
    defaults.max_model_len = setup.engine.max_model_len = Tokens{1 << 20};
    setup.engine.scheduler = make_vllm_v1(config, defaults);
    setup.engine.order = queue_order_catalog().find("fcfs", "law").make(config);
    CachedBlocksSettings layers;
    layers.groups = {KvGroup{16, 0, std::nullopt}};
    layers.unit = layers.hash_unit = 16;
    setup.engine.allocator = allocator_catalog().find("paged", "law").make(config, layers);
    setup.engine.pool = {Blocks{1 << 20}, Tokens{16}};
    setup.engine.path = StepPath::step_by_step;
    setup.engine.batch = vllm_batch_rules(defaults.version);
    Config cluster = Config::empty("law");
    setup.router = router_catalog().find("round-robin", "law").make(cluster);
    timer = make_affine_timer({.base_us = kTargetUs, .per_token_us = 0, .per_context_token_us = 0});
    if (settings == nullptr) return;
    speculation = make_drawn_speculation(*settings);
    setup.engine.batch.speculation = speculation.get();
    auto pass =
        make_affine_timer({.base_us = pass_share * kTargetUs, .per_token_us = 0, .per_context_token_us = 0});
    timer = make_speculative_timer(std::move(timer), make_model_drafter(std::move(pass), {}));
  }

  [[nodiscard]] Served serve(std::int64_t requests, std::int64_t output) {
    std::vector<Request> list;
    for (std::int64_t i = 0; i < requests; ++i) {
      Request request;
      request.id = static_cast<RequestId>(i);
      request.arrival = kStart;
      request.input = Tokens{7};
      request.output = Tokens{output};
      list.push_back(std::move(request));
    }
    Served served;
    RunHooks hooks;
    hooks.requests = &served.watcher;
    hooks.steps = &served.watcher;
    served.record = run(setup, test::list_source(list), *timer, hooks);
    return served;
  }
};

/// Between the first token and the last, of all requests, nanoseconds.
double decode_ns(const Served& served) {
  double sum = 0;
  for (const auto& [id, row] : served.watcher.rows)
    sum += static_cast<double>((row.last_token - row.first_token).count());
  return sum;
}

/// Variance of the tokens that a verification of k drafts delivers, each accepted with probability a.
double variance_of(double a, std::int64_t k) {
  double mean = 0, square = 0;
  for (std::int64_t n = 0; n <= k; ++n) {
    const double p = std::pow(a, static_cast<double>(n)) * (n < k ? 1 - a : 1);
    mean += p * static_cast<double>(n + 1);
    square += p * static_cast<double>((n + 1) * (n + 1));
  }
  return square - mean * mean;
}

BOOST_AUTO_TEST_SUITE(speculation)

/// Theorem 3.8: (1 - a^(k + 1)) / ((1 - a) (k c + 1)), k drafts, c the time of a drafting pass in steps of
/// the target.
BOOST_AUTO_TEST_CASE(speedup_is_that_of_leviathan_et_al) {
  constexpr std::int64_t kRequests = 4;
  constexpr std::int64_t kOutput = 10'000;
  RandomStream random(test::law_seed(), "laws/leviathan");
  double squares = 0;
  const int runs = test::law_runs(60);
  for (int i = 0; i < runs; ++i) {
    const double a = 0.02 + 0.96 * random.uniform();
    const std::int64_t k = random.integer(1, 9);
    const double c = random.integer(0, 3) == 0 ? 0 : 0.3 * random.uniform();
    DrawnSpeculationSettings settings;
    settings.num_speculative_tokens = k;
    settings.acceptance = {a};
    settings.seed = test::law_seed() + static_cast<std::uint64_t>(i);
    const Served plain = Engine(nullptr, 0, 64).serve(kRequests, kOutput);
    const Served drafted = Engine(&settings, c, random.integer(0, 1) == 0 ? 1 : 64).serve(kRequests, kOutput);
    const double speedup = decode_ns(plain) / decode_ns(drafted);
    const double expected = (1 - std::pow(a, static_cast<double>(k + 1))) / (1 - a);
    BOOST_TEST(expected_tokens({a}, k) == expected, boost::test_tools::tolerance(1e-12));
    const double formula = expected / (static_cast<double>(k) * c + 1);
    const double verifications = static_cast<double>(kRequests * kOutput) / expected;
    const double error = std::sqrt(variance_of(a, k) / verifications) / expected;
    // The last verification of an answer delivers what is left of it: up to k tokens less.
    const double cut = static_cast<double>(kRequests * k) / static_cast<double>(kRequests * kOutput);
    BOOST_TEST_CONTEXT("a " << a << ", k " << k << ", c " << c << ": " << speedup << " for " << formula) {
      BOOST_TEST(std::abs(speedup / formula - 1) < 4 * error + cut);
    }
    squares += std::pow((speedup / formula - 1) / error, 2);
  }
  // All deviations together are as large as chance makes them: chi-square, 5 standard deviations.
  BOOST_TEST(squares < runs + 5 * std::sqrt(2.0 * runs) + 1);
  BOOST_TEST_MESSAGE("mean squared deviation, in standard errors: " << squares / runs);
}

/// Drafts whose fate is certain: every time is known to the nanosecond, for any batch.
BOOST_AUTO_TEST_CASE(certain_drafts_are_exact) {
  for (const std::int64_t k : {1, 2, 3, 5, 8}) {
    for (std::int64_t good = 0; good <= k; ++good) {
      for (const std::int64_t requests : {1, 5}) {
        DrawnSpeculationSettings settings;
        settings.num_speculative_tokens = k;
        settings.acceptance.assign(static_cast<std::size_t>(good), 1.0);
        settings.acceptance.push_back(good == k ? 1.0 : 0.0);
        constexpr std::int64_t kOutput = 1000;
        constexpr double kShare = 0.125;
        const Served served = Engine(&settings, kShare, 64).serve(requests, kOutput);
        const std::int64_t steps = ceil_div(kOutput - 1, good + 1);
        const auto each = static_cast<std::int64_t>(1e3 * kTargetUs * (1 + static_cast<double>(k) * kShare));
        BOOST_TEST_CONTEXT("k " << k << ", accepted " << good) {
          for (const auto& [id, row] : served.watcher.rows)
            BOOST_TEST((row.last_token - row.first_token).count() == steps * each);
          BOOST_TEST(served.record.speculation.accepted_tokens == requests * steps * good);
        }
      }
    }
  }
}

/// Batches, budgets and neighbours change when a request's drafts are verified, never how they fare.
BOOST_AUTO_TEST_CASE(draws_do_not_depend_on_the_schedule) {
  DrawnSpeculationSettings settings;
  settings.num_speculative_tokens = 4;
  settings.acceptance = {0.9, 0.7, 0.5};
  const auto fates = [&](std::int64_t max_num_seqs) {
    std::map<std::uint64_t, std::vector<std::int64_t>> accepted;
    const Served served = Engine(&settings, 0.1, max_num_seqs).serve(20, 300);
    for (const StepRecord& step : served.watcher.steps) {
      for (const StepRecord::Drafted& drafted : step.drafted)
        accepted[to_number(drafted.id)].push_back(drafted.accepted);
    }
    return accepted;
  };
  const auto alone = fates(1), together = fates(64);
  BOOST_TEST(alone.size() == 20U);
  BOOST_TEST((alone == together));
}

/// No drafts from some batch size on, and lengths that follow how drafts fare.
BOOST_AUTO_TEST_CASE(lengths_adapt) {
  DrawnSpeculationSettings settings;
  settings.num_speculative_tokens = 5;
  settings.acceptance = {1.0};
  settings.disable_by_batch_size = 8;
  const auto tpot = [&](std::int64_t requests) {
    return Engine(&settings, 0.1, 64).serve(requests, 600).record.tpot.percentile_ns(50);
  };
  BOOST_TEST(tpot(7) < 0.3 * 1e3 * kTargetUs);
  BOOST_TEST(tpot(8) > 0.9 * 1e3 * kTargetUs);

  settings.disable_by_batch_size = 0;
  settings.length = DraftLength::heuristic;
  settings.acceptance = {0.0};  // nothing is ever accepted: one draft a step, after the first few
  const Served bad = Engine(&settings, 0.1, 64).serve(1, 600);
  BOOST_TEST(bad.record.speculation.draft_tokens == 5 + 4 + 3 + 2 + 595);
  settings.acceptance = {1.0};
  const Served good = Engine(&settings, 0.1, 64).serve(1, 601);
  BOOST_TEST(good.record.speculation.draft_tokens == good.record.speculation.drafts * 5);
}

/// Random deployments with random speculation: requests are conserved, outputs are as long as they should be,
/// and the parts of every request's time sum to it.
BOOST_AUTO_TEST_CASE(other_laws_hold) {
  std::int64_t verified = 0;
  for (int i = 0; i < test::law_runs(400); ++i) {
    const std::uint64_t seed = test::law_seed() + static_cast<std::uint64_t>(i);
    test::RandomRun random = test::random_run(seed, {"vllm-v1", "paged"});
    RandomStream draws(seed, "laws/speculation");
    DrawnSpeculationSettings settings;
    settings.num_speculative_tokens = draws.integer(1, 8);
    for (std::int64_t n = draws.integer(1, 4); n > 0; --n) settings.acceptance.push_back(draws.uniform());
    if (draws.integer(0, 2) == 0) settings.length = DraftLength::heuristic;
    if (draws.integer(0, 2) == 0) settings.disable_by_batch_size = draws.integer(1, 20);
    if (draws.integer(0, 2) == 0) settings.proposal_rate = draws.uniform();
    settings.with_target = draws.integer(0, 1) == 0;
    settings.seed = seed;
    const std::unique_ptr<Speculation> speculation = make_drawn_speculation(settings);
    random.setup.engine.batch.speculation = speculation.get();
    BOOST_TEST_CONTEXT(random.text) {
      const test::Explained explained = test::explain_run(random.setup, random.source, *random.timer);
      BOOST_REQUIRE_EQUAL(test::problem_of(explained), "");
      const RunRecord& r = explained.record;
      BOOST_REQUIRE_EQUAL(r.arrived,
                          r.completed + r.rejected_too_long + r.rejected_never_fits + r.unfinished);
      for (const auto& [id, row] : explained.watcher.rows) {
        if (row.outcome != Outcome::completed) continue;
        const Request& asked = random.requests[id];
        Tokens output = asked.output;
        if (asked.output_limit > Tokens{0}) output = std::min(output, asked.output_limit);
        BOOST_REQUIRE(row.output == std::min(output, random.setup.engine.max_model_len - asked.input));
      }
      BOOST_REQUIRE_LE(r.speculation.accepted_tokens, r.speculation.draft_tokens);
      verified += r.speculation.draft_tokens;
    }
  }
  if (test::law_runs(400) >= 400) BOOST_TEST(verified > 100'000);
}

/// The work of a verification on a data sheet: KV is read once, arithmetic grows with the drafts.
BOOST_AUTO_TEST_CASE(a_batch_at_which_it_stops_paying) {
  // Memory-bound below 100 tokens a step, compute-bound above: max(1, tokens / 100) as an affine pair.
  class Knee final : public StepTimer {
   public:
    [[nodiscard]] StepCost step(const StepShape& shape) const override {
      return {FineDuration{std::max<std::int64_t>(1000, 10 * shape.tokens) << kFineBits}, 0, 0};
    }
    [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t /*context*/) const override {
      DecodeLine line;
      line.base = step({.tokens = seqs});
      return line;
    }
  };
  const Knee timer;
  // Three drafts, of which one is accepted: 2 tokens for max(1000, 40 n) against 1 for max(1000, 10 n).
  // 2 / (40 n) > 1 / 1000 up to n = 49.
  BOOST_TEST(largest_paying_batch(timer, 100, 3, 2.0, 1000) == 49);
  BOOST_TEST(largest_paying_batch(timer, 100, 3, 1.0, 1000) == 0);
  BOOST_TEST(speculation_point(timer, 10, 100, 3, 2.0).speedup() == 2.0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
