// NVIDIA aiconfigurator's kernel timings of vLLM 0.24 on an H100 (kernels/h100_sxm_vllm_0.24): errors on rows
// that the fit has not seen, and of the embedded calibration on all of them.
#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "hwmodels/gpu_spec.h"
#include "hwmodels/kernel_fit.h"
#include "tests/support/data.h"
#include "workloads/lines.h"

namespace kvcast::test {
namespace {

/// Errors on held-out rows, in per cent; 0: no bar.
struct Bar {
  const char* kernel;
  double median, p90;
};
constexpr Bar kBars[] = {
    {"decode_attention", 4, 13},   {"prefill_attention", 4, 13}, {"gemm", 4, 13},
    {"gemm, whole sites", 10, 25}, {"all_reduce", 5, 0},
};

std::vector<KernelSamples> read_tables(const std::filesystem::path& folder) {
  KernelTables tables(find_gpu("h100-sxm", "test").sm_count);
  for (const std::filesystem::path& path : files_in(folder, ".csv.gz")) {
    LineReader reader(file_on_disk(path.string()));
    BOOST_REQUIRE(reader.next());
    tables.begin(path.string(), reader.text());
    while (reader.next()) tables.row(reader.text(), reader.number());
  }
  return tables.samples();
}

BOOST_AUTO_TEST_CASE(kernel_tables_held_out) {
  const auto folder = data_folder("kernels/h100_sxm_vllm_0.24");
  if (!folder) return;
  const KernelFits fits = fit_kernels(read_tables(*folder), {});
  for (const HoldoutLine& line : fits.report) {
    if (line.decade != HoldoutLine::kAllDecades) continue;
    fmt::print("{:<20} {:>6} rows held out: median {:.1f} %, p90 {:.1f} %, p99 {:.1f} %\n", line.kernel,
               line.error.rows, 100 * line.error.median, 100 * line.error.p90, 100 * line.error.p99);
    for (const Bar& bar : kBars) {
      if (line.kernel != bar.kernel) continue;
      BOOST_TEST(100 * line.error.median <= bar.median);
      if (bar.p90 > 0) BOOST_TEST(100 * line.error.p90 <= bar.p90);
    }
  }
  for (const Bar& bar : kBars) {
    BOOST_TEST(std::any_of(fits.report.begin(), fits.report.end(),
                           [&](const HoldoutLine& line) { return line.kernel == bar.kernel; }));
  }
}

BOOST_AUTO_TEST_CASE(embedded_calibration_is_of_these_tables) {
  const auto folder = data_folder("kernels/h100_sxm_vllm_0.24");
  if (!folder) return;
  const KernelModel model(load_calibration("h100-sxm-vllm-0.24"));
  std::vector<double> errors;
  for (const KernelSamples& samples : read_tables(*folder)) {
    if (samples.key.form->features == nullptr) continue;  // curves are compared by the fit's own report
    const auto fit = std::find_if(model.fits().begin(), model.fits().end(),
                                  [&](const KernelFit& known) { return known.key == samples.key; });
    BOOST_REQUIRE(fit != model.fits().end());
    const std::size_t dims = samples.key.form->coordinates.size();
    for (std::size_t i = 0; i < samples.rows.size(); i += 97) {
      const KernelSample& row = samples.rows[i];
      errors.push_back(std::abs(std::log(kernel_time(*fit, {row.at.data(), dims}, false).us / row.us)));
    }
  }
  std::sort(errors.begin(), errors.end());
  fmt::print("embedded calibration: median error {:.1f} % over {} rows\n", 100 * errors[errors.size() / 2],
             errors.size());
  BOOST_TEST(errors[errors.size() / 2] < 0.04);
}

}  // namespace
}  // namespace kvcast::test
