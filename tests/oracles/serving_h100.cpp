// Published sweeps over concurrency on H100: TTFT and TPOT of vLLM by number of requests in flight, and the
// Pareto front of tokens a second and GPU against tokens a second and user that they form. Nothing is fitted
// on them.
#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <map>

#include "sim/app/load_forecast.h"
#include "sim/app/validate_measured.h"
#include "sim/metrics/validation.h"
#include "tests/oracles/memory_csv.h"
#include "tests/support/data.h"
#include "tests/support/errors_by_ranks.h"

namespace kvcast {
namespace {

using Row = std::map<std::string, std::string>;

/// Why a row cannot be judged; empty where it can.
std::string reason_to_skip(const Row& row) {
  const std::string& framework = row.at("framework");
  if (framework != "vllm") return "engine " + framework + ": no calibrated profile of it";
  if (row.at("load_kind") != "closed_loop_concurrency") return "no concurrency is stated";
  if (row.at("version").empty()) return "vLLM without its version";
  if (row.at("dtype") != "bf16") return "dtype " + row.at("dtype") + ": how it is quantised is not stated";
  return "";
}

/// vLLM 0.12 has no profile; 0.15 is the nearest later one, with the synchronous scheduling that was the
/// default then. How long the requests were is stated on average only. Equal lengths would march all clients
/// in lockstep, which the measured TTFT rule out, so lengths are spread evenly by 20 % around the average.
std::vector<Setting> settings_of(const Row& row) {
  constexpr std::int64_t kRequestsEach = 10;  // of each client: long enough for a steady state
  const std::int64_t concurrency = std::stoll(row.at("concurrency"));
  const auto spread = [](const std::string& length) {
    const std::int64_t tokens = std::stoll(length);
    return fmt::format("{{uniform: [{}, {}]}}", tokens * 8 / 10, tokens * 12 / 10);
  };
  const std::string workload = fmt::format(
      "{{synthetic: {{requests: {}, arrivals: {{process: closed-loop, concurrency: {}}}, input: {}, output: "
      "{}}}}}",
      kRequestsEach * concurrency, concurrency, spread(row.at("isl")), spread(row.at("osl")));
  return {{"model", row.at("model")},        {"cluster.tensor_parallel_size", row.at("tp")},
          {"engine.max_model_len", "32768"}, {"engine.async_scheduling", "false"},
          sampling_of(row.at("model")),      {"workload", workload}};
}

/// A point of the plot that operators choose from.
struct ParetoPoint {
  double per_gpu = 0;   // output tokens a second and GPU
  double per_user = 0;  // tokens a second and user: 1 / TPOT
};

ParetoPoint point_of(const Row& row, double ttft_ms, double tpot_ms) {
  const double osl = std::stod(row.at("osl"));
  const double seconds = (ttft_ms + tpot_ms * (osl - 1)) / 1000;
  const double throughput = std::stod(row.at("concurrency")) * osl / seconds;
  return {throughput / std::stod(row.at("n_gpus")), 1000 / tpot_ms};
}

struct Judged {
  Row row;
  ParetoPoint measured, forecast;
};

/// Indices of the points that no other of the same lengths beats in both.
std::vector<bool> front_of(const std::vector<Judged>& rows, ParetoPoint Judged::*point) {
  std::vector<bool> front(rows.size(), true);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (const Judged& other : rows) {
      if (other.row.at("isl") != rows[i].row.at("isl") || other.row.at("osl") != rows[i].row.at("osl"))
        continue;
      const ParetoPoint& a = rows[i].*point;
      const ParetoPoint& b = other.*point;
      if (b.per_gpu > a.per_gpu && b.per_user > a.per_user) front[i] = false;
    }
  }
  return front;
}

/// One row beside its forecast.
Judged judge(const Row& row, Validation& validation) {
  ScenarioText text = open_scenario("vllm-0.15-h100", settings_of(row));
  const Experiment experiment = compose(read_scenario(text));
  const LoadForecast forecast = forecast_load(experiment);
  ValidatedLoad load;
  load.run =
      fmt::format("{} TP {}, {} in, {} out", row.at("model"), row.at("tp"), row.at("isl"), row.at("osl"));
  load.load = row.at("concurrency") + " in flight";
  for (const char* metric : {"ttft", "tpot"}) {
    const std::string column = std::string(metric) + "_ms_stat_unknown";
    // No interval: it would cover the step times, and here lengths, statistic and client are not stated.
    load.values.push_back({metric,
                           "mean",
                           std::stod(row.at(column)),
                           statistic_of(forecast.base, 0, metric, "mean").value(),
                           {}});
  }
  find_cause(load, latency_parts(experiment, forecast.base, 0));
  const Judged judged{row, point_of(row, load.values[0].measured, load.values[1].measured),
                      point_of(row, load.values[0].forecast, load.values[1].forecast)};
  validation.loads.push_back(std::move(load));
  return judged;
}

void print_by_concurrency(const Validation& validation) {
  BOOST_TEST_MESSAGE(
      "| run | in flight | TTFT measured, forecast (ms) | error | TPOT measured, forecast (ms) | error "
      "|\n|---|---|---|---|---|---|");
  for (const ValidatedLoad& load : validation.loads) {
    const ValidatedValue& ttft = load.values[0];
    const ValidatedValue& tpot = load.values[1];
    BOOST_TEST_MESSAGE(fmt::format("| {} | {} | {:.0f}, {:.0f} | {:+.1f} % | {:.1f}, {:.1f} | {:+.1f} % |",
                                   load.run, load.load.substr(0, load.load.find(' ')), ttft.measured,
                                   ttft.forecast, 100 * ttft.error(), tpot.measured, tpot.forecast,
                                   100 * tpot.error()));
  }
}

BOOST_AUTO_TEST_SUITE(serving_h100)

BOOST_AUTO_TEST_CASE(by_concurrency_and_pareto) {
  const auto folder = test::data_folder("measured");
  if (!folder || !std::filesystem::exists(*folder / "serving_h100.csv")) return;
  Validation validation;
  std::map<std::string, int> skipped;
  std::vector<Judged> judged;
  for (const auto& row : test::csv_rows(*folder / "serving_h100.csv")) {
    const Row cells(row.begin(), row.end());
    const std::string reason = reason_to_skip(cells);
    if (!reason.empty()) {
      ++skipped[reason];
      continue;
    }
    judged.push_back(judge(cells, validation));
  }
  print_by_concurrency(validation);
  const std::vector<bool> measured = front_of(judged, &Judged::measured);
  const std::vector<bool> forecast = front_of(judged, &Judged::forecast);
  int on_measured = 0;
  int on_both = 0;
  for (std::size_t i = 0; i < judged.size(); ++i) {
    on_measured += measured[i] ? 1 : 0;
    on_both += measured[i] && forecast[i] ? 1 : 0;
  }
  test::ErrorsByRanks by_ranks;
  for (std::size_t i = 0; i < judged.size(); ++i) {
    for (const ValidatedValue& value : validation.loads[i].values)
      by_ranks.add(value.metric, std::stoll(judged[i].row.at("tp")), value.error());
  }
  BOOST_TEST_MESSAGE("\n" + by_ranks.table());
  for (const ErrorSummary& summary : summarize_errors(validation)) {
    BOOST_TEST_MESSAGE(fmt::format("\n{} rows, mean {}: median error {:.1f} %, largest {:.1f} %",
                                   summary.count, summary.metric, 100 * summary.median,
                                   100 * summary.largest));
  }
  BOOST_TEST_MESSAGE(
      fmt::format("\n{} of the {} points on the measured Pareto fronts (one for each pair of lengths) are on "
                  "the forecast ones",
                  on_both, on_measured));
  for (const auto& [reason, count] : skipped)
    BOOST_TEST_MESSAGE(fmt::format("\nNot judged: {} rows, {}", count, reason));
  BOOST_TEST(!judged.empty());
  BOOST_TEST(2 * on_both >= on_measured);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
