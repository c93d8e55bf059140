// The writers of a timing comparison: what each reader of theirs relies on.
#include "reports/regression.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>
#include <vector>

namespace kvcast {
namespace {

KernelChange change(const std::string& name, TimingVerdict verdict, double by) {
  KernelChange result;
  result.name = name;
  result.verdict = verdict;
  result.base_ns = 200e3;
  result.new_ns = 200e3 * (1 + by);
  result.change = by;
  result.low = by - 0.005;
  result.high = by + 0.005;
  result.threshold = 0.02;
  result.p = verdict == TimingVerdict::unchanged ? 0.4 : 1e-9;
  result.n_base = result.n_new = 20;
  return result;
}

Regression comparison() {
  Regression regression;
  regression.base_name = "old_a.jsonl";
  regression.new_name = "new.jsonl";
  regression.base_device = regression.new_device = "h100-sxm";
  regression.version = "1.2.3";
  regression.kernels = {change("gemm m=1", TimingVerdict::unchanged, 0.001),
                        change("decode <&\"'>\x01 b=64", TimingVerdict::slower, 0.05),
                        change("prefill | q=1", TimingVerdict::suspect, 0.015),
                        change("append t=1", TimingVerdict::undecided, 0.3),
                        change("copy n=1", TimingVerdict::faster, -0.1),
                        change("norm n=1", TimingVerdict::slower, 0.09)};
  regression.kernels[3].remark = "1 and 1 samples";
  regression.sentinels = {change("copy sentinel", TimingVerdict::unchanged, 0.001)};
  regression.missing = {"gone"};
  regression.added = {"fresh"};
  regression.warnings = {"the sentinels are off"};
  regression.shift[0] = {DeviceShift::Use::removed, 0.001, 1, 0.002, 6};
  return regression;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

/// The elements of XML in document order, opening ones only; checks that they nest and that no character
/// stands where it may not.
std::vector<std::string> elements(const std::string& xml) {
  std::vector<std::string> all;
  std::vector<std::string> open;
  std::size_t at = xml.find("?>") + 2;
  while ((at = xml.find('<', at)) != std::string::npos) {
    const std::size_t end = xml.find('>', at);
    BOOST_REQUIRE(end != std::string::npos);
    const std::string tag = xml.substr(at + 1, end - at - 1);
    BOOST_TEST(tag.find('<') == std::string::npos, tag);
    BOOST_TEST(count(tag, "\"") % 2 == 0, tag);
    const std::string name = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag.front() == '/') {
      BOOST_REQUIRE(!open.empty());
      BOOST_TEST(open.back() == tag.substr(1));
      open.pop_back();
    } else {
      all.push_back(name);
      if (tag.back() != '/') open.push_back(name);
    }
    at = end;
  }
  BOOST_TEST(open.empty());
  for (const char c : xml) BOOST_TEST((static_cast<unsigned char>(c) >= 0x20 || c == '\n'));
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(regression_writers)

BOOST_AUTO_TEST_CASE(table_shows_what_changed_first) {
  const std::string table = to_table(comparison(), false);
  BOOST_TEST(contains(table, "FAIL: 2 of 6 kernels fail: 2 slower"));
  BOOST_TEST(contains(table, "WARNING: the sentinels are off"));
  BOOST_TEST(contains(table, "in ns: sentinels +0.1 % (1)"));
  BOOST_TEST(table.find("norm n=1") < table.find("decode <"));
  BOOST_TEST(table.find("decode <") < table.find("prefill"));
  BOOST_TEST(table.find("prefill") < table.find("copy n=1"));
  BOOST_TEST(table.find("copy n=1") < table.find("gemm"));
  BOOST_TEST(contains(table, "1 and 1 samples"));
  BOOST_TEST(!contains(table, "in cycles"));
}

BOOST_AUTO_TEST_CASE(a_passing_comparison_says_so) {
  Regression regression = comparison();
  regression.kernels.resize(1);
  BOOST_TEST(contains(to_table(regression, false), "PASS: 0 of 1 kernels fail"));
  BOOST_TEST(contains(to_markdown(regression), "## Kernel timings: ok"));
  BOOST_TEST(contains(to_junit(regression), "failures=\"0\""));
}

BOOST_AUTO_TEST_CASE(many_unchanged_kernels_are_one_line) {
  Regression regression = comparison();
  for (int i = 0; i < 50; ++i)
    regression.kernels.push_back(change("quiet " + std::to_string(i), TimingVerdict::unchanged, 0));
  const std::string table = to_table(regression, false);
  BOOST_TEST(!contains(table, "quiet"));
  BOOST_TEST(contains(table, "unchanged   51 kernels"));
}

BOOST_AUTO_TEST_CASE(json_holds_every_kernel) {
  const auto json = nlohmann::json::parse(to_json(comparison()));
  BOOST_TEST(json["status"] == "regression");
  BOOST_TEST(json["kernels"].size() == 6U);
  BOOST_TEST(json["counts"]["slower"] == 2);
  BOOST_TEST(json["kernels"][1]["change"] == 0.05);
  BOOST_TEST(json["kernels"][1]["change_interval_95"].size() == 2U);
  BOOST_TEST(json["device"]["ns"]["use"] == "removed");
  BOOST_TEST(json["missing"][0] == "gone");
}

BOOST_AUTO_TEST_CASE(junit_has_the_usual_structure) {
  const std::string xml = to_junit(comparison());
  BOOST_TEST(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites "));
  const std::vector<std::string> found = elements(xml);
  BOOST_REQUIRE(found.size() > 2U);
  BOOST_TEST(found[0] == "testsuites");
  BOOST_TEST(found[1] == "testsuite");
  const auto times = [&](const std::string& name) { return std::count(found.begin(), found.end(), name); };
  BOOST_TEST(times("testcase") == 7);
  BOOST_TEST(times("failure") == 2);
  BOOST_TEST(times("skipped") == 2);
  BOOST_TEST(contains(
      xml, "<testsuite name=\"kernel timings\" tests=\"7\" failures=\"2\" errors=\"0\" skipped=\"2\""));
  BOOST_TEST(count(xml, "classname=\"kvcast.regress.") == 7U);
  BOOST_TEST(contains(xml, "classname=\"kvcast.regress.gemm\" name=\"gemm m=1\" time=\"0.000200200\"/>"));
  BOOST_TEST(contains(xml, "type=\"regression\""));
}

BOOST_AUTO_TEST_CASE(markdown_escapes_and_lists) {
  const std::string text = to_markdown(comparison());
  BOOST_TEST(contains(text, "## Kernel timings: regression"));
  BOOST_TEST(contains(text, "prefill \\| q=1"));
  BOOST_TEST(contains(text, "| **FAIL** | +9.0 % [+8.5 %, +9.5 %] |"));
  BOOST_TEST(!contains(text, "gemm m=1"));
  BOOST_TEST(contains(text, "> **Warning**: the sentinels are off"));
  BOOST_TEST(contains(text, "<summary>Missing in the new file (1)</summary>"));
  BOOST_TEST(contains(text, "old\\_a.jsonl"));
}

BOOST_AUTO_TEST_CASE(an_inefficient_kernel_fails_by_itself) {
  Regression regression = comparison();
  regression.kernels.resize(1);
  regression.kernels[0].efficiency = 0.55;
  regression.kernels[0].efficiency_min = 0.8;
  BOOST_TEST(contains(to_table(regression, false), "inefficient"));
  BOOST_TEST(
      contains(to_table(regression, false), "reaches 55.0 % of the data sheet's bound; at least 80.0 %"));
  BOOST_TEST(contains(to_junit(regression), "type=\"efficiency\""));
  BOOST_TEST(contains(verdict_of(regression), "1 below the efficiency asked for"));
}

BOOST_AUTO_TEST_CASE(numbers_as_people_read_them) {
  BOOST_TEST(change_text(0.0412) == "+4.1 %");
  BOOST_TEST(change_text(-0.0004) == "0.0 %");
  BOOST_TEST(time_text(4567) == "4.57 us");
  BOOST_TEST(time_text(4.5e6) == "4.50 ms");
  BOOST_TEST(time_text(2e9) == "2.00 s");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast
