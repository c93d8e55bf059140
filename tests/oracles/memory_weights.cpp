// Weight bytes per rank against what vLLM 0.32's model classes create
// (data/oracles/vllm_kv_capacity/weights.csv).
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "hwmodels/weights.h"
#include "tests/oracles/memory_csv.h"
#include "tests/support/data.h"

namespace kvcast::test {
namespace {

struct Counted {
  std::int64_t bytes = 0;
  std::int64_t buffer_bytes = 0;
  std::int64_t mla_absorbed_bytes = 0;
};

Counted count_row(const ModelSpec& model, const CsvRow& row) {
  WeightSplit split;
  split.tensor_parallel = std::stoll(row.at("tp"));
  split.pipeline_parallel = std::stoll(row.at("pp"));
  split.expert_parallel = row.at("ep") == "1";
  split.moe_backend = row.at("moe_backend") == "auto" ? "" : row.at("moe_backend");
  if (row.at("part") == "draft") {
    const DraftWeights draft = count_draft_weights(model, split, row.at("spec_method"));
    return {draft.parts.total(), draft.buffer_bytes, draft.mla_absorbed_bytes};
  }
  const StageWeights stage = count_weights(model, split, std::stoll(row.at("stage")));
  return {stage.parts.total(), stage.buffer_bytes, stage.mla_absorbed_bytes};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(memory_weights)

BOOST_AUTO_TEST_CASE(every_row_of_the_oracle) {
  const auto folder = data_folder("oracles/vllm_kv_capacity");
  const auto models = data_folder("models/hf_config");
  if (!folder || !models) return;
  std::map<std::string, ModelSpec> cache;
  int rows = 0, exact = 0, exact_buffers = 0;
  double worst = 0;
  for (const CsvRow& row : csv_rows(*folder / "weights.csv")) {
    const std::string& name = row.at("model");
    if (cache.find(name) == cache.end())
      cache.emplace(name, load_model((*models / (name + ".json")).string()));
    const Counted counted = count_row(cache.at(name), row);
    const std::int64_t bytes = std::stoll(row.at("bytes"));
    const std::int64_t buffers = std::stoll(row.at("buffer_bytes"));
    const std::int64_t difference = counted.bytes - bytes;
    ++rows;
    exact += difference == 0 ? 1 : 0;
    exact_buffers += counted.buffer_bytes == buffers ? 1 : 0;
    worst = std::max(worst, std::abs(static_cast<double>(difference)) / static_cast<double>(bytes));
    if (difference != 0 || counted.buffer_bytes != buffers) {
      std::printf("%s tp %s pp %s stage %s ep %s %s %s: bytes %+lld of %lld, buffers %+lld of %lld\n",
                  name.c_str(), row.at("tp").c_str(), row.at("pp").c_str(), row.at("stage").c_str(),
                  row.at("ep").c_str(), row.at("spec_method").c_str(), row.at("part").c_str(),
                  static_cast<long long>(difference), static_cast<long long>(bytes),
                  static_cast<long long>(counted.buffer_bytes - buffers), static_cast<long long>(buffers));
    }
    BOOST_TEST(counted.mla_absorbed_bytes == std::stoll(row.at("mla_absorbed_bytes")));
  }
  std::printf("weights: %d of %d rows equal to the byte, worst error %.3g; buffers: %d equal\n", exact, rows,
              worst, exact_buffers);
  BOOST_TEST(exact == rows);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast::test
