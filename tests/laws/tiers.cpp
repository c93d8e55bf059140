// KV below the GPU's memory: links against closed forms, tiers against what they must equal at their limits.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <map>

#include "hwmodels/affine_timer.h"
#include "sim/base/config.h"
#include "sim/cluster/router.h"
#include "sim/cluster/tiered_replica.h"
#include "sim/kv/allocators.h"
#include "sim/kv/link.h"
#include "sim/sched/queue_order.h"
#include "sim/sched/scheduler.h"
#include "tests/support/explained.h"
#include "tests/support/random_runs.h"
#include "tests/support/sources.h"

namespace kvcast {
namespace {

constexpr FineTime kSecond = FineTime{1'000'000'000} << kFineBits;

struct Flow {
  FineTime at = 0;
  std::int64_t bytes = 0;
};

/// When each flow arrives.
std::vector<FineTime> arrivals(Link& link, const std::vector<Flow>& flows) {
  std::map<Link::Flow, std::size_t> index;
  std::vector<FineTime> ends(flows.size(), kFineNever);
  const auto take = [&](FineTime now) {
    for (const Link::Arrival& a : link.advance(now)) ends[index.at(a.flow)] = a.at;
  };
  for (std::size_t i = 0; i < flows.size(); ++i) {
    while (link.next() <= flows[i].at) take(link.next());
    index[link.start(flows[i].at, flows[i].bytes)] = i;
  }
  while (link.next() < kFineNever) take(link.next());
  return ends;
}

LinkSpec gigabyte(LinkSharing sharing) {
  return {.bytes_per_s = 1e9, .latency = 0, .sharing = sharing, .outages = {}};
}

/// A deployment with tiers, small enough that its pool presses.
struct Tiered {
  test::RandomRun random;
  std::shared_ptr<TiersSpec> spec = std::make_shared<TiersSpec>();
};

/// None where the random deployment has no named blocks of one kind.
std::optional<Tiered> tiered(std::uint64_t seed) {
  Tiered t;
  RandomStream others(seed, "tiers law, schedulers and prefetch");
  const char* const schedulers[] = {"vllm-v0", "sarathi", "tensorrt-llm"};
  const char* const scheduler = others.uniform() < 0.6 ? "vllm-v1" : schedulers[others.integer(0, 2)];
  t.random = test::random_run(seed, {scheduler, "paged", false});
  EngineSetup& engine = t.random.setup.engine;
  const std::unique_ptr<BlockAllocator> pool = engine.allocator(engine.pool);
  if (pool->growing() != BlockAllocator::Growing::by_name || engine.batch.reach.on()) return std::nullopt;
  RandomStream random(seed, "tiers law");
  t.spec->block_tokens = engine.pool.block_size.value;
  t.spec->block_bytes = 1000 * t.spec->block_tokens;
  t.spec->writes = static_cast<TierWrites>(random.integer(0, 2));
  t.spec->load_always = random.integer(0, 3) > 0;
  t.spec->by_layers = random.integer(0, 3) == 0;
  t.spec->cache_ratio = random.integer(0, 3) == 0 ? 0.6 : 1;
  t.spec->on_arrival = others.uniform() < 0.4;
  const std::int64_t tiers = random.integer(1, 3);
  for (std::int64_t i = 0; i < tiers; ++i) {
    TierSpec tier;
    tier.name = "tier" + std::to_string(i);
    tier.capacity = Blocks{random.integer(1, 400)};
    const LinkSharing sharing =
        t.spec->by_layers || random.integer(0, 1) == 0 ? LinkSharing::fifo : LinkSharing::fair;
    tier.read = {.bytes_per_s = std::pow(10.0, 3 + 5 * random.uniform()),
                 .latency = random.integer(0, 1) * (FineTime{random.integer(0, 3'000'000)} << kFineBits),
                 .sharing = sharing,
                 .outages = {}};
    tier.write = tier.read;
    tier.write.bytes_per_s = std::pow(10.0, 5 + 5 * random.uniform());
    tier.one_way = random.integer(0, 3) == 0;
    tier.shared = random.integer(0, 2) == 0;
    if (random.integer(0, 2) == 0) tier.lifetime = kSecond * random.integer(1, 20);
    FineTime at = 0;
    for (std::int64_t k = random.integer(0, 15); k > 0 && !t.spec->by_layers; --k) {
      at += (kSecond / 1000) * random.integer(1, 2000);
      const FineTime until = at + (kSecond / 1000) * random.integer(1, 50);
      tier.failures.push_back({at, until});
      at = until;
    }
    t.spec->tiers.push_back(tier);
  }
  engine.tiers = t.spec;
  engine.layers = random.integer(1, 80);
  engine.make = make_tiered_replica;
  return t;
}

struct Seen {
  std::string record, rows, tiers;
  RunRecord raw;
  test::Watcher watcher;
};

Seen watch(Tiered& t, StepPath path, unsigned threads = 1) {
  Seen seen;
  t.random.setup.engine.path = path;
  RunHooks hooks;
  hooks.requests = &seen.watcher;
  seen.raw = run(t.random.setup, t.random.source, *t.random.timer, hooks, threads);
  seen.record = test::text_of(seen.raw);
  for (const TierTotals& tier : seen.raw.tiers) {
    for (const std::int64_t n :
         {tier.loads, tier.loads_lost, tier.loads_begun, tier.blocks_read, tier.blocks_written,
          tier.blocks_evicted, tier.blocks_expired, tier.blocks_lost, tier.blocks_used_max})
      seen.tiers += " " + std::to_string(n);
  }
  for (const auto& [id, row] : seen.watcher.rows)
    seen.rows += std::to_string(id) + " " + test::text_of(row) + "\n";
  return seen;
}

/// A record without its timeline, whose spacing is that of the longest one.
std::string counts_of(const RunRecord& record) {
  const std::string text = test::text_of(record);
  return text.substr(0, text.find("timeline"));
}

BOOST_AUTO_TEST_SUITE(tiers)

/// Poisson flows of one size: the mean wait of M/D/1, rho / (2 (1 - rho)) service times (Pollaczek and
/// Khinchine).
BOOST_AUTO_TEST_CASE(link_waits_are_those_of_m_d_1) {
  for (const double rho : {0.3, 0.6, 0.8}) {
    RandomStream random(7, "m/d/1");
    constexpr std::int64_t kFlows = 1'000'000;
    Link link(gigabyte(LinkSharing::fifo));
    const FineTime service = link.service(1'000'000);
    const double mean_gap = static_cast<double>(service) / rho;
    double at = 0;
    double waited = 0;
    FineTime now = 0;
    std::vector<FineTime> started;
    for (std::int64_t i = 0; i < kFlows; ++i) {
      at += random.exponential(mean_gap);
      now = static_cast<FineTime>(at);
      for (const Link::Arrival& a : link.advance(now))
        waited += static_cast<double>(a.at - started[a.flow - 1] - service);
      started.push_back(now);
      link.start(now, 1'000'000);
    }
    for (const Link::Arrival& a : link.advance(now + 1000 * service))
      waited += static_cast<double>(a.at - started[a.flow - 1] - service);
    const double mean = waited / static_cast<double>(kFlows) / static_cast<double>(service);
    BOOST_TEST_MESSAGE("rho " << rho << ": " << mean << " of " << rho / (2 * (1 - rho)));
    BOOST_TEST(std::abs(mean / (rho / (2 * (1 - rho))) - 1) < 0.01);
  }
}

/// Processor sharing of Poisson flows: the mean stay is service / (1 - rho), whatever the sizes.
BOOST_AUTO_TEST_CASE(fair_link_stays_are_those_of_processor_sharing) {
  RandomStream random(9, "m/g/1-ps");
  Link link(gigabyte(LinkSharing::fair));
  std::vector<Flow> flows;
  double at = 0;
  double service = 0;
  for (int i = 0; i < 400'000; ++i) {
    at += random.exponential(static_cast<double>(link.service(1'000'000)) / 0.6);
    flows.push_back({static_cast<FineTime>(at), random.integer(500'000, 1'500'000)});
    service += static_cast<double>(link.service(flows.back().bytes));
  }
  const std::vector<FineTime> ends = arrivals(link, flows);
  double stay = 0;
  for (std::size_t i = 0; i < flows.size(); ++i) stay += static_cast<double>(ends[i] - flows[i].at);
  const double rho = service / at;
  BOOST_TEST_MESSAGE("stay " << stay / service << " of " << 1 / (1 - rho));
  BOOST_TEST(std::abs(stay / service * (1 - rho) - 1) < 0.01);
}

/// Two flows: while both are there each has half; the closed form of both ends, to a unit of 2^-20 ns.
BOOST_AUTO_TEST_CASE(two_flows_share_fairly) {
  RandomStream random(3, "two flows");
  for (int i = 0; i < 2000; ++i) {
    Link link(gigabyte(LinkSharing::fair));
    const FineTime a = link.service(random.integer(1, 1'000'000));
    const std::int64_t bytes_a = random.integer(1, 1'000'000);
    const std::int64_t bytes_b = random.integer(1, 1'000'000);
    const FineTime work_a = link.service(bytes_a);
    const FineTime work_b = link.service(bytes_b);
    const FineTime gap = a < work_a ? a : work_a / 2;  // b comes while a is on the link
    const std::vector<FineTime> ends = arrivals(link, {{0, bytes_a}, {gap, bytes_b}});
    const FineTime left = work_a - gap;
    const FineTime end_a = left <= work_b ? gap + 2 * left : work_a + work_b;
    const FineTime end_b = left <= work_b ? work_a + work_b : gap + 2 * work_b;
    BOOST_REQUIRE(ends[0] - end_a <= 1 && end_a - ends[0] <= 1);
    BOOST_REQUIRE(ends[1] - end_b <= 1 && end_b - ends[1] <= 1);
  }
}

/// FIFO equals Lindley's recursion, outages included; nothing is lost on either kind of link, which is never
/// idle while something is on it.
BOOST_AUTO_TEST_CASE(links_conserve_work) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    RandomStream random(seed, "links");
    LinkSpec spec = gigabyte(random.integer(0, 1) == 0 ? LinkSharing::fifo : LinkSharing::fair);
    spec.latency = random.integer(0, 1'000'000);
    std::vector<Flow> flows;
    FineTime at = 0;
    for (int i = 0; i < 60; ++i) {
      at += random.integer(0, 3'000) << kFineBits;
      flows.push_back({at, random.integer(0, 4'000)});
    }
    Link link(spec);
    const std::vector<FineTime> ends = arrivals(link, flows);
    FineTime fifo_end = 0;
    FineTime work = 0;
    FineTime last = 0;
    for (std::size_t i = 0; i < flows.size(); ++i) {
      BOOST_REQUIRE(ends[i] < kFineNever);
      work += link.service(flows[i].bytes);
      fifo_end = std::max(fifo_end, flows[i].at) + link.service(flows[i].bytes);
      if (spec.sharing == LinkSharing::fifo) BOOST_REQUIRE(ends[i] == fifo_end + spec.latency);
      BOOST_REQUIRE(ends[i] >= flows[i].at + link.service(flows[i].bytes) + spec.latency - 1);
      last = std::max(last, ends[i] - spec.latency);
    }
    const auto slack = static_cast<FineTime>(flows.size());
    BOOST_REQUIRE(last - fifo_end <= slack && fifo_end - last <= slack);
    BOOST_REQUIRE(link.busy() - work <= slack && work - link.busy() <= slack);
    BOOST_REQUIRE_EQUAL(link.flows(), 0U);
  }
}

BOOST_AUTO_TEST_CASE(outages_stop_the_clock_of_a_link) {
  LinkSpec spec = gigabyte(LinkSharing::fifo);
  spec.outages = {{kSecond, 3 * kSecond}, {4 * kSecond, 5 * kSecond}};
  Link link(spec);
  const std::vector<FineTime> ends =
      arrivals(link, {{0, 500'000'000}, {kSecond / 2, 2'000'000'000}, {kSecond * 2, 0}});
  BOOST_TEST((ends[0] == kSecond / 2));
  BOOST_TEST(
      (ends[1] == kSecond / 2 * 11));  // half a second, stalled to 3, one second, stalled to 5, half a second
  BOOST_TEST((ends[2] == ends[1]));
  Link dead({.bytes_per_s = 0, .latency = 0, .sharing = LinkSharing::fifo, .outages = {}});
  dead.start(0, 1);
  BOOST_TEST((dead.next() == kFineNever));
  BOOST_TEST(dead.cancel(5, 1));
  BOOST_TEST(!dead.cancel(5, 1));
}

BOOST_AUTO_TEST_CASE(closed_form_equals_step_by_step_and_threads) {
  std::int64_t loads = 0;
  std::int64_t lost = 0;
  for (int i = 0; i < test::law_runs(1200); ++i) {
    std::optional<Tiered> t = tiered(test::law_seed() + static_cast<std::uint64_t>(i));
    if (!t) continue;
    BOOST_TEST_CONTEXT(t->random.text) {
      const Seen closed = watch(*t, StepPath::closed_form);
      const Seen stepped = watch(*t, StepPath::step_by_step);
      BOOST_REQUIRE_EQUAL(closed.rows, stepped.rows);
      BOOST_REQUIRE_EQUAL(closed.tiers, stepped.tiers);
      BOOST_REQUIRE_EQUAL(closed.record, stepped.record);
      t->random.setup.engine.path = StepPath::closed_form;
      const RunRecord apart = run(t->random.setup, t->random.source, *t->random.timer, {}, 3);
      BOOST_REQUIRE_EQUAL(counts_of(apart), counts_of(closed.raw));
      for (std::size_t k = 0; k < apart.tiers.size(); ++k) {
        BOOST_REQUIRE_EQUAL(apart.tiers[k].blocks_read, closed.raw.tiers[k].blocks_read);
        loads += apart.tiers[k].loads;
        lost += apart.tiers[k].loads_lost;
      }
    }
  }
  BOOST_TEST_MESSAGE(loads << " loads, " << lost << " lost");
  if (test::law_runs(1200) >= 1200) {
    BOOST_TEST(loads > 1000);
    BOOST_TEST(lost > 20);
  }
}

/// Whatever fails when: each request ends once, with all its tokens, and each load ends once.
BOOST_AUTO_TEST_CASE(nothing_is_lost_or_counted_twice) {
  for (int i = 0; i < test::law_runs(1200); ++i) {
    std::optional<Tiered> t = tiered(test::law_seed() + static_cast<std::uint64_t>(i));
    if (!t) continue;
    BOOST_TEST_CONTEXT(t->random.text) {
      const Seen seen = watch(*t, StepPath::closed_form);
      const RunRecord& r = seen.raw;
      BOOST_REQUIRE_EQUAL(r.arrived,
                          r.completed + r.rejected_too_long + r.rejected_never_fits + r.unfinished);
      if (!t->random.setup.sim_time_max && !r.stuck) BOOST_REQUIRE_EQUAL(r.unfinished, 0);
      for (const auto& [id, times] : seen.watcher.reports) BOOST_REQUIRE_EQUAL(times, 1);
      std::int64_t outputs = 0;
      for (const auto& [id, row] : seen.watcher.rows) {
        if (row.outcome != Outcome::completed) continue;
        const Request& asked = t->random.requests[id];
        Tokens output = asked.output;
        if (asked.output_limit > Tokens{0}) output = std::min(output, asked.output_limit);
        BOOST_REQUIRE(row.output == std::min(output, t->random.setup.engine.max_model_len - asked.input));
        BOOST_REQUIRE(row.cached < row.input);
        outputs += row.output.value;
      }
      BOOST_REQUIRE_EQUAL(outputs, r.output_tokens);
      for (const TierTotals& tier : r.tiers) {
        BOOST_REQUIRE_EQUAL(tier.loads_begun, tier.loads + tier.loads_lost + tier.loads_open);
        // Behind a head that can never get in others may still have what they sent for on arrival under way.
        if (!t->random.setup.sim_time_max && !r.stuck) BOOST_REQUIRE_EQUAL(tier.loads_open, 0);
        BOOST_REQUIRE_GE(tier.blocks_written, tier.blocks_evicted);
      }
    }
  }
}

/// A tier that nothing ever gets through to equals no tier.
BOOST_AUTO_TEST_CASE(no_bandwidth_equals_no_tier) {
  int judged = 0;
  for (int i = 0; i < test::law_runs(400); ++i) {
    std::optional<Tiered> t = tiered(test::law_seed() + static_cast<std::uint64_t>(i));
    if (!t) continue;
    for (TierSpec& tier : t->spec->tiers) {
      tier.read.bytes_per_s = tier.write.bytes_per_s = 0;
      tier.one_way = false;
    }
    BOOST_TEST_CONTEXT(t->random.text) {
      Seen with = watch(*t, StepPath::closed_form);
      with.raw.tiers.clear();
      t->random.setup.engine.tiers.reset();
      t->random.setup.engine.make = make_replica;
      const Seen without = watch(*t, StepPath::closed_form);
      BOOST_REQUIRE_EQUAL(with.rows, without.rows);
      BOOST_REQUIRE_EQUAL(test::text_of(with.raw), test::text_of(without.raw));
      ++judged;
    }
  }
  BOOST_TEST(judged > 10);
}

/// Requests one at a time, in a pool that holds little, above a tier that holds all and takes no time: as
/// many cached tokens as in a pool that forgets nothing.
BOOST_AUTO_TEST_CASE(infinite_tier_hits_like_an_infinite_cache) {
  std::int64_t hits = 0;
  std::int64_t loads = 0;
  for (int i = 0; i < test::law_runs(400); ++i) {
    std::optional<Tiered> t = tiered(test::law_seed() + static_cast<std::uint64_t>(i));
    if (!t) continue;
    ClusterSetup& setup = t->random.setup;
    // Other schedulers leave a watermark (a fifth at most) and a block free.
    const bool uses_all = t->random.text.find("vllm-v1") != std::string::npos;
    const std::int64_t left_free = uses_all ? 0 : setup.engine.pool.blocks.value / 5 + 2;
    if ((setup.engine.pool.blocks.value - left_free) * t->spec->block_tokens <=
        setup.engine.max_model_len.value)
      continue;
    TierSpec tier = t->spec->tiers.front();
    tier.capacity = Blocks{1 << 20};
    tier.read = tier.write = {.bytes_per_s = std::numeric_limits<double>::infinity(),
                              .latency = 0,
                              .sharing = LinkSharing::fifo,
                              .outages = {}};
    tier.one_way = false;
    tier.lifetime = kFineNever;
    tier.failures.clear();
    t->spec->tiers = {tier};
    t->spec->writes = i % 2 == 0 ? TierWrites::through : TierWrites::back;
    t->spec->cache_ratio = 1;
    t->spec->load_always = true;
    setup.sim_time_max.reset();
    setup.replicas = 1;
    for (std::size_t k = 0; k < t->random.requests.size(); ++k)
      t->random.requests[k].arrival = kStart + Duration{static_cast<std::int64_t>(k) * 1'000'000'000'000};
    t->random.source = test::list_source(t->random.requests);
    BOOST_TEST_CONTEXT(t->random.text) {
      const Seen with = watch(*t, StepPath::closed_form);
      setup.engine.tiers.reset();
      setup.engine.make = make_replica;
      setup.engine.pool.blocks = Blocks{1 << 20};
      const Seen bound = watch(*t, StepPath::closed_form);
      BOOST_REQUIRE_EQUAL(with.raw.prefix_hit_tokens, bound.raw.prefix_hit_tokens);
      BOOST_REQUIRE_EQUAL(with.rows, bound.rows);
      hits += bound.raw.prefix_hit_tokens;
      loads += with.raw.tiers.front().loads;
    }
  }
  BOOST_TEST_MESSAGE(hits << " tokens found, " << loads << " loads");
  BOOST_TEST(hits > 0);
  BOOST_TEST(loads > 0);
}

/// One sequence at a time; the third request's prefix lies in a tier, and it arrives while the second runs. A
/// load that begins on arrival is over by the time it is the head: its first token comes earlier by the whole
/// load.
BOOST_AUTO_TEST_CASE(prefetch_hides_the_load_in_the_queue) {
  constexpr std::int64_t kBlock = 16;
  const auto timer = make_affine_timer({.base_us = 1000, .per_token_us = 10});
  for (const bool by_layers : {false, true}) {
    std::map<bool, Instant> first_token;
    FineTime load = 0;
    for (const bool on_arrival : {false, true}) {
      Config config = Config::from_text("max_num_seqs: 1\nmax_num_batched_tokens: 512\n", "law");
      EngineDefaults defaults;
      defaults.max_model_len = Tokens{160};
      ClusterSetup setup;
      EngineSetup& engine = setup.engine;
      engine.max_model_len = defaults.max_model_len;
      engine.scheduler = make_vllm_v1(config, defaults);
      engine.order = make_fcfs(config);
      CachedBlocksSettings layers;
      layers.groups = {KvGroup{kBlock, 0, std::nullopt}};
      engine.allocator = make_paged(config, layers);
      engine.pool = {Blocks{10}, Tokens{kBlock}};
      engine.make = make_tiered_replica;
      engine.layers = 4;
      auto spec = std::make_shared<TiersSpec>();
      spec->block_bytes = 1'000'000;
      spec->load_always = true;
      spec->by_layers = by_layers;
      spec->on_arrival = on_arrival;
      TierSpec host;
      host.name = "host";
      host.capacity = Blocks{100};
      host.read = host.write = gigabyte(LinkSharing::fifo);
      spec->tiers.push_back(host);
      engine.tiers = spec;
      Config cluster = Config::from_text("{}", "law");
      setup.router = router_catalog().find("round-robin", "law").make(cluster);
      std::vector<Request> requests;
      for (std::uint64_t i = 0; i < 3; ++i) {
        Request request;
        request.id = static_cast<RequestId>(i);
        request.arrival = kStart + Duration{i == 0 ? 0 : i == 1 ? 100'000'000 : 104'000'000};
        request.input = Tokens{i == 1 ? 150 : 97};
        request.output = Tokens{i == 1 ? 10 : 2};
        request.details = std::make_unique<RequestDetails>();
        request.details->content = {{i == 1 ? 2U : 1U, request.input}};
        request.details->output_segment = 10 + i;
        requests.push_back(std::move(request));
      }
      test::Watcher watcher;
      RunHooks hooks;
      hooks.requests = &watcher;
      const RunRecord record = run(setup, test::list_source(requests), *timer, hooks, 1);
      BOOST_REQUIRE_EQUAL(record.completed, 3);
      BOOST_REQUIRE_EQUAL(record.tiers.front().loads, 1);
      first_token[on_arrival] = watcher.rows.at(2).first_token;
      load = Link(gigabyte(LinkSharing::fifo)).service(record.tiers.front().blocks_read * spec->block_bytes);
    }
    // Layer by layer only the last one's computing is left when the last byte is there.
    const FineTime step = FineTime{timer->step(chunk_shape(96, 1)).time.count()};
    const FineTime hidden = by_layers ? load + step / 4 - step : load;
    const auto saved =
        std::chrono::duration_cast<FineDuration>(first_token[false] - first_token[true]).count();
    BOOST_TEST_MESSAGE("load " << static_cast<std::int64_t>(load) << ", saved " << saved);
    BOOST_TEST(std::abs(static_cast<double>(saved) - static_cast<double>(hidden)) <= double(1 << kFineBits));
  }
}

/// Every request's time explained, where loads are waited for before the queue and inside steps.
BOOST_AUTO_TEST_CASE(parts_sum_to_the_whole) {
  std::int64_t loading = 0;
  for (int i = 0; i < test::law_runs(600); ++i) {
    std::optional<Tiered> t = tiered(test::law_seed() + static_cast<std::uint64_t>(i));
    if (!t) continue;
    BOOST_TEST_CONTEXT(t->random.text) {
      const test::Explained explained =
          test::explain_run(t->random.setup, t->random.source, *t->random.timer);
      BOOST_REQUIRE_EQUAL(test::problem_of(explained), "");
      for (const RequestTime& time : explained.requests)
        loading += time.e2el[static_cast<std::size_t>(TimePart::tier_load)];
    }
  }
  if (test::law_runs(600) >= 600) BOOST_TEST(loading > 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
