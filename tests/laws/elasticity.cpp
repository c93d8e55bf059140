// What must hold in clusters whose replicas start, drain, fail, hang, slow down and are scaled, behind every
// router and with every scheduler. A failure names the seed; KVCAST_LAW_SEED=seed KVCAST_LAW_RUNS=1 repeats
// it.
#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>

#include "sim/base/config.h"
#include "sim/kv/allocators.h"
#include "sim/sched/scheduler.h"
#include "sim/sglang/sglang_engine.h"
#include "tests/support/random_runs.h"
#include "tests/support/sources.h"

namespace kvcast {
namespace {

constexpr int kRunsEach = 25;
constexpr int kRuns = 300;
constexpr std::int64_t kReplicasMax = 64;
constexpr const char* kSglang = "sglang";

template <class T>
const T& any_of(RandomStream& random, const std::vector<T>& values) {
  return values[static_cast<std::size_t>(random.integer(0, std::ssize(values) - 1))];
}

/// How long the run is, roughly: so that troubles fall into it.
Duration length_of(const test::RandomRun& run) {
  const Instant last = run.requests.back().arrival;
  return std::max<Duration>(last - kStart, Duration{500'000'000});
}

Duration random_part(RandomStream& random, Duration length, double most) {
  return Duration{1 +
                  static_cast<std::int64_t>(random.uniform() * most * static_cast<double>(length.count()))};
}

std::vector<FleetEvent> random_events(RandomStream& random, Duration length, std::int64_t replicas) {
  std::vector<FleetEvent> events;
  for (std::int64_t i = random.integer(0, 2 * std::min<std::int64_t>(replicas, 8)); i > 0; --i) {
    FleetEvent event;
    event.at = kStart + random_part(random, length, 1.2);
    if (random.uniform() < 0.2)
      event.at = kStart + Duration{event.at.time_since_epoch().count() / 1'000'000 * 1'000'000};
    event.action = any_of<FleetAction>(
        random, {FleetAction::start, FleetAction::drain, FleetAction::fail, FleetAction::fail,
                 FleetAction::hang, FleetAction::slow, FleetAction::upgrade});
    event.replica = static_cast<std::size_t>(random.integer(0, replicas - 1));
    if (random.uniform() < 0.8) event.lasts = random_part(random, length, 0.3);
    event.factor = any_of<double>(random, {1.5, 2, 10});
    events.push_back(event);
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const FleetEvent& a, const FleetEvent& b) { return a.at < b.at; });
  return events;
}

AutoscalerSetup random_autoscaler(RandomStream& random, Duration length, std::int64_t replicas) {
  AutoscalerSetup scaler;
  scaler.metric = any_of<ScaleMetric>(random, {ScaleMetric::queue, ScaleMetric::concurrency,
                                               ScaleMetric::kv_usage, ScaleMetric::ttft, ScaleMetric::rate});
  scaler.target = scaler.metric == ScaleMetric::kv_usage ? 0.3 : any_of<double>(random, {0.5, 3, 30, 200});
  scaler.replicas_max = replicas;
  scaler.replicas_min = random.integer(1, replicas);
  scaler.interval = std::max(Duration{1'000'000}, random_part(random, length, 0.1));
  scaler.up_window = random.uniform() < 0.5 ? Duration{} : random_part(random, length, 0.1);
  scaler.down_window = random_part(random, length, 0.3);
  scaler.rate_window = random_part(random, length, 0.3);
  scaler.horizon = random_part(random, length, 0.1);
  return scaler;
}

FleetSetup random_fleet(std::uint64_t seed, const std::string& name, const test::RandomRun& run) {
  RandomStream random(seed, "laws/elasticity/" + name);
  const Duration length = length_of(run);
  FleetSetup fleet;
  fleet.seed = seed;
  fleet.replicas = random.integer(0, run.setup.replicas);
  if (fleet.replicas == 0 || random.uniform() < 0.5) fleet.replicas = run.setup.replicas;
  fleet.events = random_events(random, length, run.setup.replicas);
  const auto trouble = [&](std::optional<RandomTrouble>& one) {
    if (random.uniform() < 0.6) return;
    one = RandomTrouble{.mtbf = random_part(random, length, 2),
                        .mttr = random_part(random, length, 0.2),
                        .factor = any_of<double>(random, {1.25, 3})};
  };
  trouble(fleet.failures);
  trouble(fleet.hangs);
  trouble(fleet.slowdowns);
  if (random.uniform() < 0.6) {
    fleet.health_check = HealthCheck{.interval = random_part(random, length, 0.05),
                                     .timeout = random_part(random, length, 0.01),
                                     .failures = random.integer(1, 3)};
  }
  if (random.uniform() < 0.4) fleet.drain_timeout = random_part(random, length, 0.2);
  if (random.uniform() < 0.7) fleet.load_time = random_part(random, length, 0.2);
  fleet.retry.mode = any_of<RetryMode>(
      random, {RetryMode::none, RetryMode::resend, RetryMode::resend, RetryMode::resume, RetryMode::resume});
  fleet.retry.retries_max = static_cast<std::int32_t>(random.integer(1, 4));
  if (random.uniform() < 0.5) fleet.retry.delay = random_part(random, length, 0.05);
  if (random.uniform() < 0.4) fleet.autoscaler = random_autoscaler(random, length, run.setup.replicas);
  return fleet;
}

SglangSettings random_settings(RandomStream& random, std::int64_t page) {
  SglangSettings settings;
  settings.schedule_policy =
      sglang_policy_catalog().find(any_of(random, sglang_policy_catalog().names()), "law").make;
  settings.chunked_prefill_size = page * random.integer(1, 60);
  settings.max_running_requests = any_of<std::int64_t>(random, {1, 4, 32});
  settings.overlap_schedule = random.uniform() < 0.6;
  settings.disable_radix_cache = random.uniform() < 0.3;
  settings.ignore_eos = random.uniform() < 0.3;
  settings.output_segment = [](const Request& request) { return 1'000'000 + to_number(request.id); };
  return settings;
}

/// A run of this scheduler behind this router (empty: any), in front of replicas that come and go.
test::RandomRun run_of(const std::string& scheduler, const std::string& router, std::uint64_t seed) {
  const bool sglang = scheduler == kSglang;
  test::RandomRun run = test::random_run(
      seed,
      {.scheduler = sglang ? "" : scheduler, .allocator = "", .several_answers = !sglang && seed % 3 == 0});
  RandomStream random(seed, "laws/elasticity/" + scheduler + router);
  run.setup.replicas = any_of<std::int64_t>(random, {1, 2, 3, 6, random.integer(1, kReplicasMax)});
  if (!router.empty()) {
    const char* knowledge = seed % 2 == 1 ? "exact" : "approximate";
    Config keys = Config::from_text(std::string("prefix_index: ") + knowledge + "\n", "elasticity");
    run.setup.router = router_catalog().find(router, "law").make(keys);
  }
  if (random.uniform() < 0.2) {
    AdmissionSpec admission;
    admission.inflight_max = random.integer(1, 60);
    run.setup.admission = std::make_shared<const AdmissionSpec>(admission);
  }
  if (sglang) {
    run.setup.engine.make =
        make_sglang_engine(random_settings(random, run.setup.engine.pool.block_size.value));
  }
  auto fleet = std::make_shared<FleetSetup>(random_fleet(seed, scheduler + router, run));
  run.text += fmt::format("\n{} replicas at first {}, {} behind {}, {} events, retry {} x{}, {}{}{}{}\n",
                          run.setup.replicas, fleet->replicas, scheduler, router, fleet->events.size(),
                          static_cast<int>(fleet->retry.mode), fleet->retry.retries_max,
                          fleet->failures ? "failures " : "", fleet->hangs ? "hangs " : "",
                          fleet->slowdowns ? "slowdowns " : "", fleet->autoscaler ? "scaled" : "");
  run.setup.fleet = std::move(fleet);
  return run;
}

/// Every router, and every family of schedulers.
template <class Law>
void for_each_cluster(Law law) {
  const std::uint64_t first = test::law_seed();
  const auto one = [&](const std::string& scheduler, const std::string& router, int i) {
    test::RandomRun random = run_of(scheduler, router, first + static_cast<std::uint64_t>(i));
    BOOST_TEST_CONTEXT(random.text) { law(random); }
  };
  for (const std::string& router : router_catalog().names()) {
    for (int i = 0; i < test::law_runs(kRunsEach); ++i) one("", router, i);
  }
  std::vector<std::string> schedulers = scheduler_catalog().names();
  schedulers.emplace_back(kSglang);
  for (const std::string& scheduler : schedulers) {
    for (int i = 0; i < test::law_runs(kRunsEach); ++i) one(scheduler, "", i);
  }
  for (int i = 0; i < test::law_runs(kRuns); ++i) one("", "", i);
}

struct Seen {
  RunRecord record;
  test::Watcher watcher;
};

Seen watch(const test::RandomRun& random, StepPath path) {
  ClusterSetup setup = random.setup;
  setup.engine.path = path;
  Seen seen;
  RunHooks hooks;
  hooks.requests = &seen.watcher;
  seen.record = run(setup, random.source, *random.timer, hooks);
  return seen;
}

std::string text_of(const Seen& seen) {
  std::string text = test::text_of(seen.record);
  for (const auto& [id, row] : seen.watcher.rows) text += test::text_of(row) + "\n";
  return text;
}

/// Spans [from, to) in which each replica has an engine that steps, as the events tell.
using Lives = std::map<std::uint32_t, std::vector<std::pair<Instant, Instant>>>;
Lives lives_of(const RunRecord& record, const FleetSetup& fleet) {
  Lives lives;
  const auto late = [&](std::uint32_t i) {
    for (const FleetEvent& event : fleet.events) {
      if (event.action != FleetAction::upgrade && event.replica == i)
        return event.action == FleetAction::start;
    }
    return false;
  };
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(fleet.replicas); ++i) {
    if (!late(i)) lives[i].push_back({kStart, kNever});
  }
  for (const FleetEventNote& note : record.fleet.events) {
    auto& spans = lives[note.replica];
    const bool alive = !spans.empty() && spans.back().second == kNever;
    if (note.kind == FleetEventKind::ready) spans.push_back({note.at, kNever});
    const bool ends = note.kind == FleetEventKind::fails || note.kind == FleetEventKind::stops ||
                      note.kind == FleetEventKind::taken_out || note.kind == FleetEventKind::starts;
    if (ends && alive) spans.back().second = note.at;
  }
  return lives;
}

