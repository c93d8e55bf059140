// JUnit XML. There is no standard but a practice: the elements and attributes here are those that Jenkins,
// GitLab and the GitHub actions for test reports read.
#include <fmt/format.h>

#include "reports/regression.h"
#include "reports/svg.h"

namespace kvcast {
namespace {

/// A case's name and class: GitLab groups by class, so that is the operation.
std::string opening(const std::string& name, double seconds) {
  const std::string op = name.substr(0, name.find(' '));
  return fmt::format("    <testcase classname=\"kvcast.regress.{}\" name=\"{}\" time=\"{:.9f}\"", escaped(op),
                     escaped(name), seconds);
}

std::string test_case(const KernelChange& change) {
  std::string text = opening(change.name, change.new_ns / 1e9);
  const std::string reason = reason_of(change);
  if (change.fails()) {
    text += fmt::format(
        ">\n      <failure message=\"{}\" type=\"{}\">{}</failure>\n    </testcase>\n", escaped(reason),
        change.verdict == TimingVerdict::slower ? "regression" : "efficiency",
        escaped(fmt::format("{} -> {}; {}", time_text(change.base_ns), time_text(change.new_ns), reason)));
  } else if (change.verdict == TimingVerdict::undecided) {
    text += fmt::format(">\n      <skipped message=\"{}\"/>\n    </testcase>\n", escaped(reason));
  } else if (change.verdict == TimingVerdict::unchanged) {
    text += "/>\n";
  } else {
    text += fmt::format(">\n      <system-out>{}: {}</system-out>\n    </testcase>\n",
                        to_string(change.verdict), escaped(change_with_interval(change)));
  }
  return text;
}

}  // namespace

std::string to_junit(const Regression& regression) {
  std::string cases;
  std::size_t failures = 0;
  std::size_t skipped = regression.missing.size();
  double seconds = 0;
  for (const KernelChange& change : regression.kernels) {
    cases += test_case(change);
    seconds += change.new_ns / 1e9;
    if (change.fails()) {
      ++failures;
    } else if (change.verdict == TimingVerdict::undecided) {
      ++skipped;
    }
  }
  for (const std::string& name : regression.missing)
    cases += opening(name, 0) + ">\n      <skipped message=\"not in the new file\"/>\n    </testcase>\n";
  const std::string totals = fmt::format("tests=\"{}\" failures=\"{}\" errors=\"0\"",
                                         regression.kernels.size() + regression.missing.size(), failures);
  std::string notes;
  for (const std::string& note : device_notes(regression)) notes += escaped(note) + "\n";
  for (const std::string& warning : regression.warnings) notes += "WARNING: " + escaped(warning) + "\n";
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"kvcast regress\" {} time=\"{:.9f}\">\n"
      "  <testsuite name=\"kernel timings\" {} skipped=\"{}\" time=\"{:.9f}\">\n{}    "
      "<system-out>{}</system-out>\n"
      "  </testsuite>\n</testsuites>\n",
      totals, seconds, totals, skipped, seconds, cases, notes);
}

}  // namespace kvcast
