// KV groups, blocks, tokens and concurrency against vLLM 0.32's own code
// (data/oracles/vllm_kv_capacity/kv_capacity.csv.gz).
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdio>
#include <map>

#include "hwmodels/memory_report.h"
#include "sim/base/error.h"
#include "tests/oracles/memory_rows.h"

namespace kvcast::test {
namespace {

/// The columns of a row that the report gets wrong, with both values; empty: none.
std::string differences(const CsvRow& row, const MemoryReport& report) {
  std::string text;
  const auto compare = [&](const char* column, std::int64_t value) {
    if (row.at(column).empty() || std::stoll(row.at(column)) == value) return;
    text += std::string(" ") + column + " " + std::to_string(value) + " not " + row.at(column);
  };
  const bool refused = row.at("status") == "refused";
  if (refused != (report.status == MemoryStatus::refused)) return " status";
  if (refused) {
    compare("fits_max_model_len", report.fits_max_model_len);
    return text;
  }
  compare("num_blocks", report.kv.blocks_total);
  compare("usable_blocks", report.kv.blocks_usable);
  compare("reported_tokens", report.kv.tokens_total);
  compare("bytes_per_block", report.kv.bytes_per_block);
  compare("blocks_per_request", report.kv.blocks_per_request);
  compare("needed_bytes", report.kv.bytes_per_request);
  compare("block_size_final", report.kv.block_size);
  compare("n_groups", static_cast<std::int64_t>(report.kv.groups.size()));
  if (std::abs(std::stod(row.at("max_concurrency")) - report.kv.max_concurrency) >
      1e-9 * report.kv.max_concurrency)
    text += " max_concurrency";
  return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(memory_kv_capacity)

BOOST_AUTO_TEST_CASE(every_row_of_the_oracle) {
  const auto folder = data_folder("oracles/vllm_kv_capacity");
  const auto models = data_folder("models/hf_config");
  if (!folder || !models) return;
  const GpuSpec h100 = find_gpu("h100-sxm", "test");
  ModelCache cache(*models);
  struct Tally {
    int rows = 0, equal = 0;
  };
  std::map<std::string, Tally> by_variant, by_model, by_tp;
  std::map<std::string, int> shown;
  Tally all;
  for (const CsvRow& row : csv_rows(*folder / "kv_capacity.csv.gz")) {
    const std::string& name = row.at("model");
    std::string wrong;
    try {
      wrong = differences(row, memory_report(cache.at(name), h100, capacity_options(row, h100)));
    } catch (const InputError& error) {
      wrong = std::string(" refused outright: ") + error.what();
    }
    for (Tally* tally : {&all, &by_variant[row.at("variant")], &by_model[name], &by_tp[row.at("tp")]}) {
      ++tally->rows;
      tally->equal += wrong.empty() ? 1 : 0;
    }
    if (!wrong.empty() && shown[name + row.at("variant")]++ < 2) {
      std::printf("%s %s L %s avail %s:%s\n", row.at("instance").c_str(), row.at("variant").c_str(),
                  row.at("max_model_len").c_str(), row.at("available_bytes").c_str(), wrong.c_str());
    }
  }
  for (const auto& [name, tally] : by_model)
    std::printf("%-50s %5d of %5d equal\n", name.c_str(), tally.equal, tally.rows);
  for (const auto& [name, tally] : by_variant)
    std::printf("%-50s %5d of %5d equal\n", name.c_str(), tally.equal, tally.rows);
  for (const auto& [tp, tally] : by_tp)
    std::printf("TP %-47s %5d of %5d equal\n", tp.c_str(), tally.equal, tally.rows);
  std::printf("KV capacity: %d of %d rows equal in every column\n", all.equal, all.rows);
  BOOST_TEST(all.equal == all.rows);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast::test
