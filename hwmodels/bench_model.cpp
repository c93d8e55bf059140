#include "hwmodels/bench_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hwmodels/json_fields.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr double kCurveUsMax = 1e9;  // of one kernel
constexpr double kTermUsMax = 1e6;   // of one count: times any number of layers it fits 64 bits of 2^-20 ns

/// Every operator that a step has, with the terms of its sum.
const std::vector<std::pair<std::string, std::vector<std::string>>>& all_terms() {
  static const std::vector<std::pair<std::string, std::vector<std::string>>> terms = {
      {"gemm", {"call", "weights", "activations", "products"}},
      {"decode_attention", {"call", "sequences", "context"}},
      {"prefill_attention", {"call", "sequences", "context", "pairs"}},
      {"mla_decode", {"call", "sequences", "context"}},
      {"mla_prefill", {"call", "sequences", "context", "pairs"}},
      {"append", {"call", "tokens"}},
      {"rms_norm", {"call", "rows"}},
      {"silu_mul", {"call", "rows"}},
      {"embed", {"call", "rows"}},
      {"sample", {"call", "rows"}}};
  return terms;
}

std::string quoted_list(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + json_quoted(name);
  return "[" + text + "]";
}

std::string number_list(const std::vector<double>& numbers) {
  std::string text;
  for (const double number : numbers) text += fmt::format("{}{:.7g}", text.empty() ? "" : ", ", number);
  return "[" + text + "]";
}

BenchErrors read_errors(JsonFields fields) {
  BenchErrors errors;
  errors.points = fields.integer("points");
  errors.median = fields.real("median", 0);
  errors.p90 = fields.real("p90", 0);
  errors.p99 = fields.real("p99", 0);
  fields.finish();
  return errors;
}

void read_values(JsonFields& fields, BenchFit& fit) {
  fit.us = fields.reals("us", 0, fit.form == "curve" ? kCurveUsMax : kTermUsMax);
  if (fit.form == "curve") {
    fit.terms = {"rows"};
    fit.rows = fields.reals("rows", 1, 1e12);
    if (fit.rows.empty() || fit.rows.size() != fit.us.size())
      fields.fail("us", fmt::format("{} values for {} rows", fit.us.size(), fit.rows.size()));
    if (!std::is_sorted(fit.rows.begin(), fit.rows.end(), std::less_equal<>()))
      fields.fail("rows", "must rise from each to the next");
    if (!std::is_sorted(fit.us.begin(), fit.us.end()))
      fields.fail("us", "must not fall from one to the next");
    return;
  }
  if (fit.form != "sum")
    fields.fail("form",
                fmt::format("unknown form \"{}\"{}", fit.form, known_names(fit.form, {"curve", "sum"})));
  fit.terms = fields.texts("terms");
  if (fit.terms != bench_terms(fit.op))
    fields.fail("terms", fmt::format("the terms of {} are {}", fit.op, quoted_list(bench_terms(fit.op))));
  if (fit.terms.size() != fit.us.size())
    fields.fail("us", fmt::format("{} coefficients for {} terms", fit.us.size(), fit.terms.size()));
  if (fields.has("us_error")) fit.us_error = fields.reals("us_error", 0);
}

BenchFit read_fit(const JsonLine& line, const std::string& name) {
  JsonFields fields(line.value, name);
  BenchFit fit;
  fit.op = fields.text("op");
  if (bench_terms(fit.op).empty()) {
    std::vector<std::string> known;
    for (const auto& [op, terms] : all_terms()) known.push_back(op);
    fields.fail("op", fmt::format("unknown operator \"{}\"{}", fit.op, known_names(fit.op, known)));
  }
  fit.variant = fields.text_or("kernel", "");
  fit.dtype = fields.text("dtype");
  fit.form = fields.text("form");
  JsonFields constants = fields.child("constants");
  for (const auto& member : constants.object().members)
    fit.constants.emplace_back(member.first, constants.integer(member.first));
  read_values(fields, fit);
  for (const char* end : {"range_min", "range_max"}) {
    const std::vector<double> values = fields.reals(end, 0);
    fit.range.resize(values.size());
    for (std::size_t i = 0; i < values.size(); ++i)
      (end == std::string_view("range_min") ? fit.range[i].first : fit.range[i].second) = values[i];
  }
  fit.relative_error = fields.real("relative_error", 0, 10);
  fit.hold_out = read_errors(fields.child("hold_out"));
  fields.finish();
  return fit;
}

}  // namespace

std::int64_t BenchFit::constant(std::string_view name) const {
  for (const auto& [key, value] : constants)
    if (key == name) return value;
  return 0;
}

std::vector<std::string> bench_terms(std::string_view op) {
  for (const auto& [name, terms] : all_terms())
    if (name == op) return terms;
  return {};
}

std::string format_bench_fit(const BenchFit& fit) {
  std::string constants;
  for (const auto& [name, value] : fit.constants)
    constants += fmt::format("{}{}: {}", constants.empty() ? "" : ", ", json_quoted(name), value);
  std::vector<double> low, high;
  for (const auto& [from, to] : fit.range) {
    low.push_back(from);
    high.push_back(to);
  }
  std::string text = fmt::format(
      "{{\"fit\": {{\"op\": {}, \"kernel\": {}, \"dtype\": {}, \"form\": {}, \"constants\": {{{}}}",
      json_quoted(fit.op), json_quoted(fit.variant), json_quoted(fit.dtype), json_quoted(fit.form),
      constants);
  text +=
      fit.form == "curve" ? ", \"rows\": " + number_list(fit.rows) : ", \"terms\": " + quoted_list(fit.terms);
  text += ", \"us\": " + number_list(fit.us);
  if (!fit.us_error.empty()) text += ", \"us_error\": " + number_list(fit.us_error);
  return text + fmt::format(
                    ", \"range_min\": {}, \"range_max\": {}, \"relative_error\": {:.4g}, \"hold_out\": "
                    "{{\"points\": "
                    "{}, \"median\": {:.4g}, \"p90\": {:.4g}, \"p99\": {:.4g}}}}}}}",
                    number_list(low), number_list(high), fit.relative_error, fit.hold_out.points,
                    fit.hold_out.median, fit.hold_out.p90, fit.hold_out.p99);
}

bool is_bench_calibration(const CalibrationFile& file) {
  const JsonValue* suite = file.header.raw.find("suite");
  return file.header.kind == "kernels" && suite != nullptr && suite->type == JsonValue::Type::string &&
         suite->text == "kvcast-bench";
}

std::vector<BenchFit> parse_bench_fits(const CalibrationFile& file) {
  std::vector<BenchFit> fits;
  for (const JsonLine& line : file.fits) fits.push_back(read_fit(line, file.name));
  if (fits.empty()) throw InputError(file.name + ": holds no fit", ExitCode::bad_data);
  return fits;
}

}  // namespace kvcast
