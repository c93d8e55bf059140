#include "measured/readers.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

constexpr double kNumberMax = 1e15;
constexpr double kCountMax = 0x1p40;

/// numpy's linear interpolation. \param sorted not empty
double percentile(const std::vector<double>& sorted, double percent) {
  const double rank = static_cast<double>(sorted.size() - 1) * percent / 100;
  const auto below = static_cast<std::size_t>(rank);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (rank - static_cast<double>(below));
}

}  // namespace

std::optional<double> MeasuredLoad::find(std::string_view metric, std::string_view statistic) const {
  for (const MeasuredValue& value : values) {
    if (value.metric == metric && value.statistic == statistic) return value.value;
  }
  return std::nullopt;
}

void fail_at(const JsonValue& value, const std::string& file, const std::string& what) {
  throw InputError(file + ":" + std::to_string(value.line) + ":" + std::to_string(value.column) + ": " + what,
                   ExitCode::bad_data);
}

std::optional<double> number_of(const JsonValue& object, std::string_view key, const std::string& file,
                                bool infinite) {
  const JsonValue* value = object.find(key);
  if (value == nullptr || value->type == JsonValue::Type::null) return std::nullopt;
  double number = std::numeric_limits<double>::quiet_NaN();
  if (value->type == JsonValue::Type::integer || value->type == JsonValue::Type::real) {
    number = value->real;
  } else if (value->type == JsonValue::Type::string) {
    if (value->text == "inf") number = std::numeric_limits<double>::infinity();
    if (const auto parsed = parse_real(value->text)) number = *parsed;
  }
  const bool allowed = std::isinf(number) ? infinite && number > 0 : std::abs(number) <= kNumberMax;
  if (!allowed)
    fail_at(*value, file, std::string(key) + ": a number is needed" + (infinite ? " (or inf)" : ""));
  return number;
}

std::optional<std::int64_t> count_of(const JsonValue& object, std::string_view key, const std::string& file) {
  const std::optional<double> number = number_of(object, key, file);
  if (!number) return std::nullopt;
  if (*number < 0 || *number > kCountMax || *number != std::floor(*number))
    fail_at(*object.find(key), file, std::string(key) + ": a count is needed");
  return static_cast<std::int64_t>(*number);
}

std::string text_of(const JsonValue& object, std::string_view key) {
  const JsonValue* value = object.find(key);
  return value != nullptr && value->type == JsonValue::Type::string ? value->text : "";
}

void add_value(MeasuredLoad& load, std::string_view metric, std::string_view statistic,
               std::optional<double> value, double scale) {
  if (value) load.values.push_back({std::string(metric), std::string(statistic), *value * scale});
}

void add_statistics(MeasuredLoad& load, std::string_view metric, std::vector<double> values_ms) {
  KVCAST_CHECK(!values_ms.empty());
  std::sort(values_ms.begin(), values_ms.end());
  double sum = 0;
  for (const double value : values_ms) sum += value;
  add_value(load, metric, "mean", sum / static_cast<double>(values_ms.size()));
  for (const auto& [name, percent] : {std::pair{"p50", 50.0}, {"p90", 90.0}, {"p95", 95.0}, {"p99", 99.0}})
    add_value(load, metric, name, percentile(values_ms, percent));
}

}  // namespace kvcast
