// What must hold in every simulation of SGLang's engine, whatever its settings. A failure names the seed;
// KVCAST_LAW_SEED=seed KVCAST_LAW_RUNS=1 repeats it.
#include <fmt/format.h>
#include <boost/test/unit_test.hpp>

#include <queue>

#include "sim/base/config.h"
#include "sim/sglang/decision_lines.h"
#include "sim/sglang/sglang_engine.h"
#include "tests/support/explained.h"
#include "tests/support/random_runs.h"

namespace kvcast {
namespace {

using test::text_of;
using test::Watcher;

template <class T>
const T& any_of(RandomStream& random, const std::vector<T>& values) {
  return values[static_cast<std::size_t>(random.integer(0, std::ssize(values) - 1))];
}

struct Asked {
  Request request;
  std::vector<PromptSegment> content;  // empty: unknown
};

/// The list, as it comes or by clients that wait for their answers.
class AskedSource final : public RequestSource {
 public:
  AskedSource(const std::vector<Asked>& asked, std::int64_t clients) : asked_(asked), closed_(clients > 0) {
    for (std::int64_t i = 0; i < clients; ++i) due_.push(kStart);
  }
  [[nodiscard]] bool has_feedback() const override { return closed_; }
  [[nodiscard]] std::optional<Instant> next_arrival() override {
    if (next_ == asked_.size() || (closed_ && due_.empty())) return std::nullopt;
    return closed_ ? due_.top() : asked_[next_].request.arrival;
  }
  [[nodiscard]] Request take() override {
    const Asked& asked = asked_[next_++];
    Request request;
    request.id = asked.request.id;
    request.arrival = closed_ ? due_.top() : asked.request.arrival;
    if (closed_) due_.pop();
    request.input = asked.request.input;
    request.output = asked.request.output;
    request.output_limit = asked.request.output_limit;
    request.priority = asked.request.priority;
    request.tenant = asked.request.tenant;
    if (!asked.content.empty()) {
      request.details = std::make_unique<RequestDetails>();
      request.details->content = asked.content;
    }
    return request;
  }
  void finished(RequestId /*id*/, Instant when) override {
    if (closed_) due_.push(when + Duration{1'000'000});
  }

