// Collectives of vLLM 0.24 and NCCL 2.29 on H100s (kernels/h100_sxm_vllm_0.24: custom_allreduce_perf,
// nccl_perf): the calibration's form fitted to every second message size and judged on those between, and the
// datasheet's forms, which are fitted to nothing.
#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>

#include "hwmodels/collectives.h"
#include "hwmodels/kernel_fit.h"
#include "hwmodels/node_spec.h"
#include "tests/support/data.h"
#include "workloads/lines.h"

namespace kvcast::test {
namespace {

std::vector<KernelSamples> read_collectives(const std::filesystem::path& folder) {
  KernelTables tables(find_gpu("h100-sxm", "test").sm_count);
  for (const char* name : {"custom_allreduce_perf.csv.gz", "nccl_perf.csv.gz"}) {
    const std::string path = (folder / name).string();
    LineReader reader(file_on_disk(path));
    BOOST_REQUIRE(reader.next());
    tables.begin(path, reader.text());
    while (reader.next()) tables.row(reader.text(), reader.number());
  }
  return tables.samples();
}

/// Errors by class.
class Errors {
 public:
  void add(const std::string& group, double forecast, double measured) {
    errors_[group].push_back(std::abs(std::log(forecast / measured)));
  }
  [[nodiscard]] double median(const std::string& group) {
    std::vector<double>& all = errors_.at(group);
    std::sort(all.begin(), all.end());
    return all[all.size() / 2];
  }
  void print(const char* title) {
    for (auto& [group, all] : errors_) {
      const double middle = median(group);
      fmt::print("{}: {:<44} {:>4} rows, median {:5.1f} %, p90 {:5.1f} %\n", title, group, all.size(),
                 100 * middle, 100 * all[all.size() * 9 / 10]);
    }
  }

 private:
  std::map<std::string, std::vector<double>> errors_;
};

std::string label(const KernelSamples& samples, const char* key) { return samples.key.labels.at(key); }

/// "1 under 64 KB", ...
std::string size_band(double bytes) {
  if (bytes < 65536) return "under 64 KB";
  return bytes < 4 * 1048576 ? "64 KB to 4 MB" : "4 MB and more";
}

BOOST_AUTO_TEST_CASE(collectives_between_fitted_sizes) {
  const auto folder = data_folder("kernels/h100_sxm_vllm_0.24");
  if (!folder) return;
  std::vector<KernelSamples> fitted = read_collectives(*folder);
  std::vector<std::vector<KernelSample>> held(fitted.size());
  for (std::size_t i = 0; i < fitted.size(); ++i) {
    std::vector<KernelSample> kept;
    for (const KernelSample& row : fitted[i].rows) {
      const bool even = std::llround(std::log2(row.at[0])) % 2 == 0;
      (even ? kept : held[i]).push_back(row);
    }
    fitted[i].rows = std::move(kept);
  }
  const KernelFits fits = fit_kernels(fitted, {.seed = 1, .share = 0});
  BOOST_REQUIRE_EQUAL(fits.kernels.size(), fitted.size());
  Errors errors;
  for (std::size_t i = 0; i < fitted.size(); ++i) {
    const std::string operation = label(fitted[i], "operation");
    for (const KernelSample& row : held[i]) {
      const double us = kernel_time(fits.kernels[i].fit, {row.at.data(), 1}, false).us;
      errors.add(operation, us, row.us);
      if (operation != "all_reduce") continue;
      errors.add(operation + ", " + size_band(row.at[0]), us, row.us);
      errors.add(
          fmt::format("{}, {} {} GPUs", operation, label(fitted[i], "backend"), fitted[i].key.constants[0]),
          us, row.us);
    }
  }
  errors.print("every second size fitted");
  BOOST_TEST(errors.median("all_reduce") < 0.05);
  for (const char* band : {"under 64 KB", "64 KB to 4 MB", "4 MB and more"})
    BOOST_TEST(errors.median(std::string("all_reduce, ") + band) < 0.07);
}

BOOST_AUTO_TEST_CASE(collectives_by_datasheet) {
  const auto folder = data_folder("kernels/h100_sxm_vllm_0.24");
  if (!folder) return;
  const GpuSpec gpu = find_gpu("h100-sxm", "test");
  const NodeSpec node = default_node(gpu);
  const std::map<std::string, CollectiveOp> operations = {{"all_reduce", CollectiveOp::all_reduce},
                                                          {"all_gather", CollectiveOp::all_gather},
                                                          {"reduce_scatter", CollectiveOp::reduce_scatter},
                                                          {"alltoall", CollectiveOp::all_to_all}};
  constexpr double kCustomMax = 8 * 1048576;  // vLLM's kernels of its own stop there
  Errors errors;
  for (const KernelSamples& samples : read_collectives(*folder)) {
    const std::string backend = label(samples, "backend"), operation = label(samples, "operation");
    if (backend == "vllm_eager") continue;  // with the host's time to launch it
    const auto ranks = static_cast<std::int64_t>(samples.key.constants[0]);
    GroupLink link = group_link(node, gpu, {ranks, 1});
    for (const KernelSample& row : samples.rows) {
      link.peer_memory = backend == "vllm_graph" && row.at[0] <= kCustomMax;
      const double us = collective_time(operations.at(operation), ranks, row.at[0], link).us;
      errors.add(operation, us, row.us);
      errors.add(operation + ", " + backend, us, row.us);
      if (operation == "all_reduce") errors.add(operation + ", " + size_band(row.at[0]), us, row.us);
    }
  }
  errors.print("datasheet, nothing fitted");
  BOOST_TEST(errors.median("all_reduce") < 0.3);
  for (const auto& [operation, op] : operations) BOOST_TEST(errors.median(operation) < 0.5);
}

}  // namespace
}  // namespace kvcast::test
