#include "hwmodels/kernel_model.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "hwmodels/json_fields.h"
#include "sim/base/error.h"
#include "sim/base/portable_math.h"

namespace kvcast {
namespace {

constexpr double kLn2 = 0.693147180559945309417;
constexpr double kSqrt3 = 1.73205080756887729353;
constexpr double kWeightScale = 1000;  // weights are written as integers, in thousandths
constexpr double kCurveScale = 100;    // curves in per cent
constexpr std::size_t kNeighbours = 4;
constexpr double kCorrectionMax = 1.5;  // of |log|: what no residual of real tables reaches

double log2_of(double x) { return portable_log(std::max(x, 1e-9)) / kLn2; }

std::vector<double> site_of(std::span<const double> coordinates) {
  std::vector<double> result;
  for (const double c : coordinates) result.push_back(log2_of(c));
  return result;
}

double form_us(const KernelFit& fit, const double* at, bool cold, double cached = 0) {
  return fit.key.form->time_us({at, fit.key.constants.data(), fit.parameters.data(), cold, cached});
}

double interpolate(const std::vector<double>& knots, const std::vector<double>& values, double x) {
  if (x <= knots.front()) return values.front();
  if (x >= knots.back()) return values.back();
  const auto next = static_cast<std::size_t>(std::upper_bound(knots.begin(), knots.end(), x) - knots.begin());
  const double weight = (x - knots[next - 1]) / (knots[next] - knots[next - 1]);
  return values[next - 1] + weight * (values[next] - values[next - 1]);
}

/// Numbers separated by spaces inside one JSON string.
std::vector<double> parse_numbers(const std::string& text, const JsonFields& fields, std::string_view key) {
  std::vector<double> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    if (*at == ' ') {
      ++at;
      continue;
    }
    double value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || !(std::abs(value) < 1e12))
      fields.fail(key, "expected numbers separated by spaces");
    numbers.push_back(value);
    at = next;
  }
  return numbers;
}

std::vector<double> read_named(JsonFields fields, const std::vector<std::string_view>& names) {
  std::vector<double> values;
  for (const std::string_view name : names) values.push_back(fields.real(name, 0, 1e9));
  fields.finish();
  return values;
}

void read_parameters(JsonFields fields, KernelFit& fit) {
  for (const FitParameter& parameter : fit.key.form->parameters) {
    const std::vector<double> pair = fields.reals(parameter.name, 0, 1e12);
    if (pair.size() != 2) fields.fail(parameter.name, "expected [value, relative standard error]");
    if (pair[0] < 1e-12) fields.fail(parameter.name, "must be above 0");
    fit.parameters.push_back(pair[0]);
    fit.parameter_errors.push_back(pair[1]);
  }
  fields.finish();
}

void read_range(JsonFields fields, KernelFit& fit) {
  for (const std::string_view name : fit.key.form->coordinates) {
    const std::vector<double> pair = fields.reals(name, 0);
    if (pair.size() != 2 || pair[0] > pair[1]) fields.fail(name, "expected [lowest, highest]");
    fit.low.push_back(pair[0]);
    fit.high.push_back(pair[1]);
  }
  fields.finish();
}

void read_points(JsonFields& fields, KernelFit& fit) {
  const std::size_t dims = fit.key.form->coordinates.size();
  fit.points.length = fields.real("length", 0.01, 100);
  const std::vector<double> numbers = parse_numbers(fields.text("points"), fields, "points");
  if (numbers.size() % (dims + 1) != 0)
    fields.fail("points", fmt::format("expected {} numbers for each point", dims + 1));
  for (std::size_t at = 0; at < numbers.size(); at += dims + 1) {
    for (std::size_t i = 0; i < dims; ++i) {
      if (numbers[at + i] <= 0) fields.fail("points", "coordinates must be above 0");
      fit.points.coordinates.push_back(numbers[at + i]);
    }
    fit.points.weights.push_back(numbers[at + dims] / kWeightScale);
  }
  for (std::size_t at = 0; at < fit.points.coordinates.size(); at += dims) {
    const std::vector<double> features = fit.key.form->features(&fit.points.coordinates[at]);
    fit.points.features.insert(fit.points.features.end(), features.begin(), features.end());
  }
}

void read_curves(JsonFields& fields, KernelFit& fit) {
  const std::size_t dims = fit.key.form->coordinates.size() - 1;
  for (const double rows : fields.reals("rows", 1)) {
    fit.curves.knots.push_back(portable_log(rows));
    const std::size_t n = fit.curves.knots.size();
    if (n > 1 && fit.curves.knots[n - 2] >= fit.curves.knots[n - 1]) fields.fail("rows", "must ascend");
  }
  if (fit.curves.knots.empty()) fields.fail("rows", "must not be empty");
  for (const std::string& text : fields.texts("sites")) {
    const std::vector<double> numbers = parse_numbers(text, fields, "sites");
    if (numbers.size() != dims + fit.curves.knots.size())
      fields.fail("sites",
                  fmt::format("expected {} coordinates and {} values", dims, fit.curves.knots.size()));
    ResidualCurves::Site site;
    for (std::size_t i = 0; i < dims; ++i) {
      if (numbers[i] <= 0) fields.fail("sites", "coordinates must be above 0");
      site.at.push_back(log2_of(numbers[i]));
    }
    for (std::size_t i = dims; i < numbers.size(); ++i) site.log.push_back(numbers[i] / kCurveScale);
    fit.curves.sites.push_back(std::move(site));
  }
  if (fit.curves.sites.empty()) fields.fail("sites", "must not be empty");
}

KernelFit read_fit(const JsonLine& line, const std::string& file) {
  KernelFit fit;
  JsonFields fields(line.value, file);
  const std::string name = fields.text("kernel");
  fit.key.form = find_kernel_form(name);
  if (fit.key.form == nullptr) {
    std::vector<std::string> names;
    for (const KernelForm& form : kernel_forms()) names.emplace_back(form.name);
    fields.fail("kernel", fmt::format("unknown kernel \"{}\"{}", name, known_names(name, names)));
  }
  fit.key.constants = read_named(fields.child("constants"), fit.key.form->constants);
  JsonFields labels = fields.child("labels");
  for (const auto& [key, value] : labels.object().members) fit.key.labels[key] = labels.text(key);
  read_parameters(fields.child("parameters"), fit);
  read_range(fields.child("range"), fit);
  fit.rows = static_cast<std::size_t>(fields.integer("rows", 1));
  JsonFields error = fields.child("error");
  fit.error_near = error.real("near", 0, 10);
  fit.error_site = error.real_or("site", 0, 0, 10);
  fit.error_far = error.real("far", 0, 10);
  error.finish();
  fields.ignore("holdout");
  if (fields.has("curves")) {
    JsonFields curves = fields.child("curves");
    read_curves(curves, fit);
    curves.finish();
  }
  if (fields.has("residual")) {
    if (fit.key.form->features == nullptr) fields.fail("residual", "this kernel's residual is in curves");
    JsonFields residual = fields.child("residual");
    read_points(residual, fit);
    residual.finish();
  }
  fields.finish();
  return fit;
}

std::string named_list(const std::vector<std::string_view>& names, const std::vector<double>& values) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i)
    text += fmt::format("{}\"{}\": {:g}", i == 0 ? "" : ", ", names[i], values[i]);
  return text;
}

std::string format_points(const KernelFit& fit) {
  const std::size_t dims = fit.key.form->coordinates.size();
  std::string text;
  for (std::size_t i = 0; i < fit.points.weights.size(); ++i) {
    for (std::size_t d = 0; d < dims; ++d)
      text += fmt::format("{}{:g}", text.empty() ? "" : " ", fit.points.coordinates[i * dims + d]);
    text += fmt::format(" {:.0f}", fit.points.weights[i] * kWeightScale);
  }
  return fmt::format(", \"residual\": {{\"length\": {:g}, \"points\": \"{}\"}}", fit.points.length, text);
}

std::string format_curves(const KernelFit& fit) {
  std::string rows, sites;
  for (const double knot : fit.curves.knots)
    rows += fmt::format("{}{:.0f}", rows.empty() ? "" : ", ", portable_exp(knot));
  for (const ResidualCurves::Site& site : fit.curves.sites) {
    std::string text;
    for (const double at : site.at) text += fmt::format("{:.0f} ", portable_exp(at * kLn2));
    for (std::size_t i = 0; i < site.log.size(); ++i)
      text += fmt::format("{}{:.0f}", i == 0 ? "" : " ", site.log[i] * kCurveScale);
    sites += fmt::format("{}\"{}\"", sites.empty() ? "" : ", ", text);
  }
  return fmt::format(", \"curves\": {{\"rows\": [{}], \"sites\": [{}]}}", rows, sites);
}

}  // namespace

ResidualPoints::Value ResidualPoints::at(std::span<const double> features_at) const {
  Value value;
  const std::size_t dims = features_at.size();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    double square = 0;
    for (std::size_t d = 0; d < dims; ++d) {
      const double distance = features[i * dims + d] - features_at[d];
      square += distance * distance;
    }
    const double scaled = kSqrt3 * std::sqrt(square) / length;
    const double correlation = (1 + scaled) * portable_exp(-scaled);
    value.mean += correlation * weights[i];
    value.nearness = std::max(value.nearness, correlation);
  }
  value.mean = std::clamp(value.mean, -kCorrectionMax, kCorrectionMax);
  return value;
}

