/// Writers of a comparison of kernel timings (sim/regress/regression.h). All are pure and deterministic.
#pragma once

#include <string>
#include <vector>

#include "sim/regress/regression.h"

namespace kvcast {

/// For a terminal: what changed first; kernels that did not, only where there are few.
[[nodiscard]] std::string to_table(const Regression& regression, bool color);

/// Every kernel with all its figures; ends with a newline.
[[nodiscard]] std::string to_json(const Regression& regression);

/// JUnit XML as CI servers read it: one suite, one test case for each kernel; a slower one has failed, one
/// that is missing or undecided was skipped. Structure: <testsuites><testsuite tests failures errors skipped
/// time> <testcase classname name time>, after the schema that Jenkins publishes.
[[nodiscard]] std::string to_junit(const Regression& regression);

/// GitHub-flavoured Markdown, for a pull request's comment or a job summary.
[[nodiscard]] std::string to_markdown(const Regression& regression);

/// One HTML file below 1 MB: every change with its interval and its threshold, the changes by time.
[[nodiscard]] std::string to_html(const Regression& regression);

/// One row for each kernel and sentinel; nanoseconds and fractions.
[[nodiscard]] std::string to_csv(const Regression& regression);

/// One sentence: "2 of 60 kernels are slower" and the like.
[[nodiscard]] std::string verdict_of(const Regression& regression);

/// The kernels by urgency: failing, suspect, undecided, faster, unchanged; the largest change first.
[[nodiscard]] std::vector<const KernelChange*> by_urgency(const Regression& regression);

/// What the sentinels said of the device, one sentence for each quantity that was compared.
[[nodiscard]] std::vector<std::string> device_notes(const Regression& regression);

/// "+4.2 %"
[[nodiscard]] std::string change_text(double change);
/// "+4.2 % [+3.1 %, +5.3 %]"
[[nodiscard]] std::string change_with_interval(const KernelChange& change);
/// "12.3 us", "4.56 ms"
[[nodiscard]] std::string time_text(double ns);
/// Why a kernel fails or was not decided; empty for the others.
[[nodiscard]] std::string reason_of(const KernelChange& change);

}  // namespace kvcast
