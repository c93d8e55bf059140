// From records to fits. The medians of the samples are what is fitted.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "hwmodels/bench_model.h"
#include "hwmodels/fit_least_squares.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::size_t kHoldOutEvery = 7;
constexpr std::size_t kHoldOutFirst = 3;
/// |error| of a normal distribution has its median at 0.6745 standard errors.
constexpr double kSigmaOfMedian = 1 / 0.6745;

/// A measured point of one kernel: the values of the terms, and its time.
struct Point {
  std::vector<double> terms;
  double us = 0;
  const MeasurementRecord* record = nullptr;
};

/// How the records of an operator become points of a sum. Members of the shape that are in no term are what
/// all points of a fit have in common.
struct SumForm {
  std::string op;
  std::vector<std::string> constants;
  std::function<std::vector<double>(const MeasurementRecord&)> values;
};

double member(const MeasurementRecord& record, std::string_view name) {
  const JsonValue* value = record.shape.find(name);
  return value == nullptr ? 0 : value->real;
}

std::vector<double> prefill_terms(const MeasurementRecord& record) {
  const double batch = member(record, "batch"), q = member(record, "q_len"), past = member(record, "past");
  return {1, batch, batch * (past + q), batch * (q * past + q * (q + 1) / 2)};
}

std::vector<double> decode_terms(const MeasurementRecord& record) {
  return {1, member(record, "batch"), member(record, "context_sum")};
}

std::vector<double> gemm_terms(const MeasurementRecord& record) {
  const double m = member(record, "m"), n = member(record, "n"), k = member(record, "k");
  return {1, n * k, m * (n + k), m * n * k};
}

const std::vector<SumForm>& sum_forms() {
  const auto rows_of = [](const char* name) {
    return [name](const MeasurementRecord& record) { return std::vector<double>{1, member(record, name)}; };
  };
  static const std::vector<SumForm> forms = {
      {"gemm", {}, gemm_terms},
      {"decode_attention", {"heads", "kv_heads", "head_size"}, decode_terms},
      {"prefill_attention", {"heads", "kv_heads", "head_size"}, prefill_terms},
      {"mla_decode", {"heads", "head_size"}, decode_terms},
      {"mla_prefill", {"heads", "head_size"}, prefill_terms},
      {"append", {"heads", "kv_heads", "head_size"}, rows_of("tokens")},
      {"rms_norm", {"width"}, rows_of("rows")},
      {"silu_mul", {"width"}, rows_of("rows")},
      {"embed", {"width"}, rows_of("rows")},
      {"sample", {"vocabulary"}, rows_of("rows")},
  };
  return forms;
}

double evaluate(const std::vector<double>& coefficients, const std::vector<double>& terms) {
  double sum = 0;
  for (std::size_t i = 0; i < terms.size(); ++i) sum += coefficients[i] * terms[i];
  return sum;
}

double interpolate(const std::vector<double>& rows, const std::vector<double>& us, double at) {
  const auto above = std::lower_bound(rows.begin(), rows.end(), at);
  if (above == rows.begin()) return us.front();
  if (above == rows.end()) return us.back() * at / rows.back();
  const auto i = static_cast<std::size_t>(above - rows.begin());
  const double part = (at - rows[i - 1]) / (rows[i] - rows[i - 1]);
  return us[i - 1] + part * (us[i] - us[i - 1]);
}

/// Coefficients of a sum, by relative error. A coefficient that the points do not ask for becomes 0.
FitResult fit_sum(const std::vector<std::string>& names, const std::vector<Point>& points) {
  std::vector<FitParameter> parameters;
  std::vector<double> measured;
  for (const Point& point : points) measured.push_back(point.us);
  for (std::size_t i = 0; i < names.size(); ++i) {
    // Were the term alone, no point would be below it by more than this.
    double most = 1e300;
    for (const Point& point : points)
      if (point.terms[i] > 0) most = std::min(most, point.us / point.terms[i]);
    parameters.push_back({.name = names[i],
                          .start = most / static_cast<double>(names.size()),
                          .min = most * 1e-6,
                          .max = most * 3});
  }
  FitResult result = fit_ratios(
      parameters,
      [&points](const std::vector<double>& values, std::size_t row) {
        return evaluate(values, points[row].terms);
      },
      measured);
  for (std::size_t i = 0; i < names.size(); ++i)
    if (result.values[i] <= parameters[i].min * 2) result.values[i] = 0;
  return result;
}

