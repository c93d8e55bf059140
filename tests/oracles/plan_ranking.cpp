// Does kvcast plan put measured deployments in the right order? Published measurements of one model under one
// load and framework, at several tensor-parallel sizes, ranked by output tokens a second and GPU and by TPOT,
// against the forecasts by which plan ranks its designs. Nothing is fitted on these rows.
#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "sim/app/plan_bench.h"
#include "sim/plan/parallel.h"
#include "tests/oracles/memory_csv.h"
#include "tests/support/data.h"

namespace kvcast {
namespace {

using Row = test::CsvRow;

constexpr double kTie = 0.05;  // measured values closer than that have no order

/// What an operator chooses by. Throughput follows from latencies in both worlds: most rows state no more.
struct Point {
  double output_per_gpu = 0;  // tokens/s/GPU
  double tpot_ms = 0;
};

/// Rows that differ in TP and number of GPUs alone.
struct Group {
  std::string framework, version, model, dtype, kv_dtype;
  double longest = 1.2;  // lengths are spread evenly from 0.8 to this multiple of the stated ones
  std::int64_t input = 0, output = 0, concurrency = 0;
  std::map<std::int64_t, Point> measured, forecast;  // by TP

  [[nodiscard]] std::string name() const {
    return fmt::format("{} {} {} {}, {} in, {} out, {} in flight", framework,
                       version.empty() ? "(no version)" : version, model, dtype, input, output, concurrency);
  }
};

Point point_of(double ttft_ms, double tpot_ms, const Group& group, std::int64_t gpus) {
  const auto output = static_cast<double>(group.output);
  const double seconds = (ttft_ms + tpot_ms * (output - 1)) / 1000;
  return {static_cast<double>(group.concurrency) * output / seconds / static_cast<double>(gpus), tpot_ms};
}

std::vector<Group> groups_of(const std::vector<Row>& rows) {
  std::map<std::string, Group> by_name;
  for (const Row& row : rows) {
    if (row.at("load_kind") != "closed_loop_concurrency") continue;  // maximum throughput: TTFT is not stated
    Group group;
    group.framework = row.at("framework");
    group.version = row.at("version");
    group.model = row.at("model");
    group.dtype = row.at("dtype");
    group.kv_dtype = row.at("kv_dtype");
    if (row.at("len_dist") == "uniform[0.8,1.0]*len") group.longest = 1;
    group.input = std::stoll(row.at("isl"));
    group.output = std::stoll(row.at("osl"));
    group.concurrency = std::stoll(row.at("concurrency"));
    Group& kept = by_name.try_emplace(group.name(), group).first->second;
    const std::int64_t gpus = std::stoll(row.at("n_gpus"));
    const auto latency = [&](const std::string& metric) {
      const std::string& mean = row.at(metric + "_ms_mean");
      return std::stod(mean.empty() ? row.at(metric + "_ms_stat_unknown") : mean);
    };
    const Point point = point_of(latency("ttft"), latency("tpot"), group, gpus);
    BOOST_TEST(kept.measured.emplace(std::stoll(row.at("tp")), point).second);
  }
  std::vector<Group> groups;
  for (auto& [name, group] : by_name) {
    if (group.measured.size() > 1) groups.push_back(std::move(group));
  }
  return groups;
}

/// The nearest profile of each engine. vLLM 0.12 is between 0.11 and 0.15, with synchronous scheduling.
std::string engine_of(const Group& group) {
  const std::string length =
      fmt::format("max_model_len: {}", std::max<std::int64_t>(4096, (group.input + group.output) * 3 / 2));
  const std::string kv = group.kv_dtype.empty() ? "" : fmt::format(", kv_cache_dtype: {}", group.kv_dtype);
  // Quantised how is not stated; blocks of 128 x 128 are what the Qwen3 FP8 checkpoints have.
  const std::string weights =
      group.dtype == "fp8"
          ? ", model_overrides: {quantization_config: {quant_method: fp8, activation_scheme: "
            "dynamic, weight_block_size: [128, 128]}}"
          : "";
  if (group.framework == "vllm")
    return fmt::format("{{profile: vllm-0.15, async_scheduling: false, {}{}{}}}", length, kv, weights);
  const char* profile = group.framework == "sglang" ? "sglang-0.5" : "tensorrt-llm-1";
  const std::string sglang_length = fmt::format("context_length: {}", length.substr(length.find(' ') + 1));
  return fmt::format("{{profile: {}, {}{}{}}}", profile, group.framework == "sglang" ? sglang_length : length,
                     kv, weights);
}

/// Where lengths are stated on average only they are spread evenly by 20 %: equal ones would march in
/// lockstep.
std::vector<Setting> settings_of(const Group& group) {
  constexpr std::int64_t kRequestsEach = 10;  // of each client: long enough for a steady state
  const auto spread = [&](std::int64_t tokens) {
    return fmt::format("{{uniform: [{}, {}]}}", tokens * 8 / 10,
                       static_cast<std::int64_t>(static_cast<double>(tokens) * group.longest));
  };
  return {
      {"model", group.model},
      {"engine", engine_of(group)},
      {"slo", "{ttft_ms: {p99: 100000}}"},
      {"workload", fmt::format("{{synthetic: {{requests: {}, arrivals: {{process: closed-loop, concurrency: "
                               "{}}}, input: {}, output: {}}}}}",
                               kRequestsEach * group.concurrency, group.concurrency, spread(group.input),
                               spread(group.output))}};
}

/// By plan's own way from a design to its numbers.
void forecast(Group& group) {
  PlanSpace space;
  space.max_gpus = 8;
  for (const auto& [tp, point] : group.measured) space.tensor_parallel_size.push_back(std::to_string(tp));
  const PlanBench bench("vllm-0.15-h100", settings_of(group), space);
  for (const Design& design : bench.designs(1)) {
    if (!design.refusal.empty()) {
      BOOST_TEST_MESSAGE(group.name() << ": " << design.refusal);
      continue;
    }
    const Metrics metrics = bench.forecast(design, {}).metrics;
    group.forecast[design.tensor_parallel_size] =
        point_of(metrics.ttft.mean, metrics.tpot.mean, group, design.tensor_parallel_size);
  }
}

/// Pairs of one ranking.
struct Pairs {
  int agree = 0, disagree = 0, tied = 0;

