// The page of a timing comparison and its CSV.
#include <boost/test/unit_test.hpp>
#include <string>

#include "reports/regression.h"

namespace kvcast {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

KernelChange change(const std::string& name, TimingVerdict verdict, double by, double base_ns = 200e3) {
  KernelChange result;
  result.name = name;
  result.verdict = verdict;
  result.base_ns = base_ns;
  result.new_ns = base_ns * (1 + by);
  result.change = by;
  result.low = by - 0.005;
  result.high = by + 0.005;
  result.threshold = noise_floor(base_ns);
  result.p = 0.5;
  result.n_base = result.n_new = 20;
  return result;
}

Regression example(int unchanged) {
  Regression regression;
  regression.base_name = "old.jsonl";
  regression.new_name = "new.jsonl";
  regression.base_hash = "aaaa";
  regression.new_hash = "bbbb";
  regression.seed = "3";
  regression.version = "1.2.3";
  regression.command = "kvcast regress old.jsonl new.jsonl";
  regression.kernels = {change("gemm <m=1>", TimingVerdict::slower, 0.09),
                        change("copy", TimingVerdict::faster, -0.1, 5e3),
                        change("norm", TimingVerdict::suspect, 0.015)};
  for (int i = 0; i < unchanged; ++i)
    regression.kernels.push_back(
        change("kernel " + std::to_string(i), TimingVerdict::unchanged, 0.001, 1e3 * (1 + i)));
  regression.sentinels = {change("a sentinel", TimingVerdict::unchanged, 0.002)};
  regression.missing = {"gone"};
  regression.warnings = {"look & see"};
  return regression;
}

BOOST_AUTO_TEST_SUITE(regression_html)

BOOST_AUTO_TEST_CASE(page_has_every_part) {
  const std::string page = to_html(example(10));
  for (const char* part : {"Kernel timings: regression", "verdict bad", "gemm &lt;m=1&gt;", "&#10007; slower",
                           "&#10003; faster", "class=\"limit\"", "<summary>10 unchanged</summary>",
                           "id=\"changes-chart\"", "Did the device change?", "gone", "look &amp; see",
                           "old.jsonl <code>aaaa</code>", "<dt>Seed</dt><dd>3</dd>"})
    BOOST_TEST(contains(page, part), part << " is missing");
  BOOST_TEST(page.find("gemm &lt;m=1&gt;</th>") < page.find("copy</th>"));
  Regression fine = example(2);
  fine.kernels.erase(fine.kernels.begin());
  BOOST_TEST(!contains(to_html(fine), "verdict bad"));
}

BOOST_AUTO_TEST_CASE(thousands_of_kernels_stay_small) {
  const std::string page = to_html(example(5000));
  BOOST_TEST(page.size() < 1'000'000U);
  BOOST_TEST(contains(page, "and 4,800 more; --json and --csv have all."));
}

BOOST_AUTO_TEST_CASE(csv_rows) {
  const std::string csv = to_csv(example(1));
  BOOST_TEST(contains(csv, "gemm <m=1>,slower,ns,200000,218000"));
  BOOST_TEST(contains(csv, "a sentinel,sentinel,ns,"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
