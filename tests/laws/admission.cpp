// What admission promises: buckets that never give more than they hold, loss systems that theory knows, and
// nothing lost. A failure names the seed.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>

#include "hwmodels/affine_timer.h"
#include "sim/base/config.h"
#include "tests/support/poisson_source.h"
#include "tests/support/random_runs.h"
#include "tests/support/single_servers.h"

namespace kvcast {
namespace {

using test::kMeanSteps, test::kStepNs, test::MarkovSource;

BOOST_AUTO_TEST_SUITE(admission)

/// Erlang's B formula: the share that k servers without a queue refuse.
double erlang_loss(int k, double offered) {
  double loss = 1;
  for (int i = 1; i <= k; ++i) loss = offered * loss / (i + offered * loss);
  return loss;
}

/// M/M/1/K: the share that finds K inside.
double full_share(double load, int k) { return (1 - load) * std::pow(load, k) / (1 - std::pow(load, k + 1)); }

double refused_share(std::int64_t replicas, std::int64_t inflight_max, double load, std::int64_t count) {
  const auto timer =
      make_affine_timer({.base_us = kStepNs / 1e3, .per_token_us = 0, .per_context_token_us = 0});
  Config cluster = Config::from_text("router_max_requests: 1\n", "admission");
  ClusterSetup setup = test::single_servers(replicas, make_central_queue(cluster));
  auto spec = std::make_shared<AdmissionSpec>();
  spec->inflight_max = inflight_max;
  setup.admission = spec;
  const double gap = kMeanSteps * kStepNs / (static_cast<double>(replicas) * load);
  const RunRecord r = run(
      setup, [&] { return std::make_unique<MarkovSource>(gap, count); }, *timer, RunHooks{});
  BOOST_REQUIRE_EQUAL(r.arrived, count);
  BOOST_REQUIRE_EQUAL(r.completed + r.rejected_overload, count);
  return static_cast<double>(r.rejected_overload) / static_cast<double>(count);
}

BOOST_AUTO_TEST_CASE(bound_on_requests_inside_loses_what_erlang_says) {
  const std::int64_t count = 400'000 * test::law_length();
  const auto check = [](const std::string& name, double seen, double exact) {
    BOOST_TEST_MESSAGE(name << ": refused " << seen << ", exact " << exact << ", error "
                            << (seen / exact - 1) * 100 << " %");
    BOOST_TEST(std::abs(seen / exact - 1) <= 0.02, name);
  };
  for (const int k : {2, 8, 32}) {
    for (const double load : {0.8, 1.0, 1.5}) {
      check("M/M/" + std::to_string(k) + "/" + std::to_string(k) + " at load " + std::to_string(load),
            refused_share(k, k, load, count), erlang_loss(k, k * load));
    }
  }
  for (const double load : {0.8, 0.95, 1.5}) {
    check("M/M/1/10 at load " + std::to_string(load), refused_share(1, 10, load, count),
          full_share(load, 10));
  }
}

/// A random run with limits that bite.
std::shared_ptr<AdmissionSpec> random_admission(std::uint64_t seed) {
  RandomStream random(seed, "laws/admission");
  auto spec = std::make_shared<AdmissionSpec>();
  for (std::int64_t i = random.integer(0, 2); i > 0; --i) {
    RateLimit limit;
    limit.unit = random.uniform() < 0.5 ? RateLimit::Unit::requests : RateLimit::Unit::tokens;
    const bool tokens = limit.unit == RateLimit::Unit::tokens;
    limit.per_s = random.uniform() * (tokens ? 20'000 : 50) + 0.1;
    limit.burst = random.integer(1, tokens ? 3000 : 12);
    limit.per_tenant = random.uniform() < 0.5;
    spec->rate_limits.push_back(limit);
  }
  if (random.uniform() < 0.5) spec->inflight_max = random.integer(1, 30);
  if (random.uniform() < 0.5) {
    spec->shedding = Shedding{.priority_above = static_cast<std::int32_t>(random.integer(-1, 1)),
                              .waiting_max = random.integer(0, 6),
                              .kv_usage_max = random.uniform()};
    spec->scrape_interval = Duration{random.integer(1'000'000, 1'000'000'000)};
  }
  return spec;
}

template <class Law>
void for_each_run(int runs, Law law) {
  for (int i = 0; i < test::law_runs(runs); ++i) {
    const std::uint64_t seed = test::law_seed() + static_cast<std::uint64_t>(i);
    test::RandomRun random = test::random_run(seed);
    const auto spec = random_admission(seed);
    random.setup.admission = spec;
    BOOST_TEST_CONTEXT(random.text) { law(random, *spec); }
  }
}

/// In no stretch of time do more units pass than the bucket holds and what flows in meanwhile. The greedy
/// bucket lets every request pass that this allows.
void check_bucket(const RateLimit& limit, const test::RandomRun& random, const test::Watcher& watcher,
                  bool alone) {
  struct Level {
    double units;
    Instant at;
  };
  std::map<std::uint32_t, Level> levels;
  std::map<std::pair<Instant, std::uint64_t>, const Request*> in_order;
  for (const Request& request : random.requests)
    in_order[{request.arrival, to_number(request.id)}] = &request;
  for (const auto& [key, request] : in_order) {
    const RequestRow& row = watcher.rows.at(to_number(request->id));
    const auto units = static_cast<double>(
        limit.unit == RateLimit::Unit::requests ? 1 : (request->input + request->output_limit).value);
    const auto burst = static_cast<double>(limit.burst);
    Level& level = levels.try_emplace(limit.per_tenant ? request->tenant : 0, Level{burst, request->arrival})
                       .first->second;
    const double elapsed_s = static_cast<double>((request->arrival - level.at).count()) * 1e-9;
    level = {std::min(burst, level.units + elapsed_s * limit.per_s), request->arrival};
    constexpr double kRounding = 1e-3;  // of a unit: the law counts in floating point
    if (row.outcome == Outcome::rejected_rate_limit) {
      if (alone) BOOST_REQUIRE_LT(level.units, units + kRounding);
    } else if (row.outcome != Outcome::rejected_overload) {
      BOOST_REQUIRE_GT(level.units, units - kRounding);
      level.units -= units;
    }
  }
}

BOOST_AUTO_TEST_CASE(nothing_lost_and_buckets_hold) {
  std::int64_t limited = 0, overload = 0;
  for_each_run(600, [&](const test::RandomRun& random, const AdmissionSpec& spec) {
    test::Watcher watcher;
    RunHooks hooks;
    hooks.requests = &watcher;
    const RunRecord r = run(random.setup, random.source, *random.timer, hooks);
    BOOST_REQUIRE_EQUAL(r.arrived, r.completed + r.rejected_too_long + r.rejected_never_fits +
                                       r.rejected_rate_limit + r.rejected_overload + r.unfinished);
    BOOST_REQUIRE_EQUAL(static_cast<std::int64_t>(watcher.rows.size()), r.arrived);
    for (const auto& [id, times] : watcher.reports) BOOST_REQUIRE_EQUAL(times, 1);
    limited += r.rejected_rate_limit;
    overload += r.rejected_overload;
    if (random.closed_loop || r.arrived < static_cast<std::int64_t>(random.requests.size())) return;
    for (const RateLimit& limit : spec.rate_limits)
      check_bucket(limit, random, watcher, spec.rate_limits.size() == 1);
  });
  if (test::law_runs(600) < 600) return;  // the runs must reach what the law is about
  BOOST_TEST(limited > 1000);
  BOOST_TEST(overload > 1000);
}

BOOST_AUTO_TEST_CASE(equal_for_any_number_of_threads_and_both_step_paths) {
  for_each_run(300, [](test::RandomRun& random, const AdmissionSpec&) {
    const RunHooks none;
    const auto text = [&](unsigned threads) {
      const RunRecord r = run(random.setup, random.source, *random.timer, none, threads);
      return test::text_of(r) + std::to_string(r.rejected_rate_limit) + " " +
             std::to_string(r.rejected_overload);
    };
    random.setup.engine.path = StepPath::closed_form;
    const std::string once = text(1);
    BOOST_REQUIRE_EQUAL(once, text(2));
    random.setup.engine.path = StepPath::step_by_step;
    BOOST_REQUIRE_EQUAL(once, text(5));
  });
}

/// Limits that nothing reaches change nothing.
BOOST_AUTO_TEST_CASE(wide_limits_equal_none) {
  for_each_run(200, [](test::RandomRun& random, const AdmissionSpec&) {
    auto wide = std::make_shared<AdmissionSpec>();
    wide->rate_limits = {{RateLimit::Unit::requests, 1e9, 1'000'000, true},
                         {RateLimit::Unit::tokens, 1e12, std::int64_t{1} << 40, false}};
    wide->inflight_max = 1'000'000;
    random.setup.admission = wide;
    const std::string limited = test::text_of(run(random.setup, random.source, *random.timer, RunHooks{}));
    random.setup.admission = nullptr;
    BOOST_REQUIRE_EQUAL(limited, test::text_of(run(random.setup, random.source, *random.timer, RunHooks{})));
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