SiteCurve::SiteCurve(const KernelFit& fit, std::vector<double> site) : fit_(&fit), coordinates_{0} {
  const std::vector<double> at = site_of(site);
  coordinates_.insert(coordinates_.end(), site.begin(), site.end());
  std::vector<std::pair<double, const ResidualCurves::Site*>> nearest;  // by squared distance
  for (const ResidualCurves::Site& known : fit.curves.sites) {
    double square = 0;
    for (std::size_t i = 0; i < at.size(); ++i) square += (known.at[i] - at[i]) * (known.at[i] - at[i]);
    nearest.emplace_back(square, &known);
  }
  std::stable_sort(nearest.begin(), nearest.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  constexpr double kSame = 1e-12;
  log_.assign(fit.curves.knots.size(), 0);
  if (nearest.empty()) return;
  measured_ = nearest.front().first < kSame;
  if (measured_) {
    log_ = nearest.front().second->log;
    return;
  }
  nearest.resize(std::min(nearest.size(), kNeighbours));
  double total = 0;
  for (const auto& [square, known] : nearest) {
    for (std::size_t i = 0; i < log_.size(); ++i) log_[i] += known->log[i] / square;
    total += 1 / square;
  }
  for (double& value : log_) value /= total;
}

KernelTime SiteCurve::at(double rows) const {
  std::array<double, 8> at{};
  KVCAST_CHECK(coordinates_.size() <= at.size());
  std::copy(coordinates_.begin(), coordinates_.end(), at.begin());
  at[0] = rows;
  const double residual =
      log_.empty() ? 0 : interpolate(fit_->curves.knots, log_, portable_log(std::max(rows, 1.0)));
  return {form_us(*fit_, at.data(), false) * portable_exp(residual),
          measured_ ? fit_->error_near : std::max(fit_->error_site, fit_->error_near)};
}

KernelTime kernel_time(const KernelFit& fit, std::span<const double> at, bool cold, double cached) {
  KVCAST_CHECK(at.size() == fit.key.form->coordinates.size());
  if (!fit.curves.knots.empty()) return SiteCurve(fit, {at.begin() + 1, at.end()}).at(at[0]);
  const double us = form_us(fit, at.data(), cold, cached);
  if (fit.points.weights.empty()) return {us, fit.error_near};
  std::vector<double> seen(at.begin(), at.end());
  if (cached > 0) seen[1] += 2 * cached;
  const std::vector<double> features = fit.key.form->features(seen.data());
  const ResidualPoints::Value residual = fit.points.at(features);
  const double known = residual.nearness * residual.nearness;
  const double variance =
      fit.error_near * fit.error_near +
      (1 - known) * std::max(fit.error_far * fit.error_far - fit.error_near * fit.error_near, 0.0);
  return {us * portable_exp(residual.mean), std::sqrt(variance)};
}

KernelModel::KernelModel(const CalibrationFile& file) {
  for (const JsonLine& line : file.fits) fits_.push_back(read_fit(line, file.name));
}

const KernelFit* KernelModel::find(std::string_view form, const std::map<std::string, double>& constants,
                                   const std::map<std::string, std::string>& labels) const {
  for (const KernelFit& fit : fits_) {
    if (fit.key.form->name != form) continue;
    bool matches = true;
    for (std::size_t i = 0; i < fit.key.constants.size(); ++i) {
      const auto wanted = constants.find(std::string(fit.key.form->constants[i]));
      matches = matches && (wanted == constants.end() || wanted->second == fit.key.constants[i]);
    }
    for (const auto& [key, value] : labels) {
      const auto label = fit.key.labels.find(key);
      matches = matches && label != fit.key.labels.end() && label->second == value;
    }
    if (matches) return &fit;
  }
  return nullptr;
}

std::string format_kernel_fit(const KernelFit& fit, const std::string& holdout) {
  const KernelForm& form = *fit.key.form;
  std::string labels, parameters, range;
  for (const auto& [key, value] : fit.key.labels)
    labels += fmt::format("{}{}: {}", labels.empty() ? "" : ", ", json_quoted(key), json_quoted(value));
  for (std::size_t i = 0; i < form.parameters.size(); ++i) {
    parameters += fmt::format("{}\"{}\": [{:.4g}, {:.2g}]", i == 0 ? "" : ", ", form.parameters[i].name,
                              fit.parameters[i], fit.parameter_errors[i]);
  }
  for (std::size_t i = 0; i < form.coordinates.size(); ++i) {
    range += fmt::format("{}\"{}\": [{:.12g}, {:.12g}]", i == 0 ? "" : ", ", form.coordinates[i], fit.low[i],
                         fit.high[i]);
  }
  std::string text = fmt::format(
      "{{\"fit\": {{\"kernel\": \"{}\", \"labels\": {{{}}}, \"constants\": {{{}}}, \"parameters\": {{{}}}, "
      "\"range\": {{{}}}, \"rows\": {}, \"error\": {{\"near\": {:.3g}, \"site\": {:.3g}, \"far\": {:.3g}}}, "
      "\"holdout\": {}",
      form.name, labels, named_list(form.constants, fit.key.constants), parameters, range, fit.rows,
      fit.error_near, fit.error_site, fit.error_far, holdout);
  if (!fit.points.weights.empty()) text += format_points(fit);
  if (!fit.curves.knots.empty()) text += format_curves(fit);
  return text + "}}";
}

}  // namespace kvcast
