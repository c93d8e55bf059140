#include "workloads/lengths.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"
#include "sim/base/portable_math.h"
#include "sim/base/text.h"
#include "workloads/numbers.h"
#include "workloads/special_functions.h"

namespace kvcast {
namespace {

std::int64_t rounded(double tokens) { return std::clamp<std::int64_t>(std::llround(tokens), 1, kTokensMax); }

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

/// Index of u's part when [0, 1) is cut into `parts` equal ones.
std::size_t part_of(double u, std::size_t parts) {
  return std::min(static_cast<std::size_t>(u * static_cast<double>(parts)), parts - 1);
}

}  // namespace

LengthModel LengthModel::fixed(std::int64_t tokens) { return {tokens, fmt::format("{}", tokens)}; }

LengthModel LengthModel::uniform(std::int64_t low, std::int64_t high) {
  KVCAST_CHECK(low >= 1);
  KVCAST_CHECK(low <= high);
  return {Uniform{low, high}, fmt::format("uniform {} to {}", low, high)};
}

LengthModel LengthModel::lognormal(double mean, double cv) {
  KVCAST_CHECK(mean > 0);
  KVCAST_CHECK(cv >= 0);
  return {Lognormal{mean, std::sqrt(portable_log(1 + cv * cv))},
          fmt::format("lognormal, mean {}, cv {}", mean, cv)};
}

LengthModel LengthModel::quantiles(QuantileTable table) {
  KVCAST_CHECK(table.steps.size() >= 2);
  KVCAST_CHECK(table.tail_p.size() == table.tail_q.size());
  std::string description =
      fmt::format("table of {} quantiles, median {:.6g}", table.steps.size(), table.at(0.5));
  return {std::make_shared<const QuantileTable>(std::move(table)), std::move(description)};
}

LengthModel LengthModel::samples(std::vector<std::int32_t> values) {
  KVCAST_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  std::string description = fmt::format("{} samples, median {}", values.size(), values[values.size() / 2]);
  return {std::make_shared<const std::vector<std::int32_t>>(std::move(values)), std::move(description)};
}

std::int64_t LengthModel::at(double u) const {
  return std::visit(
      Overloaded{
          [](std::int64_t tokens) { return tokens; },
          [u](const Uniform& range) {
            const auto values = static_cast<double>(range.high - range.low + 1);
            return std::min(range.low + static_cast<std::int64_t>(u * values), range.high);
          },
          [u](const Lognormal& form) {
            const double z = normal_from_uniform(u);
            return rounded(std::min(form.mean * portable_exp(form.sigma * z - 0.5 * form.sigma * form.sigma),
                                    static_cast<double>(kTokensMax)));
          },
          [u](const Table& table) { return rounded(table->at(u)); },
          [u](const Samples& values) { return std::int64_t{(*values)[part_of(u, values->size())]}; },
      },
      form_);
}

PairModel::PairModel(LengthModel input, std::vector<LengthModel> outputs) {
  KVCAST_CHECK(!outputs.empty());
  description_ = "input " + input.description() + "; output ";
  description_ += outputs.size() == 1 ? outputs.front().description()
                                      : fmt::format("by {} bands of the input, each a {}", outputs.size(),
                                                    outputs.front().description());
  models_.push_back(std::move(input));
  for (LengthModel& output : outputs) models_.push_back(std::move(output));
}

PairModel::PairModel(std::shared_ptr<const LengthSamples> samples)
    : samples_(std::move(samples)),
      description_(fmt::format("{} sampled pairs of lengths", samples_->inputs.size())) {
  KVCAST_CHECK(!samples_->inputs.empty());
  KVCAST_CHECK(samples_->inputs.size() == samples_->outputs.size());
}

LengthPair PairModel::at(double u, double v) const {
  if (samples_ != nullptr) {
    const std::size_t row = part_of(u, samples_->inputs.size());
    return {samples_->inputs[row], samples_->outputs[row]};
  }
  const std::size_t bands = models_.size() - 1;
  return {models_.front().at(u), models_[1 + part_of(u, bands)].at(v)};
}

}  // namespace kvcast