 private:
  const std::vector<Asked>& asked_;
  bool closed_;
  std::priority_queue<Instant, std::vector<Instant>, std::greater<>> due_;
  std::size_t next_ = 0;
};

struct SglangRun {
  std::string text;
  SglangSettings settings;
  ClusterSetup setup;
  std::unique_ptr<StepTimer> timer;
  std::vector<Asked> asked;
  std::int64_t clients = 0;
};

constexpr std::uint64_t kOutputs = 1'000'000;

/// Conversations over a few common beginnings; some prompts nobody knows.
std::vector<Asked> random_requests(RandomStream& random, std::int64_t count, double rate) {
  struct Talk {
    std::vector<PromptSegment> content;
  };
  std::vector<Asked> all;
  std::vector<Talk> talks;
  Instant now = kStart;
  const std::int64_t part_max = any_of<std::int64_t>(random, {5, 40, 300});
  const std::int64_t output_max = any_of<std::int64_t>(random, {1, 12, 90, 300});
  for (std::int64_t i = 0; i < count; ++i) {
    if (random.uniform() < 0.8) now += Duration{static_cast<std::int64_t>(random.exponential(1e9 / rate))};
    Asked asked;
    asked.request.id = static_cast<RequestId>(i);
    asked.request.arrival = now;
    asked.request.output = Tokens{random.integer(1, output_max)};
    if (random.uniform() < 0.6) asked.request.output_limit = Tokens{random.integer(1, output_max)};
    if (random.uniform() < 0.2) asked.request.output_limit = asked.request.output;
    asked.request.priority = static_cast<std::int32_t>(random.integer(0, 3));
    asked.request.tenant = random.uniform() < 0.1 ? 1 : 0;
    Talk talk;
    if (!talks.empty() && random.uniform() < 0.4) talk = any_of(random, talks);
    if (talk.content.empty() && random.uniform() < 0.7) {
      const std::int64_t group = random.integer(1, 5);
      talk.content.push_back({static_cast<std::uint64_t>(group), Tokens{1 + group * part_max / 3}});
    }
    if (talk.content.empty() || random.uniform() < 0.9) {
      talk.content.push_back({static_cast<std::uint64_t>(1000 + i), Tokens{random.integer(1, part_max)}});
    }
    for (const PromptSegment& segment : talk.content) asked.request.input += segment.length;
    if (random.uniform() < 0.9) asked.content = talk.content;
    talk.content.push_back({kOutputs + static_cast<std::uint64_t>(i), asked.request.output});
    talks.push_back(std::move(talk));
    all.push_back(std::move(asked));
  }
  return all;
}

SglangRun random_run(std::uint64_t seed) {
  RandomStream random(seed, "sglang laws");
  SglangRun run;
  SglangSettings& s = run.settings;
  const std::int64_t page = any_of<std::int64_t>(random, {1, 1, 2, 16, 64});
  s.schedule_policy =
      sglang_policy_catalog().find(any_of(random, sglang_policy_catalog().names()), "law").make;
  s.new_token_ratio = NewTokenRatio::of(any_of<double>(random, {0.0, 0.0, 0.1, 0.3, 1.0, 3.0}));
  s.chunked_prefill_size = page * any_of<std::int64_t>(random, {1, 2, 8, 100});
  s.enable_mixed_chunk = random.uniform() < 0.3;
  if (!s.enable_mixed_chunk && random.uniform() < 0.3) s.chunked_prefill_size.reset();
  s.max_prefill_tokens = any_of<std::int64_t>(random, {64, 500, 16384});
  s.max_running_requests = any_of<std::int64_t>(random, {1, 4, 32, 256});
  s.overlap_schedule = random.uniform() < 0.6;
  s.disable_radix_cache = random.uniform() < 0.2;
  s.ignore_eos = random.uniform() < 0.3;
  s.radix_eviction_policy = any_of(random, sglang::eviction_catalog().names());
  s.tlru = {random.integer(0, 300), random.integer(0, 100)};
  s.clip_max_new_tokens = any_of<std::int64_t>(random, {4096, 10, 1});  // little reserved: retractions
  s.lpm_fallback_waiting = any_of<std::int64_t>(random, {5, 128});
  s.output_segment = [](const Request& request) { return kOutputs + to_number(request.id); };

  const double rate = any_of<double>(random, {0.5, 5, 40, 400});
  run.asked = random_requests(random, random.integer(1, 130), rate);
  run.clients = random.uniform() < 0.25 ? random.integer(1, 40) : 0;
  const std::int64_t pool =
      any_of<std::int64_t>(random, {150, 600, 1500, 4000, 60000}) + random.integer(0, 50);
  run.setup.engine.pool = {Blocks{ceil_div(pool, page)}, Tokens{page}};
  run.setup.engine.max_model_len = Tokens{any_of<std::int64_t>(random, {400, 2000, 131072})};
  Config cluster = Config::empty("law");
  const std::string router = any_of(random, router_catalog().names());
  run.setup.router = router_catalog().find(router, "law").make(cluster);
  run.setup.replicas = any_of<std::int64_t>(random, {1, 1, 2, 5});
  run.setup.seed = seed;
  if (random.uniform() < 0.25) run.setup.sim_time_max = Duration{random.integer(1, 20'000'000'000)};
  run.setup.slo.ttft_ns = random.integer(1'000'000, 3'000'000'000);
  const std::int64_t base = random.integer(1, 20'000'000) << kFineBits;
  run.timer =
      std::make_unique<test::KneeTimer>(base + random.integer(0, 1 << 20), random.integer(0, 40'000'000'000),
                                        random.integer(0, 3'000'000'000), random.integer(0, 5000));
  run.text = fmt::format(
      "seed {}: page {}, pool {}, x{} {}, {} requests at {}/s, clients {}, overlap {}, radix {} {}, chunk "
      "{}, mixed {}, ignore_eos {}",
      seed, page, run.setup.engine.pool.blocks.value * page, run.setup.replicas, router, run.asked.size(),
      rate, run.clients, s.overlap_schedule, !s.disable_radix_cache, s.radix_eviction_policy,
      s.chunked_prefill_size.value_or(-1), s.enable_mixed_chunk, s.ignore_eos);
  return run;
}

struct Seen {
  RunRecord record;
  Watcher watcher;
  std::vector<std::string> lines;  // only with one replica
  std::int64_t steps_in_runs = 0;
};

Seen watch(SglangRun& random, StepPath path, bool steps = false) {
  Seen seen;
  SglangDecisionLines lines([&](std::string line) { seen.lines.push_back(std::move(line)); });
  SglangSettings settings = random.settings;
  if (random.setup.replicas == 1) settings.observer = [&](ReplicaId) { return &lines; };
  random.setup.engine.make = make_sglang_engine(settings);
  random.setup.engine.path = path;
  RunHooks hooks;
  hooks.requests = &seen.watcher;
  if (steps) hooks.steps = &seen.watcher;
  seen.record = run(
      random.setup, [&] { return std::make_unique<AskedSource>(random.asked, random.clients); },
      *random.timer, hooks);
  // A cut-off in the middle of a run leaves its last steps untold; the record has them.
  if (!random.setup.sim_time_max) lines.end();
  seen.steps_in_runs = lines.steps_in_runs();
  return seen;
}

template <class Law>
void for_each_run(int runs, Law law) {
  const std::uint64_t first = test::law_seed();
  for (int i = 0; i < test::law_runs(runs); ++i) {
    SglangRun random = random_run(first + static_cast<std::uint64_t>(i));
    BOOST_TEST_CONTEXT(random.text) { law(random); }
  }
}

BOOST_AUTO_TEST_SUITE(sglang)

BOOST_AUTO_TEST_CASE(closed_form_equals_step_by_step) {
  std::int64_t preemptions = 0, in_runs = 0, hits = 0, long_ones = 0;
  for_each_run(600, [&](SglangRun& random) {
    const Seen closed = watch(random, StepPath::closed_form);
    const Seen stepped = watch(random, StepPath::step_by_step);
    BOOST_REQUIRE_EQUAL(text_of(closed.record), text_of(stepped.record));
    BOOST_REQUIRE_EQUAL(closed.watcher.rows.size(), stepped.watcher.rows.size());
    for (const auto& [id, row] : closed.watcher.rows)
      BOOST_REQUIRE_EQUAL(text_of(row), text_of(stepped.watcher.rows.at(id)));
    if (!random.setup.sim_time_max) {
      BOOST_REQUIRE_EQUAL(closed.lines.size(), stepped.lines.size());
      for (std::size_t i = 0; i < closed.lines.size(); ++i)
        BOOST_REQUIRE_EQUAL(closed.lines[i], stepped.lines[i]);
    }
    preemptions += closed.record.preemptions;
    in_runs += closed.steps_in_runs;
    hits += closed.record.prefix_hit_tokens;
    long_ones += closed.record.rejected_too_long;
  });
  if (test::law_runs(600) >= 600) {  // the random runs must reach what the law is about
    BOOST_TEST(preemptions > 500);
    BOOST_TEST(in_runs > 10000);
    BOOST_TEST(hits > 10000);
    BOOST_TEST(long_ones > 10);
  }
}

BOOST_AUTO_TEST_CASE(conservation) {
  for_each_run(300, [](SglangRun& random) {
    const Seen seen = watch(random, StepPath::closed_form);
    const RunRecord& r = seen.record;
    BOOST_REQUIRE_EQUAL(r.arrived, r.completed + r.rejected_too_long + r.rejected_never_fits + r.unfinished);
    BOOST_REQUIRE_EQUAL(static_cast<std::int64_t>(seen.watcher.rows.size()), r.arrived);
    for (const auto& [id, times] : seen.watcher.reports) BOOST_REQUIRE_EQUAL(times, 1);
    std::int64_t outputs = 0;
    for (const auto& [id, row] : seen.watcher.rows) {
      if (row.outcome != Outcome::completed) continue;
      Tokens most = random.asked[id].request.output;
      if (row.output_limit > Tokens{0}) most = std::min(most, row.output_limit);
      BOOST_REQUIRE(row.output >= Tokens{1} && row.output <= most);
      BOOST_REQUIRE(row.cached < row.input);
      BOOST_REQUIRE(row.arrival <= row.scheduled && row.scheduled < row.first_token &&
                    row.first_token <= row.last_token);
      outputs += row.output.value;
    }
    BOOST_REQUIRE_EQUAL(outputs, r.output_tokens);
    BOOST_REQUIRE_LE(r.blocks_used_max, random.setup.replicas * random.setup.engine.pool.blocks.value);
  });
}

BOOST_AUTO_TEST_CASE(steps_follow_one_another) {
  for_each_run(150, [](SglangRun& random) {
    const Seen seen = watch(random, StepPath::step_by_step, true);
    std::map<std::size_t, StepRecord> before;
    for (const StepRecord& step : seen.watcher.steps) {
      const auto found = before.find(to_index(step.replica));
      if (found != before.end()) {
        BOOST_REQUIRE_EQUAL(step.index, found->second.index + 1);
        BOOST_REQUIRE(step.device_begin > found->second.device_begin);
        BOOST_REQUIRE(step.begin >= found->second.begin);
        // The overlap loop plans when the step before starts.
        BOOST_REQUIRE(step.begin >= found->second.device_begin || found->second.index == 0 ||
                      random.settings.overlap_schedule);
      }
      BOOST_REQUIRE(step.device_begin >= step.begin);
      BOOST_REQUIRE(step.free_scheduled >= Blocks{0});
      for (const StepRecord::Entry& entry : step.scheduled)
        BOOST_REQUIRE(entry.n >= 1 && entry.computed >= 0);
      before[to_index(step.replica)] = step;
    }
  });
}

BOOST_AUTO_TEST_CASE(equal_runs_on_any_number_of_threads) {
  for_each_run(60, [](SglangRun& random) {
    random.setup.engine.make = make_sglang_engine(random.settings);
    const RunHooks none;
    const auto source = [&] { return std::make_unique<AskedSource>(random.asked, random.clients); };
    const std::string once = text_of(run(random.setup, source, *random.timer, none, 1));
    BOOST_REQUIRE_EQUAL(once, text_of(run(random.setup, source, *random.timer, none, 1)));
    BOOST_REQUIRE_EQUAL(once, text_of(run(random.setup, source, *random.timer, none, 3)));
  });
}

BOOST_AUTO_TEST_CASE(parts_sum_to_the_whole) {
  std::int64_t requests = 0, preempted = 0;
  for_each_run(400, [&](SglangRun& random) {
    random.setup.engine.make = make_sglang_engine(random.settings);
    const auto source = [&] { return std::make_unique<AskedSource>(random.asked, random.clients); };
    const test::Explained explained = test::explain_run(random.setup, source, *random.timer);
    BOOST_REQUIRE_EQUAL(test::problem_of(explained), "");
    requests += static_cast<std::int64_t>(explained.requests.size());
    for (const RequestTime& time : explained.requests)
      preempted += time.e2el[static_cast<std::size_t>(TimePart::preempted)];
  });
  if (test::law_runs(400) < 400) return;
  BOOST_TEST(requests > 5000);
  BOOST_TEST(preempted > 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
