#include "hwmodels/step_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "hwmodels/json_fields.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::int64_t kTimeMax = std::int64_t{1} << 62;
constexpr double kUsMax = 1e9;  // of one coefficient: larger ones are mistakes, and would not fit the clock

constexpr std::array<std::pair<StepCount, std::string_view>, 9> kCountNames = {{
    {StepCount::one, "step"},
    {StepCount::tokens, "tokens"},
    {StepCount::tokens_over, "tokens_over"},
    {StepCount::sampled, "sampled"},
    {StepCount::decode_seqs, "decode_seqs"},
    {StepCount::decode_context, "decode_context"},
    {StepCount::prefill_seqs, "prefill_seqs"},
    {StepCount::prefill_context, "prefill_context"},
    {StepCount::prefill_pairs, "prefill_pairs"},
}};

std::int64_t clamp(Int128 time) { return time > kTimeMax ? kTimeMax : static_cast<std::int64_t>(time); }

class StepModelTimer final : public FittedStepTimer {
 public:
  explicit StepModelTimer(const StepModel& model) : model_(model), beyond_(model.ranges.size()) {
    for (const StepTerm& term : model.terms) {
      fine_.push_back(std::llround(term.us * 1e3 * (1 << kFineBits)));
      if (term.count == StepCount::decode_context) per_context_ += fine_.back();
    }
  }

  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    watch(shape);
    StepCost cost;
    cost.time = FineDuration{clamp(sum(shape))};
    return cost;
  }

  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override {
    watch({.tokens = seqs, .sampled = seqs, .decode_seqs = seqs, .decode_context = context});
    const Int128 base = sum({.tokens = seqs, .sampled = seqs, .decode_seqs = seqs});
    DecodeLine line;
    if (base + static_cast<Int128>(per_context_) * context >= kTimeMax) {
      line.base.time = FineDuration{kTimeMax};
      return line;
    }
    line.base.time = FineDuration{static_cast<std::int64_t>(base)};
    line.per_context_token.time = FineDuration{per_context_};
    if (per_context_ > 0) line.context_max = static_cast<std::int64_t>((kTimeMax - base) / per_context_);
    return line;
  }

  [[nodiscard]] double relative_error(const StepShape& shape) const override {
    const std::size_t n = model_.terms.size();
    const double time = step_us(model_, shape);
    if (model_.covariance.size() != n * n || time <= 0) return model_.drift;
    std::vector<double> counts;
    for (const StepTerm& term : model_.terms)
      counts.push_back(static_cast<double>(count_of(shape, term.count, term.knee)));
    double variance = 0;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) variance += counts[i] * model_.covariance[i * n + j] * counts[j];
    }
    return std::sqrt(std::max(variance, 0.0) / (time * time) + model_.drift * model_.drift);
  }

  [[nodiscard]] std::string unseen() const override {
    const std::int64_t asked = asked_.load(), outside = outside_.load();
    if (outside == 0) return {};
    std::string text;
    for (std::size_t i = 0; i < beyond_.size(); ++i) {
      const StepRange& range = model_.ranges[i];
      if (beyond_[i].load() <= range.max) continue;
      text += fmt::format("{}{} up to {}, in the log {} to {}", text.empty() ? "" : "; ",
                          to_string(range.count), beyond_[i].load(), range.min, range.max);
    }
    return fmt::format(
        "{:.1f} % of the step compositions lie outside the log that the times were fitted to ({})",
        100.0 * static_cast<double>(outside) / static_cast<double>(asked),
        text.empty() ? "below its smallest" : text);
  }

 private:
  /// Counts that do not depend on the order of the calls.
  void watch(const StepShape& shape) const {
    asked_.fetch_add(1, std::memory_order_relaxed);
    bool inside = true;
    for (std::size_t i = 0; i < beyond_.size(); ++i) {
      const std::int64_t count = count_of(shape, model_.ranges[i].count);
      if (count >= model_.ranges[i].min && count <= model_.ranges[i].max) continue;
      inside = false;
      std::int64_t most = beyond_[i].load(std::memory_order_relaxed);
      while (count > most && !beyond_[i].compare_exchange_weak(most, count)) {
      }
    }
    if (!inside) outside_.fetch_add(1, std::memory_order_relaxed);
  }

  [[nodiscard]] Int128 sum(const StepShape& shape) const {
    Int128 time = 0;
    for (std::size_t i = 0; i < fine_.size(); ++i)
      time += static_cast<Int128>(fine_[i]) * count_of(shape, model_.terms[i].count, model_.terms[i].knee);
    return time;
  }

  StepModel model_;
  std::vector<std::int64_t> fine_;  // of each term, 2^-20 ns
  std::int64_t per_context_ = 0;
  mutable std::atomic<std::int64_t> asked_{0};
  mutable std::atomic<std::int64_t> outside_{0};
  mutable std::vector<std::atomic<std::int64_t>> beyond_;  // of each range, the largest count outside it
};

