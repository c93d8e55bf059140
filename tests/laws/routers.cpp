// What routers promise: queues that theory knows, and nothing lost on the way to a replica.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <queue>

#include "hwmodels/affine_timer.h"
#include "sim/base/config.h"
#include "sim/base/rng.h"
#include "sim/cluster/cluster.h"
#include "tests/support/assigned.h"
#include "tests/support/poisson_source.h"
#include "tests/support/random_runs.h"
#include "tests/support/single_servers.h"

namespace kvcast {
namespace {

using test::kMeanSteps, test::kStepNs, test::MarkovSource;

/// Waits, times inside and, in order of id, when each request was first scheduled.
class Waits final : public RequestObserver {
 public:
  explicit Waits(std::int64_t count) : batch_(count / kBatches) {}
  void on_request(const RequestRow& row) override {
    const auto wait = static_cast<double>((row.scheduled - row.arrival).count());
    sum_ += wait;
    inside_ += static_cast<double>((row.last_token - row.arrival).count());
    if (++seen_ % batch_ == 0) {
      means_.push_back(sum_ / static_cast<double>(batch_));
      sum_ = 0;
    }
    if (to_number(row.id) < kKept) scheduled[to_number(row.id)] = row.scheduled;
  }
  [[nodiscard]] double wait_ns() const { return mean(means_); }
  [[nodiscard]] double inside_ns() const { return inside_ / static_cast<double>(seen_); }
  [[nodiscard]] double standard_error() const {
    double squares = 0;
    for (const double m : means_) squares += (m - wait_ns()) * (m - wait_ns());
    const auto n = static_cast<double>(means_.size());
    return std::sqrt(squares / (n - 1) / n);
  }
  static constexpr std::uint64_t kKept = 100'000;
  std::map<std::uint64_t, Instant> scheduled;