BOOST_AUTO_TEST_SUITE(elasticity)

/// Every request is told once, with one end; nothing happens before its cause, and only on replicas that are
/// there.
BOOST_AUTO_TEST_CASE(nothing_lost_and_nothing_before_its_cause) {
  std::int64_t retried = 0, failed = 0, unfinished = 0;
  for_each_cluster([&](const test::RandomRun& random) {
    const Seen seen = watch(random, StepPath::closed_form);
    const RunRecord& r = seen.record;
    BOOST_REQUIRE_EQUAL(r.arrived, r.completed + r.rejected_too_long + r.rejected_never_fits +
                                       r.rejected_rate_limit + r.rejected_overload + r.unfinished +
                                       r.retry.failed);
    BOOST_REQUIRE_EQUAL(std::ssize(seen.watcher.rows), r.arrived);
    if (!random.setup.sim_time_max && !random.closed_loop)
      BOOST_REQUIRE_EQUAL(r.arrived, std::ssize(random.requests));
    for (const auto& [id, times] : seen.watcher.reports) BOOST_REQUIRE_EQUAL(times, 1);
    const Lives lives = lives_of(r, *random.setup.fleet);
    for (const auto& [id, row] : seen.watcher.rows) {
      BOOST_REQUIRE_LT(static_cast<std::int64_t>(to_index(row.replica)), random.setup.replicas);
      BOOST_REQUIRE(row.arrival <= row.received);
      if (row.first_token != kNever) BOOST_REQUIRE(row.scheduled <= row.first_token);
      if (row.scheduled != kNever) BOOST_REQUIRE(row.arrival <= row.scheduled);
      BOOST_REQUIRE_LE(row.retries, random.setup.fleet->retry.retries_max);
      if (row.outcome != Outcome::completed) continue;
      BOOST_REQUIRE(row.scheduled <= row.first_token);
      BOOST_REQUIRE(row.first_token <= row.last_token);
      // Received and answered by one engine.
      const auto spans = lives.find(static_cast<std::uint32_t>(to_index(row.replica)));
      BOOST_REQUIRE(spans != lives.end());
      BOOST_REQUIRE(std::any_of(spans->second.begin(), spans->second.end(), [&](const auto& span) {
        return span.first <= row.received && row.last_token <= span.second;
      }));
    }
    retried += r.retry.retried;
    failed += r.retry.failed;
    unfinished += r.unfinished;
  });
  if (test::law_runs(kRuns) < kRuns) return;
  BOOST_TEST_MESSAGE(retried << " retried, " << failed << " failed, " << unfinished << " unfinished");
  BOOST_TEST(retried > 1000);  // the random clusters must reach what the law is about
  BOOST_TEST(failed > 1000);
}

