/// Errors of forecasts by tensor-parallel size: whether several GPUs are forecast as well as one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace kvcast::test {

class ErrorsByRanks {
 public:
  void add(const std::string& metric, std::int64_t tensor_parallel, double relative_error) {
    errors_[{metric, tensor_parallel}].push_back(relative_error);
  }
  /// A Markdown table: for each metric and size the rows, the median error with its sign, and that of the
  /// magnitudes.
  [[nodiscard]] std::string table() const;
  /// Median of the magnitudes; 0: no rows.
  [[nodiscard]] double median(const std::string& metric, std::int64_t tensor_parallel) const;

 private:
  std::map<std::pair<std::string, std::int64_t>, std::vector<double>> errors_;
};

}  // namespace kvcast::test