 private:
  static double mean(const std::vector<double>& values) {
    double sum = 0;
    for (const double v : values) sum += v;
    return sum / static_cast<double>(values.size());
  }
  static constexpr std::int64_t kBatches = 40;
  std::int64_t batch_;
  std::int64_t seen_ = 0;
  double sum_ = 0, inside_ = 0;
  std::vector<double> means_;
};

/// Erlang's C formula: mean wait of M/M/k in units of the mean service.
double erlang_wait(int k, double load) {
  const double offered = k * load;
  double term = 1, sum = 1;  // offered^i / i!
  for (int i = 1; i < k; ++i) sum += term *= offered / i;
  term *= offered / k;
  const double waits = term / (1 - load) / (sum + term / (1 - load));
  return waits / (k * (1 - load));
}

/// Kiefer and Wolfowitz: the servers' next free moments decide each start. A waiting request starts in the
/// nanosecond after the end that the router waits for.
std::vector<Instant> starts_of(MarkovSource source, int servers, std::uint64_t count) {
  std::priority_queue<std::int64_t, std::vector<std::int64_t>, std::greater<>> free;
  for (int i = 0; i < servers; ++i) free.push(-1);
  std::vector<Instant> starts;
  while (starts.size() < count) {
    const Request request = source.take();
    const std::int64_t arrival = request.arrival.time_since_epoch().count();
    const std::int64_t start = std::max(arrival, free.top() + 1);
    free.pop();
    free.push(start + request.output.value * static_cast<std::int64_t>(kStepNs));
    starts.push_back(Instant{Duration{start}});
  }
  return starts;
}

BOOST_AUTO_TEST_SUITE(routers)

struct Case {
  double load;
  std::int64_t count;
};

/// KVCAST_LAW_LENGTH=n makes n times as many requests, and the standard errors as much smaller as its root.
std::vector<Case> cases(std::int64_t count) {
  count *= test::law_length();
  return {{0.5, count}, {0.8, count}, {0.95, 2 * count}};
}

BOOST_AUTO_TEST_CASE(central_queue_waits_as_in_mmk) {
  const auto timer =
      make_affine_timer({.base_us = kStepNs / 1e3, .per_token_us = 0, .per_context_token_us = 0});
  Config cluster = Config::from_text("router_max_requests: 1\n", "routers");
  for (const int k : {2, 8, 32}) {
    for (const Case& c : cases(500'000)) {
      const ClusterSetup setup = test::single_servers(k, make_central_queue(cluster));
      const double gap = kMeanSteps * kStepNs / (k * c.load);
      Waits waits(c.count);
      RunHooks hooks;
      hooks.requests = &waits;
      (void)run(
          setup, [&] { return std::make_unique<MarkovSource>(gap, c.count); }, *timer, hooks);
      const double exact = erlang_wait(k, c.load) * kMeanSteps * kStepNs;
      BOOST_TEST_MESSAGE("M/M/" << k << " load " << c.load << ": mean wait " << waits.wait_ns() / 1e6
                                << " ms, error " << (waits.wait_ns() / exact - 1) * 100
                                << " %, standard error " << waits.standard_error() / exact * 100 << " %");
      BOOST_TEST(std::abs(waits.wait_ns() - exact) <= std::max(0.02 * exact, 3 * waits.standard_error()));
      const std::vector<Instant> starts = starts_of(MarkovSource(gap, c.count), k, Waits::kKept);
      for (std::uint64_t i = 0; i < Waits::kKept; ++i) BOOST_REQUIRE(waits.scheduled.at(i) == starts[i]);
    }
  }
}

BOOST_AUTO_TEST_CASE(two_choices_queue_as_their_mean_field) {
  const auto timer =
      make_affine_timer({.base_us = kStepNs / 1e3, .per_token_us = 0, .per_context_token_us = 0});
  Config cluster = Config::empty("routers");
  constexpr int kReplicas = 500;
  for (const Case& c : cases(1'000'000)) {
    const ClusterSetup setup = test::single_servers(kReplicas, make_power_of_two(cluster));
    const double service = kMeanSteps * kStepNs;
    const double gap = service / (kReplicas * c.load);
    Waits waits(c.count);
    RunHooks hooks;
    hooks.requests = &waits;
    (void)run(
        setup, [&] { return std::make_unique<MarkovSource>(gap, c.count); }, *timer, hooks);
    double exact = 0;  // a queue has at least i inside with probability load^(2^i - 1)
    for (int i = 1; i < 20; ++i) exact += std::pow(c.load, std::pow(2, i) - 1);
    const double inside = waits.inside_ns() / service * c.load;
    BOOST_TEST_MESSAGE("two choices, load " << c.load << ": " << inside << " inside a replica, mean field "
                                            << exact << ", error " << (inside / exact - 1) * 100 << " %");
    BOOST_TEST(std::abs(inside / exact - 1) <= 0.03);
  }
}

/// The requests of a source that are assigned to one replica.
class Share final : public RequestSource {
 public:
  Share(std::unique_ptr<RequestSource> all, const std::vector<ReplicaId>& assigned, std::int64_t replica)
      : all_(std::move(all)), assigned_(assigned), replica_(static_cast<ReplicaId>(replica)) {
    advance();
  }
  [[nodiscard]] std::optional<Instant> next_arrival() override {
    if (!next_) return std::nullopt;
    return next_->arrival;
  }
  [[nodiscard]] Request take() override {
    Request request = std::move(*next_);
    advance();
    return request;
  }

 private:
  void advance() {
    next_.reset();
    while (!next_ && all_->next_arrival()) {
      Request request = all_->take();
      if (assigned_[to_number(request.id)] == replica_) next_ = std::move(request);
    }
  }
  std::unique_ptr<RequestSource> all_;
  const std::vector<ReplicaId>& assigned_;
  ReplicaId replica_;
  std::optional<Request> next_;
};

/// The rows of one run on n replicas are those of n runs on one, request by request.
BOOST_AUTO_TEST_CASE(an_assignment_replayed_equals_separate_runs) {
  for (int i = 0; i < test::law_runs(150); ++i) {
    const std::uint64_t seed = test::law_seed() + static_cast<std::uint64_t>(i);
    test::RandomRun random = test::random_run(seed);
    if (random.closed_loop) continue;
    RandomStream stream(seed, "assignment");
    std::vector<ReplicaId> assigned;
    const std::int64_t replicas = random.setup.replicas;
    for (std::size_t k = 0; k < random.requests.size(); ++k)
      assigned.push_back(static_cast<ReplicaId>(stream.integer(0, replicas - 1)));
    random.setup.router = [&](const RouterSetup&) { return std::make_unique<test::Assigned>(assigned); };
    test::Watcher together;
    RunHooks hooks;
    hooks.requests = &together;
    (void)run(random.setup, random.source, *random.timer, hooks);
    std::size_t rows = 0;
    for (std::int64_t r = 0; r < replicas; ++r) {
      test::Watcher alone;
      hooks.requests = &alone;
      const std::vector<ReplicaId> to_first(assigned.size(), ReplicaId{0});
      ClusterSetup one = random.setup;
      one.replicas = 1;
      one.router = [&](const RouterSetup&) { return std::make_unique<test::Assigned>(to_first); };
      const SourceMaker share = [&] { return std::make_unique<Share>(random.source(), assigned, r); };
      (void)run(one, share, *random.timer, hooks);
      for (auto& [id, row] : alone.rows) {
        row.replica = static_cast<ReplicaId>(r);
        BOOST_TEST_CONTEXT(random.text) {
          BOOST_REQUIRE_EQUAL(test::text_of(row), test::text_of(together.rows.at(id)));
        }
      }
      rows += alone.rows.size();
    }
    BOOST_REQUIRE_EQUAL(rows, together.rows.size());
  }
}

/// Takes turns, and keeps what it was told of the replica it picked where that was idle.
class Asking final : public Router {
 public:
  Asking(std::size_t replicas, std::map<std::uint64_t, std::int64_t>& told)
      : replicas_(replicas), told_(told) {}
  [[nodiscard]] std::optional<ReplicaId> pick(const Request& request,
                                              std::span<const ReplicaLoad> loads) override {
    const std::size_t picked = next_++ % replicas_;
    const bool alone = !last_ || *last_ < request.arrival;
    if (last_ && *last_ == request.arrival) told_.erase(last_id_);
    last_ = request.arrival;
    last_id_ = to_number(request.id);
    if (alone && loads[picked].requests == 0) told_[last_id_] = loads[picked].held_prefix.value;
    return static_cast<ReplicaId>(picked);
  }
  [[nodiscard]] RouterNeeds needs() const override { return {.requests = true, .held_prefix = true}; }

 private:
  std::size_t replicas_;
  std::map<std::uint64_t, std::int64_t>& told_;
  std::size_t next_ = 0;
  std::optional<Instant> last_;
  std::uint64_t last_id_ = 0;
};

/// An exact index tells what the engine finds when it admits the request at that very moment.
BOOST_AUTO_TEST_CASE(an_exact_index_tells_what_an_idle_engine_finds) {
  std::int64_t found = 0;
  for (int i = 0; i < test::law_runs(300); ++i) {
    const std::uint64_t seed = test::law_seed() + static_cast<std::uint64_t>(i);
    test::RandomRun random = test::random_run(seed, {.scheduler = "vllm-v1", .allocator = "paged"});
    std::map<std::uint64_t, std::int64_t> told;
    random.setup.router = [&](const RouterSetup& setup) {
      return std::make_unique<Asking>(setup.replicas.size(), told);
    };
    test::Watcher watcher;
    RunHooks hooks;
    hooks.requests = &watcher;
    (void)run(random.setup, random.source, *random.timer, hooks);
    for (const auto& [id, held] : told) {
      const RequestRow& row = watcher.rows.at(id);
      if (row.outcome != Outcome::completed || row.scheduled != row.arrival) continue;
      BOOST_TEST_CONTEXT(random.text << "request " << id) { BOOST_REQUIRE_EQUAL(row.cached.value, held); }
      if (held > 0) ++found;
    }
  }
  if (test::law_runs(300) >= 300) BOOST_TEST(found > 100);  // the runs must reach what the law is about
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
