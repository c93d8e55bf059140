/// The kernels of one model among the fits of a calibration: what a step runs, and how often.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/bench_model.h"
#include "sim/base/units.h"

namespace kvcast {

/// A fit with its numbers in fixed point (2^-20 ns), and how often a step runs it.
class BenchKernel {
 public:
  BenchKernel(const BenchFit& fit, std::int64_t count);

  /// The sum's value; terms are counts.
  [[nodiscard]] Int128 sum(std::initializer_list<std::int64_t> terms) const;
  /// The curve's value at a number of rows: straight between the known ones, in proportion beyond the last.
  [[nodiscard]] Int128 curve(std::int64_t rows) const;
  [[nodiscard]] Int128 coefficient(std::size_t term) const;
  [[nodiscard]] double relative_error() const { return relative_error_; }

 private:
  std::int64_t count_;
  double relative_error_;
  std::vector<std::int64_t> us_, rows_;
};

/// A matrix product of the model: by its own curve, or by the sum over all sites.
struct BenchProduct {
  BenchKernel kernel;
  bool is_curve = false;
  std::int64_t n = 0, k = 0;  // of one matrix
  std::int64_t matrices = 1;  // side by side in one call: the heads of an absorbed projection
  std::int64_t count = 1;     // calls in a step
  std::int64_t element_bytes = 2;
  std::int64_t top_k = 0;  // of routed experts; 0: every row meets all weights
  /// By tokens, the weights that they touch: of the expected number of distinct experts. Empty: no experts.
  std::vector<std::int64_t> touched = {};

  /// Weights that m tokens meet, in elements, in one call.
  [[nodiscard]] std::int64_t weights(std::int64_t m) const;
  [[nodiscard]] Int128 time(std::int64_t m) const;
  [[nodiscard]] std::int64_t bytes(std::int64_t m) const { return weights(m) * count * element_bytes; }
  [[nodiscard]] std::int64_t flop_per_token() const {
    return 2 * n * k * matrices * count * (top_k > 0 ? top_k : 1);
  }
};

/// A kernel over rows of the step's tokens.
struct BenchRows {
  BenchKernel kernel;
  std::int64_t per_token = 1;
  [[nodiscard]] Int128 time(std::int64_t tokens) const { return kernel.sum({1, tokens * per_token}); }
};

struct BenchParts {
  std::vector<BenchProduct> products;  // over all tokens
  std::vector<BenchProduct> head;      // over sampled rows; one
  std::vector<BenchRows> rowwise;      // norms, append, activation, embedding
  BenchKernel sample, decode, prefill;
  std::int64_t kv_bytes_per_token = 0;       // all layers
  std::int64_t decode_flop_per_context = 0;  // all layers
  std::int64_t prefill_flop_per_pair = 0;    // all layers
  std::vector<std::string> notes = {};       // what was not measured as it runs, and how it was taken instead
};

/// \throws InputError as make_bench_timer()
[[nodiscard]] BenchParts choose_bench_parts(const std::vector<BenchFit>& fits, const ModelSpec& model,
                                            const std::string& kv_dtype);

}  // namespace kvcast
