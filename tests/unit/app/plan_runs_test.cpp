#include "sim/app/plan_runs.h"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <limits>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

RunNumbers some_numbers() {
  RunNumbers numbers;
  numbers.score = {true, kInfinity, 1.0 / 3, 1e-300};
  numbers.terms = {0.1 + 0.2, 1e22};
  for (std::size_t k = 0; k < plan_figures().size(); ++k)
    numbers.figures.push_back(static_cast<double>(k) / 7);
  return numbers;
}

void check_equal(const RunNumbers& a, const RunNumbers& b) {
  BOOST_TEST(a.score.met == b.score.met);
  BOOST_TEST(a.score.strain == b.score.strain);
  BOOST_TEST(a.score.goodput == b.score.goodput);
  BOOST_TEST(a.score.good_share == b.score.good_share);
  BOOST_TEST(a.terms == b.terms);
  BOOST_TEST(a.figures == b.figures);
}

/// A small plan by formula.
PlanBench bench_of(const std::string& requests) {
  PlanSpace space;
  space.tensor_parallel_size = {"1"};
  space.router = {"round-robin", "least-loaded"};
  space.max_gpus = 2;
  return {"affine-queue",
          {{"workload.synthetic.requests", requests},
           {"slo", "{ttft_ms: {p99: 1000}}"},
           {"cluster.price_per_gpu_hour", "1"}},
          space};
}

/// A file below the system's temporary folder that is gone in the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const char* name) : path_((std::filesystem::temp_directory_path() / name).string()) {
    std::filesystem::remove(path_);
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

BOOST_AUTO_TEST_SUITE(plan_runs)

BOOST_AUTO_TEST_CASE(records_are_exact) {
  const RunNumbers numbers = some_numbers();
  const auto [key, again] = parse_record(to_record("a=b;replicas=2", numbers), "x:1");
  BOOST_TEST(key == "a=b;replicas=2");
  check_equal(numbers, again);
}

BOOST_AUTO_TEST_CASE(records_of_something_else_are_refused) {
  const std::string good = to_record("k", some_numbers());
  for (const std::string& bad : {std::string("k"), std::string("k\t1 2 3 4\t\t"), good + "\t1", good + " 1",
                                 good + " x", std::string("k\t1 2 3\t1\t1"), std::string("\t\t\t")}) {
    BOOST_TEST_CONTEXT(bad) {
      BOOST_CHECK_EXCEPTION((void)parse_record(bad, "j.log:7"), InputError, [](const InputError& error) {
        return std::string(error.what()).starts_with("j.log:7: ") && error.code() == ExitCode::bad_data;
      });
    }
  }
}

BOOST_AUTO_TEST_CASE(equal_clusters_are_simulated_once) {
  const PlanBench bench = bench_of("300");
  const std::vector<Design> designs = bench.designs(1);
  BOOST_TEST_REQUIRE(designs.size() == 2U);
  std::size_t requests = 0;
  PlanRuns runs(bench, "", [&](std::size_t more) { requests += more; });
  // With one replica a router has nothing to choose from.
  check_equal(runs.run(designs[0], {.replicas = 1}), runs.run(designs[1], {.replicas = 1}));
  BOOST_TEST(requests == 300U);
  (void)runs.run(designs[0], {.replicas = 2});
  (void)runs.run(designs[1], {.replicas = 2});
  (void)runs.run(designs[1], {.replicas = 2, .requests = 100});
  (void)runs.run(designs[1], {.replicas = 2, .step_factor = 1.1});
  (void)runs.run(designs[1], {.replicas = 2},
                 {"twice", [&] { return changed(bench.traffic(), {.rate = 2}); }});
  BOOST_TEST(requests == 300U * 5 + 100U);
  BOOST_TEST(runs.forecast(designs[1], {.replicas = 2}).metrics.completed == 300);
  BOOST_TEST(requests == 300U * 5 + 100U);
}

BOOST_AUTO_TEST_CASE(a_journal_knows_what_was_simulated) {
  const TemporaryFile file("kvcast-plan-journal-test.log");
  const PlanBench bench = bench_of("300");
  const Design design = bench.designs(1).front();
  RunNumbers first;
  {
    PlanRuns runs(bench, file.path(), {});
    first = runs.run(design, {.replicas = 2});
    BOOST_CHECK_THROW(PlanRuns(bench, file.path(), {}), InputError);  // somebody writes it
  }
  std::ofstream(file.path(), std::ios::app) << "0123456789abcdef a torn li";
  std::size_t requests = 0;
  {
    PlanRuns runs(bench, file.path(), [&](std::size_t more) { requests += more; });
    check_equal(first, runs.run(design, {.replicas = 2}));
    BOOST_TEST(requests == 0U);
    (void)runs.run(design, {.replicas = 1});
    BOOST_TEST(requests == 300U);
    // Its report needs more than numbers: simulated again, with the same ones.
    check_equal(first, numbers_of(bench, runs.forecast(design, {.replicas = 2})));
  }
  BOOST_CHECK_THROW(PlanRuns(bench_of("301"), file.path(), {}), InputError);  // of another plan
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
