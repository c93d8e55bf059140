/// Distributions of token counts, by inverse: at(u) is the u-quantile.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/base/config.h"
#include "sim/base/rng.h"
#include "workloads/length_file.h"
#include "workloads/quantile_table.h"

namespace kvcast {

/// Contract: a distribution over 1 to kTokensMax tokens. at() never falls when u rises, so one uniform number
/// decides one length.
class LengthModel {
 public:
  [[nodiscard]] static LengthModel fixed(std::int64_t tokens);
  /// Whole numbers from low to high, both included.
  [[nodiscard]] static LengthModel uniform(std::int64_t low, std::int64_t high);
  /// By its own mean and coefficient of variation.
  [[nodiscard]] static LengthModel lognormal(double mean, double cv);
  /// Rounded to the nearest whole number.
  [[nodiscard]] static LengthModel quantiles(QuantileTable table);
  /// Each sample equally likely.
  [[nodiscard]] static LengthModel samples(std::vector<std::int32_t> values);

  /// \param u in [0, 1)
  [[nodiscard]] std::int64_t at(double u) const;
  /// "lognormal, mean 800, cv 1.2"
  [[nodiscard]] const std::string& description() const { return description_; }

 private:
  struct Uniform {
    std::int64_t low = 1;
    std::int64_t high = 1;
  };
  struct Lognormal {
    double mean = 1;
    double sigma = 0;  // of the logarithm
  };
  using Table = std::shared_ptr<const QuantileTable>;
  using Samples = std::shared_ptr<const std::vector<std::int32_t>>;
  using Form = std::variant<std::int64_t, Uniform, Lognormal, Table, Samples>;

  LengthModel(Form form, std::string description)
      : form_(std::move(form)), description_(std::move(description)) {}

  Form form_;
  std::string description_;
};

struct LengthPair {
  std::int64_t input = 1;
  std::int64_t output = 1;
};

/// Pairs of lengths. Real inputs and outputs depend on each other without being monotone (in the Azure
/// conversation trace prompts of 1,020 to 1,130 tokens get answers four times as long as shorter and longer
/// prompts do), so dependence is kept as it was seen: whole pairs of samples, or a distribution of outputs
/// for each band of equally many inputs.
class PairModel {
 public:
  /// \param outputs one for all inputs, or one for each of equally likely bands of rising input
  PairModel(LengthModel input, std::vector<LengthModel> outputs);
  /// Each row of the samples equally likely.
  explicit PairModel(std::shared_ptr<const LengthSamples> samples);

  /// Two uniform numbers a pair, whatever the model.
  [[nodiscard]] LengthPair draw(RandomStream& stream) const {
    const double u = stream.uniform();
    const double v = stream.uniform();
    return at(u, v);
  }
  [[nodiscard]] LengthPair at(double u, double v) const;
  [[nodiscard]] const std::string& description() const { return description_; }

 private:
  std::vector<LengthModel> models_;  // the input's, then the outputs'
  std::shared_ptr<const LengthSamples> samples_;
  std::string description_;
};

/// Opens an empirical sample named in the configuration.
using SampleOpener = std::function<LengthSamples(const std::string& path)>;

/// Reads `key: {fixed: n} | {uniform: [low, high]} | {lognormal: {mean, cv}} | {quantiles: [...], tail: {p,
/// q}} | {empirical: path}`. \param column of an empirical file
[[nodiscard]] LengthModel read_length_model(Config& parent, std::string_view key, const SampleOpener& open,
                                            std::vector<std::int32_t> LengthSamples::*column);

/// The same for outputs, which may also be `{given_input: [{quantiles: [...]}, ...]}`: one for each band of
/// inputs.
[[nodiscard]] std::vector<LengthModel> read_output_models(Config& parent, std::string_view key,
                                                          const SampleOpener& open);

}  // namespace kvcast
