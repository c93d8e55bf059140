// Two runs of vLLM 0.19 on RTX PRO 6000 (measured/llmservingsim), replayed with the step times of their own
// layer profiles. One constant is not in a profile: what a step takes beside its kernels. It is fitted to the
// duration of one run and judged on the other, both ways.
#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "hwmodels/json_document.h"
#include "hwmodels/layer_profile.h"
#include "sim/app/compose.h"
#include "sim/app/experiments.h"
#include "tests/support/data.h"
#include "workloads/lines.h"

namespace kvcast::test {
namespace {

namespace fs = std::filesystem;

struct PublishedRun {
  const char* name;
  const char* folder;   // of the measurements
  const char* profile;  // folder of the profile
  const char* model;    // kvcast's name
  const char* trace;
  const char* gpu;
  std::int64_t tensor_parallel_size;
  std::int64_t max_model_len;
};

// The link is the one of the published set-up's config.json: 16 GB/s, 20 us.
/// The published set-up gives a whole exchange between its two GPUs: 16 GB/s and 20 us. kvcast's terms are
/// the link's rate (nothing lost: link_efficiency 1) and one hop, of which an exchange (hwmodels/collectives,
/// one-shot) has four beside a launch of 1.8 us: (20 - 1.8) / 4.
constexpr const char* kTwoGpus =
    "{base: rtx-pro-6000, name: rtx-pro-6000-node, link_gb_per_s: 16, link_latency_us: 4.55}";

constexpr PublishedRun kRuns[] = {
    {"Llama-3.1-8B", "Llama-3.1-8B", "meta-llama/Llama-3.1-8B", "llama-3.1-8b",
     "sharegpt-llama-3.1-8b-300-sps10.jsonl.gz", "rtx-pro-6000", 1, 131072},
    {"Qwen3-32B", "Qwen3-32B", "Qwen/Qwen3-32B", "qwen3-32b", "sharegpt-qwen3-32b-300-sps10.jsonl.gz",
     kTwoGpus, 2, 40960},
};

/// What one run did to each request, in the order of the requests' numbers.
struct Outcome {
  std::vector<double> ttft_ms, tpot_ms, e2el_ms;
  double duration_s = 0;  // first arrival to last token
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

double number(const JsonValue& object, const char* key) {
  const JsonValue* value = object.find(key);
  BOOST_REQUIRE(value != nullptr);
  return value->real;
}

Outcome measured(const fs::path& data, const PublishedRun& run) {
  const fs::path file = data / "measured/llmservingsim/RTXPRO6000" / run.folder / "vllm/requests.jsonl";
  struct Row {
    int number;
    double queued, first, last, tokens;
  };
  std::vector<Row> rows;
  LineReader reader(file_on_disk(file.string()));
  while (reader.next()) {
    const JsonValue line = parse_json(reader.text(), file.string(), static_cast<int>(reader.number()));
    const std::string id = line.find("request_id")->text;  // "bench-17"
    rows.push_back({std::stoi(id.substr(id.find('-') + 1)), number(line, "queued_ts"),
                    number(line, "first_token_ts"), number(line, "last_token_ts"),
                    number(line, "output_toks")});
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.number < b.number; });
  Outcome outcome;
  double begin = rows.front().queued, end = 0;
  for (const Row& row : rows) {
    outcome.ttft_ms.push_back(1e3 * (row.first - row.queued));
    outcome.tpot_ms.push_back(1e3 * (row.last - row.first) / (row.tokens - 1));
    outcome.e2el_ms.push_back(1e3 * (row.last - row.queued));
    begin = std::min(begin, row.queued);
    end = std::max(end, row.last);
  }
  outcome.duration_s = end - begin;
  return outcome;
}

/// The calibration that `kvcast calibrate import` makes of the run's profile.
std::string calibrate(const fs::path& data, const PublishedRun& run) {
  const std::string size = std::to_string(run.tensor_parallel_size);
  const fs::path tables =
      data / "measured/llmservingsim/profiler/RTXPRO6000" / run.profile / "bf16" / ("tp" + size);
  LayerTables profile(run.name, run.tensor_parallel_size);
  for (const char* table : {"dense", "per_sequence", "attention", "skew"}) {
    const std::string name = (tables / (std::string(table) + ".csv")).string();
    LineReader reader(file_on_disk(name));
    BOOST_REQUIRE(reader.next());
    profile.begin(name, table, reader.text());
    while (reader.next()) profile.row(reader.text(), reader.number());
  }
  CalibrationHeader header;
  header.kind = "layers";
  header.device = "rtx-pro-6000";
  header.engine = "vllm 0.19.0";
  header.source = "a test";
  const std::string path =
      (fs::temp_directory_path() / fmt::format("kvcast-layers-{}.jsonl", run.name)).string();
  std::ofstream(path) << format_calibration_header(header) << "\n" << format_layer_profile(profile.finish());
  return path;
}

Outcome forecast(const fs::path& data, const PublishedRun& run, const std::string& calibration,
                 double host_us) {
  const std::string scenario = fmt::format(
      "model: {}\n"
      "engine: {{profile: vllm-0.19, max_num_seqs: 128, max_num_batched_tokens: 2048, max_model_len: {},\n"
      "         step_time: {{calibration: {}, host_overhead_us: {}}}}}\n"
      "cluster: {{gpu: {}, tensor_parallel_size: {}, node: {{link_efficiency: 1}}}}\n"
      "workload: {{trace: {{path: {}}}}}\n",
      run.model, run.max_model_len, calibration, host_us, run.gpu, run.tensor_parallel_size,
      (data / "traces/llmservingsim" / run.trace).string());
  ScenarioText text{Config::from_text(scenario, "scenario"), "scenario", "", ""};
  Experiment experiment = compose(read_scenario(text));
  const RanExperiment ran = run_experiment(experiment);
  Outcome outcome;
  std::int64_t begin = ran.outcomes.front().arrival_ns, end = 0;
  for (const RequestOutcome& request : ran.outcomes) {
    BOOST_REQUIRE(request.completed);
    outcome.ttft_ms.push_back(static_cast<double>(request.ttft_ns) / 1e6);
    outcome.tpot_ms.push_back(static_cast<double>(request.tpot_ns) / 1e6);
    outcome.e2el_ms.push_back(static_cast<double>(request.e2el_ns) / 1e6);
    begin = std::min(begin, request.arrival_ns);
    end = std::max(end, request.last_token_ns);
  }
  outcome.duration_s = static_cast<double>(end - begin) / 1e9;
  return outcome;
}

/// The host's microseconds for each step with which the run lasts as long as it did, by bisection.
double fit_host(const fs::path& data, const PublishedRun& run, const std::string& calibration,
                double duration_s) {
  double low = 0, high = 4000;
  for (int round = 0; round < 10; ++round) {
    const double middle = (low + high) / 2;
    (forecast(data, run, calibration, middle).duration_s < duration_s ? low : high) = middle;
  }
  return (low + high) / 2;
}

/// Median over the requests of |forecast / measured - 1|.
double by_request(const std::vector<double>& forecast, const std::vector<double>& measured) {
  std::vector<double> errors;
  for (std::size_t i = 0; i < measured.size(); ++i) errors.push_back(std::abs(forecast[i] / measured[i] - 1));
  return median(errors);
}

BOOST_AUTO_TEST_CASE(llmservingsim) {
  const auto data = data_folder("");
  if (!data || !data_folder("measured/llmservingsim") || !data_folder("traces/llmservingsim")) return;
  std::vector<Outcome> truth;
  std::vector<std::string> calibrations;
  std::vector<double> host_us;
  for (const PublishedRun& run : kRuns) {
    truth.push_back(measured(*data, run));
    calibrations.push_back(calibrate(*data, run));
    host_us.push_back(fit_host(*data, run, calibrations.back(), truth.back().duration_s));
  }
  for (std::size_t i = 0; i < std::size(kRuns); ++i) {
    const double host = host_us[1 - i];  // the other run's
    const Outcome made = forecast(*data, kRuns[i], calibrations[i], host);
    BOOST_REQUIRE(made.tpot_ms.size() == truth[i].tpot_ms.size());
    const double tpot = median(made.tpot_ms) / median(truth[i].tpot_ms) - 1;
    const double ttft = median(made.ttft_ms) / median(truth[i].ttft_ms) - 1;
    const double throughput = truth[i].duration_s / made.duration_s - 1;
    fmt::print(
        "{}: host {:.0f} us a step from the other run; TPOT p50 {:+.1f} %, TTFT p50 {:+.1f} %, throughput "
        "{:+.2f} %;"
        " by request: TPOT {:.1f} %, E2E {:.1f} %\n",
        kRuns[i].name, host, 100 * tpot, 100 * ttft, 100 * throughput,
        100 * by_request(made.tpot_ms, truth[i].tpot_ms), 100 * by_request(made.e2el_ms, truth[i].e2el_ms));
    BOOST_TEST(std::abs(tpot) < 0.02);
    BOOST_TEST(std::abs(ttft) < 0.05);
    BOOST_TEST(std::abs(throughput) < 0.01);
    fs::remove(calibrations[i]);
  }
}

}  // namespace
}  // namespace kvcast::test
