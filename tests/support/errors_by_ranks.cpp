#include "tests/support/errors_by_ranks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvcast::test {
namespace {

double middle(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::vector<double> magnitudes(std::vector<double> values) {
  for (double& value : values) value = std::abs(value);
  return values;
}

}  // namespace

std::string ErrorsByRanks::table() const {
  std::string text = "| metric | TP | rows | median error | median magnitude |\n|---|---|---|---|---|\n";
  for (const auto& [key, errors] : errors_) {
    text += fmt::format("| {} | {} | {} | {:+.1f} % | {:.1f} % |\n", key.first, key.second, errors.size(),
                        100 * middle(errors), 100 * middle(magnitudes(errors)));
  }
  return text;
}

double ErrorsByRanks::median(const std::string& metric, std::int64_t tensor_parallel) const {
  const auto found = errors_.find({metric, tensor_parallel});
  return found == errors_.end() ? 0 : middle(magnitudes(found->second));
}

}  // namespace kvcast::test
