#include "hwmodels/calibrated_timer.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <mutex>

#include "hwmodels/calibrated_terms.h"
#include "hwmodels/log_table.h"
#include "hwmodels/step_split.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr std::int64_t kCostMax = std::int64_t{1} << 62;
constexpr std::int64_t kSampledMax = 1024;  // rows of the tables of what is sampled and of states
constexpr std::int64_t kLatentMax = 16384;
constexpr std::int64_t kSeqsMax = 4096;                       // decoding sequences of the grid
constexpr std::int64_t kContextMax = 1 << 20;                 // their mean context
constexpr std::int64_t kKeysMax = 1 << 20;                    // that a prompt's query sees, on average
constexpr std::int64_t kKeyParts = 4;                         // the grid of prompts counts keys in quarters
constexpr std::int64_t kWorkContext = std::int64_t{1} << 40;  // no step's context sum is larger
constexpr std::int64_t kPromptTokensMax = 1 << 16;

std::int64_t saturate(Int128 value) { return value > kCostMax ? kCostMax : static_cast<std::int64_t>(value); }

/// Tokens of prompt chunks; steps without any have none, whatever the padding.
std::int64_t prompt_tokens(const StepShape& shape) {
  if (shape.prefill_pairs <= 0) return 0;
  return std::max<std::int64_t>(shape.tokens - shape.decode_seqs - shape.verify_tokens, 1);
}