StepCount read_count(JsonFields& fields, std::string_view key) {
  const std::string name = fields.text(key);
  for (const auto& [count, known] : kCountNames) {
    if (known == name) return count;
  }
  std::vector<std::string> known;
  for (const auto& entry : kCountNames) known.emplace_back(entry.second);
  fields.fail(key, "unknown count " + name + known_names(name, known));
}

StepModel read_model(const JsonLine& line, const std::string& file) {
  StepModel model;
  JsonFields fit(line.value, file);
  if (const std::string form = fit.text("form"); form != "step")
    fit.fail("form", "unknown form " + form + known_names(form, {"step"}));
  model.name = fit.text_or("name", "");
  model.steps = fit.integer("steps");
  for (JsonFields& fields : fit.children("terms")) {
    StepTerm term;
    term.count = read_count(fields, "count");
    if (term.count == StepCount::tokens_over) term.knee = fields.integer("knee", 1);
    term.us = fields.real("us", 0, kUsMax);
    term.us_error = fields.real_or("us_error", 0, 0);
    fields.finish();
    model.terms.push_back(term);
  }
  const auto per_step = std::find_if(model.terms.begin(), model.terms.end(), [](const StepTerm& term) {
    return term.us > 0 && (term.count == StepCount::one || term.count == StepCount::tokens);
  });
  if (per_step == model.terms.end())
    fit.fail("terms", "none above 0 with the count step or tokens: a step takes time");
  if (fit.has("covariance")) model.covariance = fit.reals("covariance");
  if (!model.covariance.empty() && model.covariance.size() != model.terms.size() * model.terms.size())
    fit.fail("covariance", fmt::format("has {} numbers; {} terms need {}", model.covariance.size(),
                                       model.terms.size(), model.terms.size() * model.terms.size()));
  model.drift = fit.real_or("drift", 0, 0, 10);
  model.drift_apart = fit.real_or("drift_apart", model.drift, 0, 10);
  if (fit.has("ranges")) {
    for (JsonFields& fields : fit.children("ranges")) {
      StepRange range;
      range.count = read_count(fields, "count");
      range.min = fields.integer("min");
      range.max = fields.integer("max", range.min, std::numeric_limits<std::int64_t>::max());
      fields.finish();
      model.ranges.push_back(range);
    }
  }
  if (fit.has("errors")) {
    for (JsonFields& fields : fit.children("errors")) {
      StepErrors errors;
      errors.regime = fields.text("regime");
      errors.steps = fields.integer("steps");
      errors.median = fields.real("median", 0);
      errors.p90 = fields.real("p90", 0);
      errors.bias = fields.real("bias");
      fields.finish();
      model.errors.push_back(errors);
    }
  }
  fit.finish();
  return model;
}

std::vector<std::string> names_of(const std::vector<StepModel>& models) {
  std::vector<std::string> names;
  names.reserve(models.size());
  for (const StepModel& model : models) names.push_back(model.name);
  return names;
}

template <class Items, class Write>
std::string json_list(const Items& items, const Write& write) {
  std::string text;
  for (const auto& item : items) text += (text.empty() ? "" : ", ") + write(item);
  return "[" + text + "]";
}

}  // namespace

std::string_view to_string(StepCount count) {
  for (const auto& [known, name] : kCountNames) {
    if (known == count) return name;
  }
  KVCAST_CHECK(false);
  return {};
}

