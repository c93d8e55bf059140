#include <fmt/format.h>

#include <algorithm>

#include "workloads/lengths.h"
#include "workloads/numbers.h"

namespace kvcast {
namespace {

constexpr double kTokensMaxReal = static_cast<double>(kTokensMax);

/// Quantiles within the last step of the table.
void read_tail(Config& config, QuantileTable& table) {
  Config tail = config.child("tail");
  table.tail_p = tail.get_reals("p", {0, 1});
  table.tail_q = tail.get_reals("q", {0, kTokensMaxReal});
  const std::size_t last = table.steps.size() - 1;
  if (table.tail_p.size() != table.tail_q.size())
    tail.fail("q", "as many quantiles as probabilities are needed");
  double p = static_cast<double>(last - 1) / static_cast<double>(last);
  double q = table.steps[last - 1];
  for (std::size_t i = 0; i < table.tail_p.size(); ++i) {
    if (!(table.tail_p[i] > p && table.tail_p[i] < 1))
      tail.fail("p", "probabilities must rise, above the last step but one of quantiles and below 1");
    if (!(table.tail_q[i] >= q && table.tail_q[i] <= table.steps[last]))
      tail.fail("q", "quantiles must not fall, from the last but one to the last of quantiles");
    p = table.tail_p[i];
    q = table.tail_q[i];
  }
}

LengthModel read_quantiles(Config& config) {
  QuantileTable table;
  table.steps = config.get_reals("quantiles", {0, kTokensMaxReal});
  if (table.steps.size() < 2)
    config.fail("quantiles", "at least two are needed: the smallest and the largest length");
  if (!std::is_sorted(table.steps.begin(), table.steps.end())) config.fail("quantiles", "they must not fall");
  if (config.has("tail")) read_tail(config, table);
  return LengthModel::quantiles(std::move(table));
}

LengthModel read_uniform(Config& config) {
  const std::vector<double> range = config.get_reals("uniform", {1, kTokensMaxReal});
  const bool whole = std::all_of(range.begin(), range.end(), [](double x) {
    return x == static_cast<double>(static_cast<std::int64_t>(x));
  });
  if (range.size() != 2 || !whole || range[0] > range[1])
    config.fail("uniform", "[low, high] is needed: two whole numbers, low not above high");
  return LengthModel::uniform(static_cast<std::int64_t>(range[0]), static_cast<std::int64_t>(range[1]));
}

LengthModel read_lognormal(Config& config) {
  Config shape = config.child("lognormal");
  const double mean = shape.get_real("mean", {1, kTokensMaxReal});
  const double cv = shape.get_real("cv", {0, 100});
  return LengthModel::lognormal(mean, cv);
}

LengthModel read_empirical(Config& config, const SampleOpener& open,
                           std::vector<std::int32_t> LengthSamples::*column) {
  const std::string path = config.get_string("empirical");
  LengthSamples samples = open(path);
  if ((samples.*column).empty()) config.fail("empirical", path + " has no output lengths");
  return LengthModel::samples(std::move(samples.*column));
}

/// The only one of `forms` that the mapping has.
std::string only_form(Config& config, const std::vector<std::string>& forms) {
  std::string found;
  std::string known;
  for (const std::string& form : forms) {
    known += (known.empty() ? "" : ", ") + form;
    if (!config.has(form)) continue;
    if (!found.empty()) config.fail(form, found + " is given too; only one of them can be");
    found = form;
  }
  if (found.empty()) config.fail("", "one of " + known + " is needed");
  return found;
}

LengthModel read_form(Config& config, const std::string& form, const SampleOpener& open,
                      std::vector<std::int32_t> LengthSamples::*column) {
  if (form == "fixed") return LengthModel::fixed(config.get_int("fixed", {1, kTokensMax}));
  if (form == "uniform") return read_uniform(config);
  if (form == "lognormal") return read_lognormal(config);
  if (form == "quantiles") return read_quantiles(config);
  return read_empirical(config, open, column);
}

}  // namespace

LengthModel read_length_model(Config& parent, std::string_view key, const SampleOpener& open,
                              std::vector<std::int32_t> LengthSamples::*column) {
  Config config = parent.child(key);
  return read_form(config, only_form(config, {"fixed", "uniform", "lognormal", "quantiles", "empirical"}),
                   open, column);
}

std::vector<LengthModel> read_output_models(Config& parent, std::string_view key, const SampleOpener& open) {
  Config config = parent.child(key);
  const std::string form =
      only_form(config, {"fixed", "uniform", "lognormal", "quantiles", "empirical", "given_input"});
  if (form != "given_input") return {read_form(config, form, open, &LengthSamples::outputs)};
  std::vector<LengthModel> models;
  for (Config& band : config.children("given_input")) models.push_back(read_quantiles(band));
  if (models.empty()) config.fail("given_input", "at least one band is needed");
  return models;
}

}  // namespace kvcast
