#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hwmodels/bench_parts.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::int64_t kTimeMax = std::int64_t{1} << 62;  // 2^-20 ns: 51 days

std::int64_t fine(double us) { return std::llround(us * 1e3 * (1 << kFineBits)); }

std::int64_t saturated(Int128 time) { return static_cast<std::int64_t>(std::min<Int128>(time, kTimeMax)); }

class Timer final : public BenchTimer {
 public:
  Timer(BenchParts parts, const BenchTimerOptions& options)
      : parts_(std::move(parts)),
        captured_(options.capture_sizes),
        pads_prompts_(options.pads_prompts),
        host_added_(fine(options.host_added_us)),
        host_hidden_(fine(options.host_hidden_us)) {}

  [[nodiscard]] const std::vector<std::string>& notes() const override { return parts_.notes; }

  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    StepCost cost = counted(shape);
    const Int128 gpu = without_decode_context(shape) + Int128{context_slope()} * shape.decode_context;
    cost.time = FineDuration{saturated(std::max<Int128>(gpu, host_hidden_) + host_added_)};
    cost.hbm_bytes += parts_.kv_bytes_per_token * shape.decode_context;
    cost.flop += parts_.decode_flop_per_context * shape.decode_context;
    return cost;
  }

  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override {
    const StepShape shape{.tokens = seqs, .sampled = seqs, .decode_seqs = seqs};
    DecodeLine line;
    line.base = counted(shape);
    line.per_context_token.hbm_bytes = parts_.kv_bytes_per_token;
    line.per_context_token.flop = parts_.decode_flop_per_context;
    const Int128 base = without_decode_context(shape);
    const std::int64_t slope = context_slope();
    const Int128 end = slope > 0 ? (Int128{kTimeMax} - host_added_ - base) / slope : -1;
    if (base + Int128{slope} * context <
        host_hidden_) {  // the step waits for the host, up to where it does not
      line.base.time = FineDuration{saturated(Int128{host_hidden_} + host_added_)};
      if (slope > 0) line.context_max = saturated((host_hidden_ - base) / slope);
    } else if (slope > 0 && context >= end) {  // beyond 51 days a step takes 51 days
      line.base.time = FineDuration{kTimeMax};
    } else {
      line.base.time = FineDuration{saturated(base + host_added_)};
      line.per_context_token.time = FineDuration{slope};
      if (slope > 0) line.context_max = saturated(end);
    }
    return line;
  }

  /// What a product takes for a single row counts as reading its weights, what more rows add as arithmetic;
  /// attention of decodes as reading KV, of prompts as arithmetic.
  [[nodiscard]] StepParts parts(const StepShape& shape) const override {
    const StepCost cost = step(shape);
    const std::int64_t rows = rows_of(shape);
    Int128 weights = 0, compute = prefill_time(shape), activations = 0;
    const auto add = [&](const std::vector<BenchProduct>& products, std::int64_t count) {
      for (const BenchProduct& product : products) {
        const Int128 time = product.time(count);
        const Int128 reading = count > 0 ? std::min(product.time(1), time) : 0;
        weights += reading;
        compute += time - reading;
      }
    };
    add(parts_.products, rows);
    add(parts_.head, shape.sampled);
    for (const BenchRows& kernel : parts_.rowwise) activations += kernel.time(rows);
    if (shape.sampled > 0) activations += parts_.sample.sum({1, shape.sampled});
    const Int128 kv = decode_base(shape) + Int128{context_slope()} * shape.decode_context;
    const Int128 device = weights + compute + activations + kv;
    if (device > kTimeMax || host_added_ + std::max<Int128>(device, host_hidden_) > kTimeMax)
      return StepTimer::parts(shape);
    StepParts parts;
    parts.time_of(StepPart::weights) = static_cast<std::int64_t>(weights);
    parts.time_of(StepPart::compute) = static_cast<std::int64_t>(compute);
    parts.time_of(StepPart::activations) = static_cast<std::int64_t>(activations);
    parts.time_of(StepPart::kv) = static_cast<std::int64_t>(kv);
    parts.time_of(StepPart::host) = cost.time.count() - static_cast<std::int64_t>(device);
    const std::int64_t kv_bytes =
        parts_.kv_bytes_per_token * (shape.tokens + shape.prefill_context + shape.decode_context);
    parts.bytes_of(StepPart::kv) = kv_bytes;
    parts.bytes_of(StepPart::weights) = cost.hbm_bytes - kv_bytes;
    return parts;
  }

  /// Errors of different kernels are independent; that of one kernel is the same in all its uses.
  [[nodiscard]] double relative_error(const StepShape& shape) const override {
    double squares = 0, total = 0;
    const auto put = [&](Int128 time, double error) {
      const auto us = static_cast<double>(time);
      squares += us * error * us * error;
      total += us;
    };
    for (const BenchProduct& product : parts_.products)
      put(product.time(shape.tokens), product.kernel.relative_error());
    for (const BenchProduct& product : parts_.head)
      put(product.time(shape.sampled), product.kernel.relative_error());
    for (const BenchRows& rows : parts_.rowwise) put(rows.time(shape.tokens), rows.kernel.relative_error());
    if (shape.sampled > 0) put(parts_.sample.sum({1, shape.sampled}), parts_.sample.relative_error());
    put(decode_base(shape) + Int128{context_slope()} * shape.decode_context, parts_.decode.relative_error());
    put(prefill_time(shape), parts_.prefill.relative_error());
    return total > 0 ? std::sqrt(squares) / total : 0;
  }

 private:
  [[nodiscard]] std::int64_t context_slope() const { return saturated(parts_.decode.coefficient(2)); }

  [[nodiscard]] Int128 decode_base(const StepShape& shape) const {
    return shape.decode_seqs > 0 ? parts_.decode.sum({1, shape.decode_seqs, 0}) : 0;
  }
  [[nodiscard]] Int128 prefill_time(const StepShape& shape) const {
    if (shape.prefill_seqs <= 0) return 0;
    return parts_.prefill.sum({1, shape.prefill_seqs, shape.prefill_context, shape.prefill_pairs});
  }

  [[nodiscard]] std::int64_t padded(std::int64_t tokens) const {
    const auto size = std::lower_bound(captured_.begin(), captured_.end(), tokens);
    return size == captured_.end() ? tokens : *size;
  }

  /// Rows that the kernels over tokens run, with the padding of captured graphs. A step with prompts takes at
  /// least the rows of the padded decode step that it would be without them.
  [[nodiscard]] std::int64_t rows_of(const StepShape& shape) const {
    if (shape.tokens <= 0) return 0;
    if (pads_prompts_ || shape.prefill_seqs <= 0) return padded(shape.tokens);
    return std::max(shape.tokens, shape.decode_seqs > 0 ? padded(shape.decode_seqs) : 0);
  }

  /// The device's time but for the decoding sequences' contexts.
  [[nodiscard]] Int128 without_decode_context(const StepShape& shape) const {
    const std::int64_t rows = rows_of(shape);
    Int128 time = 0;
    for (const BenchProduct& product : parts_.products) time += product.time(rows);
    for (const BenchProduct& product : parts_.head) time += product.time(shape.sampled);
    for (const BenchRows& kernel : parts_.rowwise) time += kernel.time(rows);
    if (shape.sampled > 0) time += parts_.sample.sum({1, shape.sampled});
    return time + decode_base(shape) + prefill_time(shape);
  }

  /// Bytes and FLOP but for the decoding sequences' contexts.
  [[nodiscard]] StepCost counted(const StepShape& shape) const {
    StepCost cost;
    cost.hbm_bytes = parts_.kv_bytes_per_token * (shape.tokens + shape.prefill_context);
    cost.flop = parts_.prefill_flop_per_pair * shape.prefill_pairs;
    const auto add = [&cost](const BenchProduct& product, std::int64_t rows) {
      if (rows <= 0) return;
      cost.hbm_bytes += product.bytes(rows);
      cost.flop += product.flop_per_token() * rows;
    };
    for (const BenchProduct& product : parts_.products) add(product, shape.tokens);
    for (const BenchProduct& product : parts_.head) add(product, shape.sampled);
    return cost;
  }

  BenchParts parts_;
  std::vector<std::int64_t> captured_;
  bool pads_prompts_;
  std::int64_t host_added_, host_hidden_;
};

}  // namespace

std::unique_ptr<BenchTimer> make_bench_timer(const std::vector<BenchFit>& fits, const ModelSpec& model,
                                             std::int64_t tensor_parallel_size, const std::string& kv_dtype,
                                             const BenchTimerOptions& options) {
  if (tensor_parallel_size != 1)
    throw InputError(
        fmt::format("engine.step_time.calibration: kernels were timed on one device; tensor_parallel_size "
                    "must be 1, not {}",
                    tensor_parallel_size));
  return std::make_unique<Timer>(choose_bench_parts(fits, model, kv_dtype), options);
}

}  // namespace kvcast
