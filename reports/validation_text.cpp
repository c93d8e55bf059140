#include "reports/validation_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "reports/format.h"

namespace kvcast {

std::string signed_percent(double share) { return fmt::format("{:+.1f} %", 100 * share); }

std::string label_of(const std::string& metric, const std::string& statistic) {
  if (statistic.empty()) {
    std::string text = metric;
    for (char& c : text) c = c == '_' ? ' ' : c;
    return text;
  }
  std::string upper = metric;
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return statistic + " " + upper;
}

std::string number_of(const ValidatedValue& value, double x) {
  return value.statistic.empty() ? significant(x) : latency(x);
}

std::string interval_of(const ValidatedValue& value) {
  if (!value.interval) return "-";
  return number_of(value, value.interval->low) + " to " + number_of(value, value.interval->high);
}

std::string title_of(const ValidatedLoad& load) {
  return load.run.empty() ? load.load : load.run + ", " + load.load;
}

std::string coverage_text(const Validation& validation) {
  const Coverage coverage = coverage_of(validation);
  if (coverage.of == 0) return "no intervals: the error of the step times is not known";
  return fmt::format("{} of {} measurements lie within the stated {:.0f} % intervals ({:.1f} %)",
                     coverage.inside, coverage.of, 100 * validation.confidence,
                     100 * static_cast<double>(coverage.inside) / static_cast<double>(coverage.of));
}

std::string cause_text(const ValidatedLoad& load) {
  const ValidatedValue& worst = load.values[load.worst];
  return fmt::format("largest: {} {}, cause {}", label_of(worst.metric, worst.statistic),
                     signed_percent(worst.error()), name_of(load.cause));
}

std::string verdict_of(const Validation& validation) {
  if (validation.loads.empty()) return "Nothing could be compared";
  std::vector<double> errors;
  std::size_t largest_at = 0;
  const ValidatedValue* largest = nullptr;
  for (std::size_t i = 0; i < validation.loads.size(); ++i) {
    for (const ValidatedValue& value : validation.loads[i].values) {
      errors.push_back(std::abs(value.error()));
      if (largest != nullptr && std::abs(value.error()) <= std::abs(largest->error())) continue;
      largest = &value;
      largest_at = i;
    }
  }
  if (largest == nullptr) return "Nothing could be compared";
  const auto middle = errors.begin() + static_cast<std::ptrdiff_t>(errors.size() / 2);
  std::nth_element(errors.begin(), middle, errors.end());
  return fmt::format(
      "Half of the {} numbers are within {:.1f} % of what was measured; the largest error is {} of {} "
      "({}). {}.",
      errors.size(), 100 * *middle, signed_percent(largest->error()),
      label_of(largest->metric, largest->statistic), title_of(validation.loads[largest_at]),
      coverage_text(validation));
}

}  // namespace kvcast
