// Tables of runs: rows find their workload, sums of stages are left out, errors name the row.
#include <boost/test/unit_test.hpp>

#include "measured/run_table.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

const std::string kHeader =
    "exp,model,hardware,tp,precision,stage_index,e2e_mean,e2e_p90,e2e_p99,itl_mean,ttft_mean,ttft_p90,ttft_"
    "p99\n";
const std::string kWorkloads =
    R"([{"id": "1", "tp": 1, "workload": {"inference_perf": {"a": [1, 2.5], "b": true}}},
  {"id": "17", "tp": 2, "max_num_seqs": 128, "total_kv_blocks": 8253, "workload": {"inference_perf": {"c": "x"}}}])";

std::vector<TableRun> read(const std::string& rows, const std::string& workloads = kWorkloads) {
  return read_run_table(file_in_memory("runs.csv", kHeader + rows), file_in_memory("loads.json", workloads));
}

std::string refusal(const std::string& rows, const std::string& workloads = kWorkloads) {
  try {
    (void)read(rows, workloads);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

BOOST_AUTO_TEST_SUITE(run_table)

BOOST_AUTO_TEST_CASE(rows_by_stage) {
  const auto runs = read(
      "17-scout,org/Model,H100,2,FP8,-1,1,1,1,1,1,1,1\n17-scout,org/"
      "Model,H100,2,FP8,0,4460,4836,5642,17.9,57.8,63.9,138\n"
      "17-scout,org/Model,H100,2,FP8,1,5607,5862,6018,22.5,64.8,74.5,\n1,org/"
      "Other,H100,1,FP16,0,9,9,9,9,9,9,9\n");
  BOOST_REQUIRE(runs.size() == 2U);
  BOOST_TEST(runs[0].model == "org/Model");
  BOOST_REQUIRE(runs[0].loads.size() == 2U);
  BOOST_TEST(runs[0].loads[0].stage.value() == 0U);
  BOOST_TEST(runs[0].loads[0].find("itl", "mean").value() == 17.9);
  BOOST_TEST(runs[0].loads[1].find("ttft", "mean").value() == 64.8);
  BOOST_TEST(!runs[0].loads[1].find("ttft", "p99").has_value());
  const std::vector<std::pair<std::string, std::string>> settings = {
      {"cluster.tensor_parallel_size", "2"},
      {"engine.max_num_seqs", "128"},
      {"engine.num_gpu_blocks_override", "8253"},
      {"workload.inference_perf", "{c: x}"}};
  BOOST_TEST((runs[0].settings == settings));
  BOOST_TEST(runs[1].settings.back().second == "{a: [1, 2.5], b: true}");
}

BOOST_AUTO_TEST_CASE(refusals) {
  BOOST_TEST(refusal("99-x,m,H100,1,FP16,0,1,1,1,1,1,1,1\n").find("no entry of loads.json has an id") !=
             std::string::npos);
  BOOST_TEST(refusal("17-x,m,H100,1,FP16,half,1,1,1,1,1,1,1\n").starts_with("runs.csv:2:"));
  BOOST_TEST(refusal("17-x,m,H100,1,FP16,0,-4,1,1,1,1,1,1\n").find("e2e_mean: a time above 0") !=
             std::string::npos);
  BOOST_TEST(refusal("17-x,m,H100,1,FP16,0,,,,,,,\n").find("the row holds no time") != std::string::npos);
  BOOST_TEST(refusal("").find("no run in it") != std::string::npos);
  BOOST_TEST(refusal("17,m,H100,1,FP16,0,1,1,1,1,1,1,1\n", "{}").find("a list of runs") != std::string::npos);
  BOOST_TEST(refusal("17,m,H100,1,FP16,0,1,1,1,1,1,1,1\n", R"([{"id": "17"}])")
                 .find("workload.inference_perf is missing") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
