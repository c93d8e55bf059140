// One sequence at a time behind Poisson arrivals is an M/G/1 queue whose service time we know exactly: the
// mean wait must be Pollaczek and Khinchine's. The number of requests is chosen so that the standard error
// (batch means) is small enough for a wrong figure to show.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>

#include "hwmodels/affine_timer.h"
#include "sim/base/config.h"
#include "sim/base/rng.h"
#include "sim/cluster/cluster.h"
#include "tests/support/poisson_source.h"
#include "tests/support/single_servers.h"

namespace kvcast {
namespace {

using test::Lengths, test::PoissonSource;

/// Mean of a correlated series and its standard error from 40 batches.
class BatchMeans final : public RequestObserver {
 public:
  explicit BatchMeans(std::int64_t count) : batch_(count / kBatches) {}
  void on_request(const RequestRow& row) override {
    sum_ += static_cast<double>((row.scheduled - row.arrival).count());
    if (++seen_ % batch_ == 0) {
      means_.push_back(sum_ / static_cast<double>(batch_));
      sum_ = 0;
    }
  }
  [[nodiscard]] double mean() const {
    double sum = 0;
    for (const double m : means_) sum += m;
    return sum / static_cast<double>(means_.size());
  }
  [[nodiscard]] double standard_error() const {
    double squares = 0;
    for (const double m : means_) squares += (m - mean()) * (m - mean());
    const auto n = static_cast<double>(means_.size());
    return std::sqrt(squares / (n - 1) / n);
  }

 private:
  static constexpr std::int64_t kBatches = 40;
  std::int64_t batch_;
  std::int64_t seen_ = 0;
  double sum_ = 0;
  std::vector<double> means_;
};

constexpr AffineTime kTimes{.base_us = 5000, .per_token_us = 20, .per_context_token_us = 0.5};

/// Prefill step, then one step for each further token; each rounded like the timer's.
double service_ns(const StepTimer& timer, Lengths lengths) {
  double fine = 0;
  for (std::int64_t j = 0; j < lengths.output; ++j) {
    StepShape shape;
    shape.tokens = j == 0 ? lengths.input : 1;
    shape.sampled = 1;
    (j == 0 ? shape.prefill_seqs : shape.decode_seqs) = 1;
    (j == 0 ? shape.prefill_context : shape.decode_context) = lengths.input + j;
    fine += static_cast<double>(timer.step(shape).time.count());
  }
  return fine / (1 << kFineBits);
}

struct Moments {
  double mean, square;
};

struct Measured {
  double wait, standard_error;
};

Measured mean_wait(const ClusterSetup& setup, const StepTimer& timer, double mean_service_ns, double load,
                   std::int64_t count, std::uint64_t seed,
                   const std::function<Lengths(RandomStream&)>& draw) {
  BatchMeans waits(count);
  RunHooks hooks;
  hooks.requests = &waits;
  const double gap = mean_service_ns / load / static_cast<double>(setup.replicas);
  (void)run(
      setup, [&] { return std::make_unique<PoissonSource>(seed, gap, count, draw); }, timer, hooks);
  return {waits.mean(), waits.standard_error()};
}

Measured mean_wait(const StepTimer& timer, double mean_service_ns, double load, std::int64_t count,
                   std::uint64_t seed, const std::function<Lengths(RandomStream&)>& draw) {
  Config cluster = Config::empty("queueing");
  return mean_wait(test::single_servers(1, make_round_robin(cluster)), timer, mean_service_ns, load, count,
                   seed, draw);
}

struct Case {
  double load;
  std::int64_t count;
  double relative_error_max;
};
constexpr std::uint64_t kSeed = 20231116;

BOOST_AUTO_TEST_SUITE(queueing)

BOOST_AUTO_TEST_CASE(mean_wait_is_pollaczek_khinchines) {
  const auto timer = make_affine_timer(kTimes);
  // Inputs 100, 400 or 1,600 tokens, outputs 1 to 60: 180 equally likely services, enumerated.
  const auto lengths_of = [](std::int64_t i) {
    return Lengths{std::int64_t{100} << (2 * (i % 3)), 1 + i / 3};
  };
  Moments service{0, 0};
  for (std::int64_t i = 0; i < 180; ++i) {
    const double s = service_ns(*timer, lengths_of(i));
    service.mean += s / 180;
    service.square += s * s / 180;
  }
  for (const Case& c :
       {Case{0.5, 1'200'000, 0.005}, Case{0.8, 5'000'000, 0.005}, Case{0.95, 9'000'000, 0.015}}) {
    const double exact = c.load / service.mean * service.square / (2 * (1 - c.load));
    const Measured m = mean_wait(*timer, service.mean, c.load, c.count, kSeed,
                                 [&](RandomStream& r) { return lengths_of(r.integer(0, 179)); });
    BOOST_TEST_MESSAGE("load " << c.load << ": mean wait " << m.wait / 1e6 << " ms, exact " << exact / 1e6
                               << " ms, error " << (m.wait / exact - 1) * 100 << " %, standard error "
                               << m.standard_error / exact * 100 << " %");
    BOOST_TEST(std::abs(m.wait - exact) <= 3 * m.standard_error, "seed " << kSeed << ", load " << c.load);
    BOOST_TEST(m.standard_error / exact <= c.relative_error_max);
  }
}

BOOST_AUTO_TEST_CASE(equal_requests_wait_as_in_md1) {
  const auto timer = make_affine_timer(kTimes);
  const Lengths equal{300, 40};
  const double service = service_ns(*timer, equal);
  for (const Case& c : {Case{0.5, 600'000, 0.01}, Case{0.8, 1'500'000, 0.01}, Case{0.95, 4'000'000, 0.03}}) {
    const double exact = c.load * service / (2 * (1 - c.load));
    const Measured m =
        mean_wait(*timer, service, c.load, c.count, kSeed + 1, [&](RandomStream&) { return equal; });
    BOOST_TEST_MESSAGE("M/D/1 load " << c.load << ": error " << (m.wait / exact - 1) * 100
                                     << " %, standard error " << m.standard_error / exact * 100 << " %");
    BOOST_TEST(std::abs(m.wait / exact - 1) <= c.relative_error_max);
  }
}

BOOST_AUTO_TEST_CASE(long_geometric_outputs_wait_as_in_mm1) {
  const auto timer = make_affine_timer({.base_us = 10, .per_token_us = 0, .per_context_token_us = 0});
  constexpr double kMeanOutput =
      2000;  // a geometric number of equal steps is nearly exponential when it is long
  const double service = kMeanOutput * 10e3;
  const auto draw = [](RandomStream& r) {
    const double u = r.uniform_positive();
    const auto n = static_cast<std::int64_t>(std::ceil(std::log(u) / std::log1p(-1 / kMeanOutput)));
    return Lengths{1, std::max<std::int64_t>(1, n)};
  };
  for (const Case& c :
       {Case{0.5, 1'500'000, 0.01}, Case{0.8, 4'000'000, 0.01}, Case{0.95, 8'000'000, 0.03}}) {
    const double exact = c.load * service / (1 - c.load);
    const Measured m = mean_wait(*timer, service, c.load, c.count, kSeed + 2, draw);
    BOOST_TEST_MESSAGE("M/M/1 load " << c.load << ": error " << (m.wait / exact - 1) * 100
                                     << " %, standard error " << m.standard_error / exact * 100 << " %");
    BOOST_TEST(std::abs(m.wait / exact - 1) <= c.relative_error_max);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