  void add(double measured_a, double measured_b, double forecast_a, double forecast_b) {
    if (std::abs(measured_a - measured_b) < kTie * std::max(measured_a, measured_b)) {
      ++tied;
    } else {
      ++((measured_a < measured_b) == (forecast_a < forecast_b) ? agree : disagree);
    }
  }
  void add(const Pairs& other) {
    agree += other.agree;
    disagree += other.disagree;
    tied += other.tied;
  }
  /// Kendall 1945, ties in the measurement alone.
  [[nodiscard]] double tau_b() const {
    const double ordered = agree + disagree;
    return (agree - disagree) / std::sqrt(ordered * (ordered + tied));
  }
};

struct Ranking {
  Pairs throughput, tpot;
};

void rank(const Group& group, Ranking& ranking, std::vector<std::string>& misses) {
  const auto note = [&](const char* what, int before, int after, auto a, auto b, double Point::*value) {
    if (after == before) return;
    misses.push_back(fmt::format("| {} | {} | TP {} against {} | {:.4g}, {:.4g} | {:.4g}, {:.4g} |",
                                 group.name(), what, a->first, b->first, a->second.*value, b->second.*value,
                                 group.forecast.at(a->first).*value, group.forecast.at(b->first).*value));
  };
  for (auto a = group.measured.begin(); a != group.measured.end(); ++a) {
    for (auto b = std::next(a); b != group.measured.end(); ++b) {
      if (group.forecast.count(a->first) == 0 || group.forecast.count(b->first) == 0) continue;
      const Point& fa = group.forecast.at(a->first);
      const Point& fb = group.forecast.at(b->first);
      int before = ranking.throughput.disagree;
      ranking.throughput.add(a->second.output_per_gpu, b->second.output_per_gpu, fa.output_per_gpu,
                             fb.output_per_gpu);
      note("tokens/s/GPU", before, ranking.throughput.disagree, a, b, &Point::output_per_gpu);
      before = ranking.tpot.disagree;
      ranking.tpot.add(a->second.tpot_ms, b->second.tpot_ms, fa.tpot_ms, fb.tpot_ms);
      note("TPOT", before, ranking.tpot.disagree, a, b, &Point::tpot_ms);
    }
  }
}

BOOST_AUTO_TEST_SUITE(plan_ranking)

BOOST_AUTO_TEST_CASE(measured_deployments_in_the_right_order) {
  const auto folder = test::data_folder("measured");
  if (!folder || !std::filesystem::exists(*folder / "serving_h100.csv")) return;
  std::vector<Group> groups = groups_of(test::csv_rows(*folder / "serving_h100.csv"));
  for_each_parallel(groups.size(), 2, [&](std::size_t i) { forecast(groups[i]); });
  std::map<std::string, std::pair<int, Ranking>> kinds;
  std::vector<std::string> misses;
  Ranking pooled;
  for (const Group& group : groups) {
    auto& [count, ranking] =
        kinds[fmt::format("{} {} | {} {}", group.framework, group.version, group.model, group.dtype)];
    ++count;
    rank(group, ranking, misses);
  }
  BOOST_TEST_MESSAGE(
      "| framework | model | groups | tokens/s/GPU: right, wrong, tied | tau-b | TPOT: right, wrong, tied | "
      "tau-b |\n|---|---|---:|---|---:|---|---:|");
  for (const auto& [kind, counted] : kinds) {
    const Ranking& ranking = counted.second;
    BOOST_TEST_MESSAGE(fmt::format("| {} | {} | {}, {}, {} | {:.3f} | {}, {}, {} | {:.3f} |", kind,
                                   counted.first, ranking.throughput.agree, ranking.throughput.disagree,
                                   ranking.throughput.tied, ranking.throughput.tau_b(), ranking.tpot.agree,
                                   ranking.tpot.disagree, ranking.tpot.tied, ranking.tpot.tau_b()));
    pooled.throughput.add(ranking.throughput);
    pooled.tpot.add(ranking.tpot);
  }
  Pairs all = pooled.throughput;
  all.add(pooled.tpot);
  BOOST_TEST_MESSAGE(
      fmt::format("{} groups; tau-b pooled: {:.3f} by tokens/s/GPU, {:.3f} by TPOT, {:.3f} both",
                  groups.size(), pooled.throughput.tau_b(), pooled.tpot.tau_b(), all.tau_b()));
  for (const std::string& miss : misses) BOOST_TEST_MESSAGE(miss);
  BOOST_TEST(groups.size() >= 10);
  BOOST_TEST(all.tau_b() >= 0.9);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