/// Never falls: where a wider product was measured faster, both get their mean. Source: pool adjacent
/// violators, Barlow et al. 1972.
std::vector<double> rising(const std::vector<double>& us) {
  std::vector<std::pair<double, std::size_t>> blocks;  // mean, count
  for (const double value : us) {
    blocks.emplace_back(value, 1);
    while (blocks.size() > 1 && blocks[blocks.size() - 2].first > blocks.back().first) {
      const auto [last, count] = blocks.back();
      blocks.pop_back();
      auto& [mean, before] = blocks.back();
      mean = (mean * static_cast<double>(before) + last * static_cast<double>(count)) /
             static_cast<double>(before + count);
      before += count;
    }
  }
  std::vector<double> result;
  for (const auto& [mean, count] : blocks) result.insert(result.end(), count, mean);
  return result;
}

BenchErrors errors_of(std::vector<double> errors) {
  BenchErrors result;
  result.points = static_cast<std::int64_t>(errors.size());
  if (errors.empty()) return result;
  std::sort(errors.begin(), errors.end());
  const auto quantile = [&errors](double fraction) {
    const double at = fraction * static_cast<double>(errors.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const std::size_t above = std::min(below + 1, errors.size() - 1);
    return errors[below] + (at - static_cast<double>(below)) * (errors[above] - errors[below]);
  };
  result.median = quantile(0.5);
  result.p90 = quantile(0.9);
  result.p99 = quantile(0.99);
  return result;
}

bool held_out(std::size_t index, std::size_t count) {
  return index % kHoldOutEvery == kHoldOutFirst && index + 1 < count;
}

class Fitter {
 public:
  BenchCalibration take() {
    for (const auto& [key, errors] : errors_)
      result_.hold_out.push_back({key.first, decade_name(key.second), errors_of(errors)});
    return std::move(result_);
  }

  void sum(const SumForm& form, BenchFit fit, std::vector<Point> points) {
    const std::vector<std::string> terms = bench_terms(form.op);
    if (points.size() < terms.size() + 1) return;
    by_time(points);
    fit.form = "sum";
    fit.terms = terms;
    const auto fitted = [&terms](const std::vector<Point>& seen) {
      const FitResult sums = fit_sum(terms, seen);
      return [sums](const Point& point) { return evaluate(sums.values, point.terms); };
    };
    judge(points, fitted, form.op != "gemm", fit);
    const FitResult all = fit_sum(terms, points);
    fit.us = all.values;
    for (std::size_t i = 0; i < all.values.size(); ++i)
      fit.us_error.push_back(all.values[i] * all.relative_errors[i]);
    for (std::size_t i = 0; i < terms.size(); ++i) fit.range.push_back(range_of(points, i));
    result_.fits.push_back(std::move(fit));
  }

  /// \param points of one n and k: one term, the rows
  void curve(BenchFit fit, std::vector<Point> points) {
    if (points.size() < 2) return;
    std::sort(points.begin(), points.end(),
              [](const Point& a, const Point& b) { return a.terms.front() < b.terms.front(); });
    fit.form = "curve";
    fit.terms = {"rows"};
    const auto fitted = [](const std::vector<Point>& seen) {
      const auto [rows, us] = knots(seen);
      return
          [rows = rows, us = us](const Point& point) { return interpolate(rows, us, point.terms.front()); };
    };
    judge(points, fitted, true, fit);
    std::tie(fit.rows, fit.us) = knots(points);
    fit.range.push_back(range_of(points, 0));
    result_.fits.push_back(std::move(fit));
  }

 private:
  static void by_time(std::vector<Point>& points) {
    std::stable_sort(points.begin(), points.end(),
                     [](const Point& a, const Point& b) { return a.us < b.us; });
  }

  static std::pair<double, double> range_of(const std::vector<Point>& points, std::size_t term) {
    std::pair<double, double> range{points.front().terms[term], points.front().terms[term]};
    for (const Point& point : points) {
      range.first = std::min(range.first, point.terms[term]);
      range.second = std::max(range.second, point.terms[term]);
    }
    return range;
  }

  static std::pair<std::vector<double>, std::vector<double>> knots(const std::vector<Point>& points) {
    std::vector<double> rows, us;
    for (const Point& point : points) {
      rows.push_back(point.terms.front());
      us.push_back(point.us);
    }
    return {rows, rising(us)};
  }

  static int decade(double us) { return static_cast<int>(std::floor(std::log10(us))); }
  static std::string decade_name(int decade) {
    return fmt::format("{:g}-{:g} us", std::pow(10.0, decade), std::pow(10.0, decade + 1));
  }

  /// Fits without the points that are held out, and judges by them. \param shown false: the errors enter the
  /// fit alone, not the table
  template <class Fitted>
  void judge(const std::vector<Point>& points, const Fitted& fitted, bool shown, BenchFit& fit) {
    std::vector<Point> seen;
    for (std::size_t i = 0; i < points.size(); ++i)
      if (!held_out(i, points.size())) seen.push_back(points[i]);
    const auto forecast = fitted(seen);
    std::vector<double> errors;
    for (std::size_t i = 0; i < points.size(); ++i) {
      const Point& point = points[i];
      const bool out = held_out(i, points.size());
      const double us = forecast(point);
      if (shown)
        result_.points.push_back(
            {point.record->op, point.us, us, point.record->bytes, point.record->flop, out});
      if (!out) continue;
      errors.push_back(std::abs(us / point.us - 1));
      if (shown) errors_[{fit.op, decade(point.us)}].push_back(errors.back());
    }
    fit.hold_out = errors_of(errors);
    fit.relative_error = fit.hold_out.median * kSigmaOfMedian;
  }

  BenchCalibration result_;
  std::map<std::pair<std::string, int>, std::vector<double>> errors_;
};

void check_one_device(const std::vector<MeasurementRecord>& records, const std::string& name) {
  for (const MeasurementRecord& record : records) {
    const MeasurementDevice& first = records.front().device;
    if (record.device.name == first.name && record.device.uuid == first.uuid) continue;
    throw InputError(
        fmt::format("{}:{}: a record of {} {} after records of {} {}; a calibration is of one device", name,
                    record.line, record.device.name, record.device.uuid, first.name, first.uuid),
        ExitCode::bad_data);
  }
}

/// What tells one fit of an operator from another.
struct FitKey {
  std::string variant, dtype;
  std::vector<std::int64_t> constants;
  auto operator<=>(const FitKey&) const = default;
};

BenchFit start_fit(const std::string& op, const FitKey& key) {
  BenchFit fit;
  fit.op = op;
  fit.variant = key.variant;
  fit.dtype = key.dtype;
  return fit;
}

void fit_form(const SumForm& form, const std::vector<MeasurementRecord>& records, Fitter& fitter) {
  std::map<FitKey, std::vector<Point>> groups;
  for (const MeasurementRecord& record : records) {
    if (record.op != form.op || record.sentinel || member(record, "window") > 0) continue;
    if (record.op == "decode_attention" && member(record, "q_len") > 1) continue;  // of speculation
    FitKey key{record.kernel, record.dtype, {}};
    for (const std::string& name : form.constants)
      key.constants.push_back(static_cast<std::int64_t>(member(record, name)));
    groups[key].push_back({form.values(record), record.ns.median * 1e-3, &record});
  }
  for (auto& [key, points] : groups) {
    BenchFit fit = start_fit(form.op, key);
    for (std::size_t i = 0; i < form.constants.size(); ++i)
      fit.constants.emplace_back(form.constants[i], key.constants[i]);
    fitter.sum(form, std::move(fit), std::move(points));
  }
}

void fit_curves(const std::vector<MeasurementRecord>& records, Fitter& fitter) {
  std::map<FitKey, std::vector<Point>> sites;
  for (const MeasurementRecord& record : records) {
    if (record.op != "gemm" || record.sentinel) continue;
    const FitKey key{
        record.kernel,
        record.dtype,
        {static_cast<std::int64_t>(member(record, "n")), static_cast<std::int64_t>(member(record, "k"))}};
    sites[key].push_back({{member(record, "m")}, record.ns.median * 1e-3, &record});
  }
  for (auto& [key, points] : sites) {
    BenchFit fit = start_fit("gemm", key);
    fit.constants = {{"n", key.constants[0]}, {"k", key.constants[1]}};
    fitter.curve(std::move(fit), std::move(points));
  }
}

}  // namespace

BenchCalibration fit_bench_records(const std::vector<MeasurementRecord>& records, const std::string& name) {
  check_one_device(records, name);
  Fitter fitter;
  fit_curves(records, fitter);
  for (const SumForm& form : sum_forms()) fit_form(form, records, fitter);
  return fitter.take();
}

}  // namespace kvcast