/// However often a request is sent again, its client gets each token once: one TTFT, and one gap before each
/// further token; the answers of those that complete are as long as without failures.
BOOST_AUTO_TEST_CASE(every_token_is_told_once) {
  std::int64_t continued = 0;
  for_each_cluster([&](const test::RandomRun& random) {
    const bool several = std::any_of(random.requests.begin(), random.requests.end(),
                                     [](const Request& request) { return test::answers_of(request) > 1; });
    if (several) return;
    const Seen seen = watch(random, StepPath::closed_form);
    std::int64_t first = 0, gaps = 0;
    for (const auto& [id, row] : seen.watcher.rows) {
      if (row.output == Tokens{0}) continue;
      ++first;
      gaps += row.output.value - 1;
      if (row.retries > 0 && row.output > Tokens{1}) ++continued;
      BOOST_REQUIRE(row.first_token != kNever);
      if (row.outcome != Outcome::completed) continue;
      const Request& asked = random.requests[id];
      const Tokens all =
          asked.output_limit > Tokens{0} ? std::min(asked.output, asked.output_limit) : asked.output;
      const Tokens fits = random.setup.engine.max_model_len - asked.input;
      BOOST_REQUIRE(row.output <= all);
      if (random.setup.engine.make.target_type() == typeid(&make_replica))
        BOOST_REQUIRE_EQUAL(row.output.value, std::min(all, fits).value);
    }
    BOOST_REQUIRE_EQUAL(seen.record.ttft.count(), first);
    BOOST_REQUIRE_EQUAL(seen.record.itl.total(), gaps);
  });
  if (test::law_runs(kRuns) >= kRuns) BOOST_TEST(continued > 1000);
}