class TableTimer final : public CalibratedTimer {
 public:
  /// \param kernels what the terms refer to, kept alive; may be nullptr
  TableTimer(std::shared_ptr<const KernelModel> kernels, KernelTerms terms, const ModelSpec& model,
             const GpuSpec& gpu, const CalibratedOptions& options)
      : kernels_(std::move(kernels)),
        work_(make_work_counter(model, gpu, options.timer)),
        terms_(std::move(terms)),
        context_parallel_(options.timer.spread.context_parallel),
        host_added_(fine_us(options.timer.host_overhead_us)),
        host_hidden_(fine_us(options.host_hidden_us)),
        make_datasheet_(
            [model, gpu, timer = options.timer] { return make_roofline_timer(model, gpu, timer); }) {
    tokens_ = row_table(OpRows::tokens, std::max<std::int64_t>(options.tokens_max, kSampledMax));
    if (!options.pads_prompts) mixed_ = tokens_;
    tokens_.pad(options.capture_sizes);
    sampled_ = row_table(OpRows::sampled, kSampledMax);
    states_ = row_table(OpRows::state_updates, kSampledMax);
    latent_ = row_table(OpRows::latent_rows, kLatentMax);
    fill_spread_tables(options);
    if (has(OpRows::decode_context)) {
      decode_ = GridTable(kSeqsMax, kContextMax, [this](std::int64_t seqs, std::int64_t context) {
        return sum_us(OpRows::decode_context, {static_cast<double>(seqs), static_cast<double>(context), 0});
      });
    }
    if (has(OpRows::prefill_pairs)) {
      prefill_ =
          GridTable(kPromptTokensMax, kKeyParts * kKeysMax, [this](std::int64_t tokens, std::int64_t parts) {
            const double keys =
                static_cast<double>(std::max(parts, kKeyParts)) / static_cast<double>(kKeyParts);
            return sum_us(OpRows::prefill_pairs, prefill_point(keys, static_cast<double>(tokens)));
          });
    }
    if (terms_.mixed_decode) {
      mixed_decode_ = GridTable(kSeqsMax, kContextMax, [this](std::int64_t seqs, std::int64_t context) {
        return terms_.mixed_decode({static_cast<double>(seqs), static_cast<double>(context), 0}).us;
      });
    }
    fill_decode_rows();
    // One launch attends for decoding sequences and prompt chunks alike.
    shared_ = std::min(decode_.lowest(), prefill_.lowest());
  }

  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    StepCost cost = work_->step(shape);
    cost.time = FineDuration{saturate(with_host(device_time(shape)))};
    return cost;
  }

  /// The kernels' times by what bounds each on the data sheet; the host is what is left.
  [[nodiscard]] StepParts parts(const StepShape& shape) const override {
    std::call_once(datasheet_made_, [this] { datasheet_ = make_datasheet_(); });
    const StepCost cost = step(shape);
    const std::int64_t device = std::min(saturate(device_time(shape)), cost.time.count());
    std::vector<NamedTime> kernels;
    for (const OperatorTime& part : operators(shape)) kernels.push_back({part.name, fine_us(part.us)});
    StepParts parts = split_device_time(*datasheet_, shape, kernels, device);
    parts.time_of(StepPart::host) += cost.time.count() - device;
    return parts;
  }

  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override {
    const bool known = seqs < static_cast<std::int64_t>(decode_rows_.size());
    return decode_on(known ? decode_rows_[static_cast<std::size_t>(seqs)].work : work_->decode(seqs, context),
                     seqs, context);
  }

  /// Bytes and FLOP go with what bounded layers attend to; their time with the mean context, as the kernels
  /// were timed.
  [[nodiscard]] DecodeLine decode_within(std::int64_t seqs, std::int64_t context,
                                         std::int64_t reach) const override {
    return decode_on(work_->decode_within(seqs, context, reach), seqs, context);
  }

  [[nodiscard]] double relative_error(const StepShape& shape) const override {
    double total = 0, variance = 0;
    for (const OperatorTime& part : operators(shape)) {
      total += part.us;
      variance += part.us * part.error * part.us * part.error;
    }
    return total > 0 ? std::sqrt(variance) / total : 0;
  }

  [[nodiscard]] std::vector<OperatorTime> operators(const StepShape& shape) const override {
    std::vector<OperatorTime> parts;
    for (const KernelTerm& term : terms_.terms) {
      const KernelTime time = term_time(term, shape);
      if (time.us <= 0) continue;
      auto at = std::find_if(parts.begin(), parts.end(),
                             [&](const OperatorTime& part) { return part.name == term.name; });
      if (at == parts.end()) at = parts.insert(parts.end(), {term.name, 0, 0});
      at->error = (at->us * at->error + time.us * time.error) / (at->us + time.us);
      at->us += time.us;
    }
    return parts;
  }

  [[nodiscard]] const std::vector<std::string>& notes() const override { return terms_.notes; }

 private:
  /// base + slope * context, up to context_max.
  struct Segment {
    Int128 base = 0;
    Int128 slope = 0;
    std::int64_t context_max = std::numeric_limits<std::int64_t>::max();
    [[nodiscard]] Int128 at(std::int64_t context) const { return base + slope * context; }
  };

  /// What a decode step of so many sequences costs beside attention, and its bytes and FLOP: for models whose
  /// layers keep every token these are one line for any context.
  struct DecodeRow {
    DecodeLine work;
    Int128 fixed = 0;
  };

  /// What the device takes, before the host.
  [[nodiscard]] Int128 device_time(const StepShape& shape) const {
    Int128 time = fixed_cost(shape);
    const std::int64_t tokens = prompt_tokens(shape);
    const bool prompts = tokens > 0 && !prefill_.empty();
    if (prompts) {
      const Int128 parts = static_cast<Int128>(shape.prefill_pairs) * kKeyParts / tokens;
      time += prefill_.at(tokens, saturate(parts));
    }
    if (shape.decode_seqs > 0 && !decode_.empty()) {
      const bool apart = prompts && !mixed_decode_.empty();
      const Int128 attention =
          attention_line(apart ? mixed_decode_ : decode_, shape.decode_seqs, shape.decode_context)
              .at(shape.decode_context);
      time += shape.verify_tokens > 0 ? std::max(attention, verification(shape)) : attention;
      if (prompts && !apart) time -= shared_;
    }
    return time;
  }

  /// The line of a decode step whose bytes and FLOP are known.
  [[nodiscard]] DecodeLine decode_on(DecodeLine line, std::int64_t seqs, std::int64_t context) const {
    const bool known = seqs < static_cast<std::int64_t>(decode_rows_.size());
    const Int128 fixed =
        known ? decode_rows_[static_cast<std::size_t>(seqs)].fixed : fixed_cost(decode_shape(seqs));
    Segment segment;
    if (seqs > 0 && !decode_.empty()) segment = attention_line(decode_, seqs, context);
    segment.base += fixed;
    line.context_max = std::min(line.context_max, segment.context_max);
    if (segment.at(context) < host_hidden_) {  // the host is what the step waits for, up to where it is not
      if (segment.slope > 0) {
        const Int128 crossing = (host_hidden_ - segment.base) / segment.slope;
        if (crossing < line.context_max) line.context_max = static_cast<std::int64_t>(crossing);
      }
      segment.base = host_hidden_;
      segment.slope = 0;
    }
    segment.base += host_added_;
    return finish_line(line, segment, context);
  }

  static StepShape decode_shape(std::int64_t seqs) {
    StepShape shape;
    shape.tokens = shape.sampled = shape.decode_seqs = seqs;
    return shape;
  }

  void fill_decode_rows() {
    decode_rows_.emplace_back();  // no sequences
    for (std::int64_t seqs = 1; seqs <= kSampledMax; ++seqs) {
      const DecodeLine work = work_->decode(seqs, seqs);
      if (work.context_max < kWorkContext) {  // windows: the line depends on the context
        decode_rows_.clear();
        return;
      }
      decode_rows_.push_back({work, fixed_cost(decode_shape(seqs))});
    }
  }

  [[nodiscard]] bool has(OpRows rows) const {
    return std::any_of(terms_.terms.begin(), terms_.terms.end(),
                       [rows](const KernelTerm& term) { return term.rows == rows; });
  }

  [[nodiscard]] double sum_us(OpRows rows, const TermPoint& point) const {
    double sum = 0;
    for (const KernelTerm& term : terms_.terms) {
      if (term.rows == rows) sum += term.time(point).us;
    }
    return sum;
  }

  [[nodiscard]] RowTable row_table(OpRows rows, std::int64_t rows_max) const {
    if (!has(rows)) return {};
    return {rows_max, [this, rows](std::int64_t count) {
              return sum_us(rows, {static_cast<double>(count), 0, 0});
            }};
  }

  /// What only models spread over groups of ranks have.
  void fill_spread_tables(const CalibratedOptions& options) {
    const std::int64_t groups = options.timer.spread.data_parallel * context_parallel_;
    group_ =
        row_table(OpRows::group_tokens, groups * std::max<std::int64_t>(options.tokens_max, kSampledMax));
    decoding_ = row_table(OpRows::decode_seqs, kSampledMax);
    cached_ = row_table(OpRows::cached_context, kContextMax);
    spread_ = context_parallel_ > 1 || !group_.empty() || !decoding_.empty() || !cached_.empty();
  }

  /// Tokens of one context-parallel rank: its part of the prompts', and every decoding sequence's.
  [[nodiscard]] std::int64_t rank_tokens(const StepShape& shape) const {
    if (context_parallel_ == 1) return shape.tokens;
    return shape.decode_seqs +
           ceil_div(std::max<std::int64_t>(shape.tokens - shape.decode_seqs, 0), context_parallel_);
  }
  [[nodiscard]] static std::int64_t cached_tokens(const StepShape& shape) {
    return std::max<std::int64_t>(shape.prefill_context - (shape.tokens - shape.decode_seqs), 0);
  }

  [[nodiscard]] KernelTime term_time(const KernelTerm& term, const StepShape& shape) const {
    const auto rows_time = [&](std::int64_t rows) {
      return rows > 0 ? term.time({static_cast<double>(rows), 0, 0}) : KernelTime{};
    };
    switch (term.rows) {
      case OpRows::fixed:
        return term.time({1, 0, 0});
      case OpRows::tokens:
        return rows_time(rank_tokens(shape));
      case OpRows::sampled:
        return rows_time(shape.sampled);
      case OpRows::state_updates:
        return rows_time(shape.decode_seqs + shape.verify_tokens + shape.prefill_seqs);
      case OpRows::latent_rows:
        return rows_time(shape.decode_seqs + shape.verify_tokens + shape.prefill_context);
      case OpRows::group_tokens:
        return rows_time(std::max(shape.group_tokens, shape.tokens));
      case OpRows::decode_seqs:
        return rows_time(shape.decode_seqs);
      case OpRows::cached_context:
        return rows_time(cached_tokens(shape));
      case OpRows::decode_context: {
        if (shape.decode_seqs <= 0) return {};
        const auto seqs = static_cast<double>(shape.decode_seqs);
        return term.time({seqs, std::max(static_cast<double>(shape.decode_context) / seqs, 1.0), 0});
      }
      case OpRows::prefill_pairs: {
        const std::int64_t tokens = prompt_tokens(shape);
        if (tokens == 0) return {};
        const double keys = static_cast<double>(shape.prefill_pairs) / static_cast<double>(tokens);
        return term.time(prefill_point(std::max(keys, 1.0), static_cast<double>(tokens)));
      }
    }
    return {};
  }

  /// All but attention.
  [[nodiscard]] Int128 fixed_cost(const StepShape& shape) const {
    const std::int64_t tokens = rank_tokens(shape);
    std::int64_t rows = tokens_.at(tokens);
    if (!mixed_.empty() && prompt_tokens(shape) > 0) {
      // At least the padded decode step that it would be without its prompts, so that gaining one never
      // helps.
      rows = std::max(mixed_.at(tokens), tokens_.at(shape.decode_seqs));
    }
    if (spread_) {
      rows += group_.at(std::max(shape.group_tokens, shape.tokens)) + decoding_.at(shape.decode_seqs) +
              cached_.at(cached_tokens(shape));
    }
    return Int128{rows} + sampled_.at(shape.sampled) +
           states_.at(shape.decode_seqs + shape.verify_tokens + shape.prefill_seqs) +
           latent_.at(shape.decode_seqs + shape.verify_tokens + shape.prefill_context);
  }

  /// Drafts are verified by several queries over one context: the KV is read as for a decode, and the
  /// arithmetic is that of as many query-key pairs of a prompt.
  [[nodiscard]] Int128 verification(const StepShape& shape) const {
    if (prefill_.empty()) return 0;
    const std::int64_t queries = shape.decode_seqs + shape.verify_tokens;
    const Int128 pairs = static_cast<Int128>(shape.decode_context) + shape.verify_pairs;
    return prefill_.at(queries, saturate(pairs * kKeyParts / queries));
  }

  [[nodiscard]] Int128 with_host(Int128 gpu) const {
    return std::max<Int128>(gpu, host_hidden_) + host_added_;
  }

  /// Attention of `seqs` decoding sequences around a context sum: straight between the knots of their mean
  /// context. Slopes are whole numbers, rounded down; each piece begins at its knot's value, so that no step
  /// falls.
  [[nodiscard]] static Segment attention_line(const GridTable& table, std::int64_t seqs,
                                              std::int64_t context) {
    const std::size_t last = table.y_knots() - 1;
    const std::int64_t mean = std::max<std::int64_t>(context / seqs, 1);
    const std::size_t knot = std::min(HalfOctaves::below(mean), last - 1);
    const std::int64_t from = HalfOctaves::at(knot), to = HalfOctaves::at(knot + 1);
    const auto [low, high] = table.edge(seqs, knot);
    const std::int64_t slope = (high - low) / (seqs * (to - from));
    Segment segment;
    segment.slope = slope;
    segment.base = low - static_cast<Int128>(slope) * (seqs * from);
    if (knot + 1 < last) segment.context_max = seqs * to - 1;
    return segment;
  }

  /// Ends the line where its value would reach the saturation; beyond it everything is constant.
  static DecodeLine finish_line(DecodeLine line, const Segment& segment, std::int64_t context) {
    if (segment.at(context) >= kCostMax) {
      line.base.time = FineDuration{kCostMax};
      line.per_context_token.time = FineDuration{0};
      return line;
    }
    line.base.time = FineDuration{static_cast<std::int64_t>(segment.base)};
    line.per_context_token.time = FineDuration{static_cast<std::int64_t>(segment.slope)};
    if (segment.slope > 0) {
      const Int128 end = (kCostMax - segment.base) / segment.slope;
      if (end < line.context_max) line.context_max = static_cast<std::int64_t>(end);
    }
    return line;
  }

  std::shared_ptr<const KernelModel> kernels_;
  std::unique_ptr<StepTimer> work_;
  KernelTerms terms_;
  std::int64_t context_parallel_ = 1;
  bool spread_ = false;  // any of the next three has something
  RowTable group_, decoding_, cached_;
  RowTable tokens_, sampled_, states_, latent_;
  RowTable mixed_;  // tokens_ without padding, where steps with prompts are not padded; else empty
  GridTable decode_, prefill_;          // by (sequences, mean context); by (tokens, keys of a query)
  GridTable mixed_decode_;              // decode_ in steps with prompts, where that differs; else empty
  std::vector<DecodeRow> decode_rows_;  // by sequences; empty: the model has windows
  std::int64_t shared_ = 0;
  std::int64_t host_added_, host_hidden_;
  // For parts() alone: what bounds each operator.
  std::function<std::unique_ptr<RooflineTimer>()> make_datasheet_;
  mutable std::once_flag datasheet_made_;
  mutable std::unique_ptr<RooflineTimer> datasheet_;
};

}  // namespace

std::unique_ptr<CalibratedTimer> make_calibrated_timer(std::shared_ptr<const KernelModel> kernels,
                                                       const ModelSpec& model, const GpuSpec& gpu,
                                                       const CalibratedOptions& options) {
  KernelTerms terms = make_kernel_terms(*kernels, model, gpu, options);
  return std::make_unique<TableTimer>(std::move(kernels), std::move(terms), model, gpu, options);
}

std::unique_ptr<CalibratedTimer> make_term_timer(KernelTerms terms, const ModelSpec& model,
                                                 const GpuSpec& gpu, const CalibratedOptions& options) {
  return std::make_unique<TableTimer>(nullptr, std::move(terms), model, gpu, options);
}

}  // namespace kvcast