std::int64_t count_of(const StepShape& shape, StepCount count, std::int64_t knee) {
  switch (count) {
    case StepCount::one:
      return 1;
    case StepCount::tokens:
      return shape.tokens;
    case StepCount::tokens_over:
      return std::max<std::int64_t>(shape.tokens - knee, 0);
    case StepCount::sampled:
      return shape.sampled;
    case StepCount::decode_seqs:
      return shape.decode_seqs;
    case StepCount::decode_context:
      return shape.decode_context;
    case StepCount::prefill_seqs:
      return shape.prefill_seqs;
    case StepCount::prefill_context:
      return shape.prefill_context;
    case StepCount::prefill_pairs:
      return shape.prefill_pairs;
  }
  KVCAST_CHECK(false);
  return 0;
}

double step_us(const StepModel& model, const StepShape& shape) {
  double us = 0;
  for (const StepTerm& term : model.terms)
    us += term.us * static_cast<double>(count_of(shape, term.count, term.knee));
  return us;
}

std::unique_ptr<FittedStepTimer> make_step_timer(const StepModel& model) {
  return std::make_unique<StepModelTimer>(model);
}

std::string format_step_model(const StepModel& model) {
  const std::string terms = json_list(model.terms, [](const StepTerm& term) {
    const std::string knee =
        term.count == StepCount::tokens_over ? fmt::format(", \"knee\": {}", term.knee) : "";
    return fmt::format("{{\"count\": \"{}\"{}, \"us\": {:.9g}, \"us_error\": {:.4g}}}", to_string(term.count),
                       knee, term.us, term.us_error);
  });
  const std::string ranges = json_list(model.ranges, [](const StepRange& range) {
    return fmt::format("{{\"count\": \"{}\", \"min\": {}, \"max\": {}}}", to_string(range.count), range.min,
                       range.max);
  });
  const std::string errors = json_list(model.errors, [](const StepErrors& e) {
    return fmt::format(
        "{{\"regime\": {}, \"steps\": {}, \"median\": {:.5f}, \"p90\": {:.5f}, \"bias\": {:.5f}}}",
        json_quoted(e.regime), e.steps, e.median, e.p90, e.bias);
  });
  const std::string covariance =
      json_list(model.covariance, [](double value) { return fmt::format("{:.6g}", value); });
  return fmt::format(
      "{{\"fit\": {{\"form\": \"step\", \"name\": {}, \"steps\": {}, \"terms\": {}, \"covariance\": {}, "
      "\"drift\": {:.5f}, \"drift_apart\": {:.5f}, \"ranges\": {}, \"errors\": {}}}}}",
      json_quoted(model.name), model.steps, terms, covariance, model.drift, model.drift_apart, ranges,
      errors);
}

std::vector<StepModel> parse_step_models(const CalibrationFile& file) {
  if (file.header.kind != "steps")
    throw InputError(file.name + ":1:1: a calibration of kind " + file.header.kind +
                         " holds no fit of whole steps (kind steps)",
                     ExitCode::bad_data);
  std::vector<StepModel> models;
  for (const JsonLine& line : file.fits) {
    models.push_back(read_model(line, file.name));
    const std::vector<std::string> names = names_of(models);
    if (std::count(names.begin(), names.end(), names.back()) > 1)
      throw InputError(
          fmt::format("{}:{}:1: the fit \"{}\" is there twice", file.name, line.line, names.back()),
          ExitCode::bad_data);
  }
  if (models.empty()) throw InputError(file.name + ":1:1: holds no fit", ExitCode::bad_data);
  return models;
}

StepModel pick_step_model(const CalibrationFile& file, const std::string& name, const std::string& where) {
  std::vector<StepModel> models = parse_step_models(file);
  const std::vector<std::string> names = names_of(models);
  if (name.empty()) {
    if (models.size() == 1) return std::move(models.front());
    throw InputError(fmt::format("{}: {} holds {} fits: name one with engine.step_time.fit{}", where,
                                 file.name, models.size(), known_names("", names)));
  }
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw InputError(
        fmt::format("{}: {} has no fit \"{}\"{}", where, file.name, name, known_names(name, names)));
  return std::move(models[static_cast<std::size_t>(found - names.begin())]);
}

}  // namespace kvcast