BOOST_AUTO_TEST_CASE(equal_for_any_number_of_threads_and_both_step_paths) {
  for_each_cluster([](test::RandomRun& random) {
    const RunHooks none;
    const std::string once = text_of(watch(random, StepPath::closed_form));
    BOOST_REQUIRE_EQUAL(once, text_of(watch(random, StepPath::step_by_step)));
    const std::string record = test::text_of(run(random.setup, random.source, *random.timer, none, 1));
    for (const unsigned threads : {2U, 5U})
      BOOST_REQUIRE_EQUAL(record,
                          test::text_of(run(random.setup, random.source, *random.timer, none, threads)));
  });
}

/// Replicas that are all there, with health checks and nothing to check: as if there were no such thing. Nor
/// does anything matter that is to happen after the end.
BOOST_AUTO_TEST_CASE(nothing_happens_nothing_changes) {
  for_each_cluster([](test::RandomRun& random) {
    FleetSetup quiet;
    quiet.replicas = random.setup.replicas;
    quiet.health_check = HealthCheck{};
    quiet.load_time = Duration{1'000'000'000};
    random.setup.fleet = nullptr;
    const Seen plain = watch(random, StepPath::closed_form);
    if (plain.record.stuck) return;  // it has no end: who waits for ever is helped by what happens later
    const std::string without = text_of(plain);
    const auto with = [&](const FleetSetup& fleet) {
      random.setup.fleet = std::make_shared<const FleetSetup>(fleet);
      Seen seen = watch(random, StepPath::closed_form);
      BOOST_REQUIRE_EQUAL(seen.record.fleet.levels.size(), 1U);
      seen.record.fleet = {};
      return text_of(seen);
    };
    BOOST_REQUIRE_EQUAL(without, with(quiet));
    constexpr Duration kLongAfter{1'000'000'000'000'000};
    for (const FleetAction action : {FleetAction::fail, FleetAction::drain, FleetAction::hang,
                                     FleetAction::slow, FleetAction::upgrade, FleetAction::fail})
      quiet.events.push_back({.at = kStart + kLongAfter, .action = action, .lasts = {}, .factor = 2});
    BOOST_REQUIRE_EQUAL(without, with(quiet));
  });
}

/// GPU time held and ready against a walk over all moments at which anything changes, from the events alone.
BOOST_AUTO_TEST_CASE(replica_time_equals_brute_force) {
  for_each_cluster([](const test::RandomRun& random) {
    const RunRecord r = watch(random, StepPath::closed_form).record;
    if (r.last_token <= r.first_arrival || r.first_arrival == kNever) return;
    const FleetSetup& fleet = *random.setup.fleet;
    // Of each replica: whether it holds GPUs and whether it is ready, from each moment on.
    Int128 held = 0, ready = 0;
    const Lives at_start = lives_of(RunRecord{}, fleet);
    for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(random.setup.replicas); ++i) {
      bool holds = at_start.contains(i), is_ready = holds;
      Instant since = kStart;
      const auto until = [&](Instant at) {
        const Instant from = std::max(since, r.first_arrival);
        const Instant to = std::min(at, r.last_token);
        if (to > from && holds) held += (to - from).count();
        if (to > from && is_ready) ready += (to - from).count();
        since = at;
      };
      for (const FleetEventNote& note : r.fleet.events) {
        if (note.replica != i) continue;
        until(note.at);
        switch (note.kind) {
          case FleetEventKind::starts:
            holds = true;
            is_ready = false;
            break;
          case FleetEventKind::ready:
            is_ready = true;
            break;
          case FleetEventKind::drains:
          case FleetEventKind::fails:
          case FleetEventKind::taken_out:
            is_ready = false;
            break;
          case FleetEventKind::stops:
            holds = is_ready = false;
            break;
          case FleetEventKind::hangs:
          case FleetEventKind::recovers:
          case FleetEventKind::slows:
          case FleetEventKind::speeds_up:
            break;
        }
      }
      until(kNever);
    }
    const FleetTime time = integrate(r.fleet, r.first_arrival, r.last_token);
    BOOST_REQUIRE(time.held_ns == held);
    BOOST_REQUIRE(time.ready_ns == ready);
  });
}

/// A step costs the same whatever it does: 1 ms.
class FlatTimer final : public StepTimer {
 public:
  [[nodiscard]] StepCost step(const StepShape& /*shape*/) const override { return {kStep, 0, 0}; }
  [[nodiscard]] DecodeLine decode(std::int64_t /*seqs*/, std::int64_t /*context*/) const override {
    DecodeLine line;
    line.base.time = kStep;
    return line;
  }

 private:
  static constexpr FineDuration kStep{std::int64_t{1'000'000} << kFineBits};
};

constexpr Instant at_s(std::int64_t seconds) { return kStart + Duration{seconds * 1'000'000'000}; }

/// Evenly spaced arrivals at 10 a second, from 100 s on at 40, from 200 s to 300 s at 10 again. Each takes 3
/// ms.
std::vector<Request> load_in_steps() {
  std::vector<Request> requests;
  Instant now = kStart;
  while (now < at_s(300)) {
    Request request;
    request.id = static_cast<RequestId>(requests.size());
    request.arrival = now;
    request.input = Tokens{4};
    request.output = Tokens{3};
    requests.push_back(std::move(request));
    now += Duration{now >= at_s(100) && now < at_s(200) ? 25'000'000 : 100'000'000};
  }
  return requests;
}

/// Scaling by rate: looks every 10 s, 5 requests/s each, 20 s to load, 60 s of the down window. The first
/// look that counts 40 a second is at 110 s; the last that does is at 200 s, and is out of the window at 260
/// s.
BOOST_AUTO_TEST_CASE(autoscaler_follows_the_closed_form_of_a_load_in_steps) {
  test::RandomRun random = test::random_run(1, {.scheduler = "vllm-v1", .allocator = "paged"});
  random.setup.sim_time_max.reset();
  random.setup.replicas = 8;
  random.setup.engine.pool = {Blocks{1000}, Tokens{16}};
  Config keys = Config::empty("elasticity");
  random.setup.router = router_catalog().find("least-loaded", "law").make(keys);
  FleetSetup fleet;
  fleet.replicas = 2;
  fleet.load_time = Duration{20'000'000'000};
  AutoscalerSetup scaler;
  scaler.metric = ScaleMetric::rate;
  scaler.target = 5;
  scaler.replicas_max = 8;
  scaler.interval = scaler.rate_window = Duration{10'000'000'000};
  scaler.down_window = Duration{60'000'000'000};
  fleet.autoscaler = scaler;
  random.setup.fleet = std::make_shared<const FleetSetup>(fleet);
  random.requests = load_in_steps();
  const FlatTimer timer;
  const RunRecord r = run(random.setup, test::list_source(random.requests), timer, {});
  BOOST_REQUIRE_EQUAL(r.completed, std::ssize(random.requests));

  const std::vector<FleetLevel> expected{
      {kStart, 2, 2}, {at_s(110), 2, 8}, {at_s(130), 8, 8}, {at_s(260), 2, 2}};
  BOOST_REQUIRE_EQUAL(r.fleet.levels.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    BOOST_TEST((r.fleet.levels[i].at == expected[i].at));
    BOOST_TEST(r.fleet.levels[i].ready == expected[i].ready);
    BOOST_TEST(r.fleet.levels[i].held == expected[i].held);
  }
  constexpr Int128 kSecond = 1'000'000'000;
  const FleetTime time = integrate(r.fleet, kStart, at_s(300));
  BOOST_TEST((time.held_ns == (2 * 110 + 8 * 150 + 2 * 40) * kSecond));
  BOOST_TEST((time.ready_ns == (2 * 130 + 8 * 130 + 2 * 40) * kSecond));
}

/// A turn of a conversation, and the next one a minute later, whose prompt holds the first one's prompt and
/// answer.
std::vector<Request> two_turns() {
  std::vector<Request> requests;
  for (int i = 0; i < 2; ++i) {
    Request request;
    request.id = static_cast<RequestId>(i);
    request.arrival = at_s(60 * i);
    request.output = Tokens{i == 0 ? 203 : 5};
    request.details = std::make_unique<RequestDetails>();
    request.details->content = {{1, Tokens{70}}};
    request.details->output_segment = 1'000'000U + static_cast<unsigned>(i);
    if (i == 1)
      request.details->content.insert(request.details->content.end(),
                                      {{1'000'000, Tokens{203}}, {3, Tokens{40}}});
    for (const PromptSegment& part : request.details->content) request.input += part.length;
    requests.push_back(std::move(request));
  }
  return requests;
}

/// An answer that was begun on a replica that was lost leaves in the prefix cache of the one that ended it
/// what an answer without a loss leaves: the next turn finds as much.
BOOST_AUTO_TEST_CASE(a_retried_answer_is_found_by_its_next_turn) {
  for (const bool sglang : {false, true}) {
    test::RandomRun random = test::random_run(1, {.scheduler = "vllm-v1", .allocator = "paged"});
    random.setup.sim_time_max.reset();
    random.setup.replicas = 1;
    random.setup.engine.max_model_len = Tokens{1000};
    random.setup.engine.pool = {Blocks{1000}, Tokens{16}};
    CachedBlocksSettings layers;
    layers.groups = {KvGroup{16, 0, std::nullopt}};
    layers.unit = layers.hash_unit = 16;
    layers.caching = true;
    Config keys = Config::empty("elasticity");
    random.setup.engine.allocator = allocator_catalog().find("paged", "law").make(keys, layers);
    if (sglang) {
      RandomStream stream(1, "laws/elasticity/turns");
      SglangSettings settings = random_settings(stream, 16);
      settings.disable_radix_cache = false;
      random.setup.engine.make = make_sglang_engine(settings);
    }
    random.requests = two_turns();
    random.source = test::list_source(random.requests);
    const auto cached = [&](std::shared_ptr<const FleetSetup> fleet) {
      random.setup.fleet = std::move(fleet);
      test::Watcher watcher;
      RunHooks hooks;
      hooks.requests = &watcher;
      (void)run(random.setup, random.source, FlatTimer(), hooks);
      BOOST_REQUIRE_EQUAL(watcher.rows.size(), 2U);
      BOOST_REQUIRE(watcher.rows[1].outcome == Outcome::completed);
      BOOST_REQUIRE_EQUAL(watcher.rows[0].retries, random.setup.fleet ? 1 : 0);
      return watcher.rows[1].cached.value;
    };
    const std::int64_t without = cached(nullptr);
    BOOST_TEST(without >= 256);
    for (const RetryMode mode : {RetryMode::resend, RetryMode::resume}) {
      auto fleet = std::make_shared<FleetSetup>();
      fleet->replicas = 1;
      fleet->retry.mode = mode;
      fleet->events = {
          {.at = kStart + Duration{100'500'000}, .action = FleetAction::fail, .lasts = Duration{1'000'000}}};
      BOOST_TEST(cached(fleet) == without);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
