#include "hwmodels/roofline_timer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "hwmodels/roofline_ops.h"
#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

// Costs saturate here (2^62 of 2^-20 ns is 73 minutes): shapes beyond have no meaning, and sums stay within
// 64 bits.
constexpr std::int64_t kCostMax = std::int64_t{1} << 62;
constexpr std::int64_t kExpertTable = 4096;  // tokens; beyond, every expert is taken to be touched

std::int64_t saturate(Int128 value) { return value > kCostMax ? kCostMax : static_cast<std::int64_t>(value); }

/// What an operator of one shape costs, in 64 bits where the counts are known to fit, else in 128.
template <class Int>
struct Cost {
  Int memory = 0;
  Int compute = 0;
  Int bytes = 0;
  Int flop = 0;
  [[nodiscard]] Int time() const { return std::max(memory, compute); }
};

/// A linear function of a context sum.
struct Line {
  Int128 base = 0;
  Int128 slope = 0;
  [[nodiscard]] Int128 at(std::int64_t context) const { return base + slope * context; }
};

/// Time, bytes and FLOP as linear functions of the context sum and of what bounded layers attend to of it.
struct Sum {
  Line line;
  Int128 reach_slope = 0;
  [[nodiscard]] Int128 at(std::int64_t context, std::int64_t reach) const {
    return line.at(context) + reach_slope * reach;
  }
};

/// The numbers of an Op, close together, with what construction can precompute of its experts.
struct TimedOp {
  explicit TimedOp(const Op& op);

  OpRows rows;
  std::int64_t window;
  std::int64_t memory_fixed, memory_row, memory_side, compute_row;
  std::int64_t bytes_fixed, bytes_row, bytes_side, flop_row;
  std::vector<LinkWay> ways;                // of a collective
  RingCost ring;                            // of prefill attention
  std::vector<std::int64_t> expert_memory;  // by tokens, 2^-20 ns; empty: no experts
  std::vector<std::int64_t> expert_bytes;
};

/// Fills tables of a cost of one expert times the expected number of distinct experts that a number of tokens
/// touch when each picks top_k of them uniformly.
void fill_expert_tables(const Op& op, TimedOp& timed) {
  const double missed = 1.0 - static_cast<double>(op.top_k) / static_cast<double>(op.experts);
  double untouched = 1;
  for (std::int64_t tokens = 0; tokens <= kExpertTable; ++tokens) {
    const double distinct = static_cast<double>(op.experts) * (tokens == kExpertTable ? 1 : 1 - untouched);
    timed.expert_memory.push_back(std::llround(distinct * static_cast<double>(op.memory_fixed)));
    timed.expert_bytes.push_back(std::llround(distinct * static_cast<double>(op.bytes_fixed)));
    untouched *= missed;
  }
  timed.memory_fixed = timed.bytes_fixed = 0;
}

TimedOp::TimedOp(const Op& op)
    : rows(op.rows),
      window(op.window),
      memory_fixed(op.memory_fixed),
      memory_row(op.memory_row),
      memory_side(op.memory_side),
      compute_row(op.compute_row),
      bytes_fixed(op.bytes_fixed),
      bytes_row(op.bytes_row),
      bytes_side(op.bytes_side),
      flop_row(op.flop_row),
      ways(op.ways),
      ring(op.ring) {
  if (op.experts > 0) fill_expert_tables(op, *this);
}

/// min(value, times * window) with 0 as no window.
std::int64_t bounded(std::int64_t value, std::int64_t times, std::int64_t window) {
  if (window == 0) return value;
  const Int128 bound = static_cast<Int128>(times) * window;
  return bound < value ? static_cast<std::int64_t>(bound) : value;
}

template <class Int>
Cost<Int> linear_cost(const TimedOp& op, std::int64_t memory_rows, std::int64_t side,
                      std::int64_t compute_rows) {
  Cost<Int> cost;
  cost.memory = Int{op.memory_row} * memory_rows + Int{op.memory_side} * side + op.memory_fixed;
  cost.bytes = Int{op.bytes_row} * memory_rows + Int{op.bytes_side} * side + op.bytes_fixed;
  cost.compute = Int{op.compute_row} * compute_rows;
  cost.flop = Int{op.flop_row} * compute_rows;
  return cost;
}

template <class Int>
Int fastest(const std::vector<LinkWay>& ways, std::int64_t rows) {
  Int best = Int{ways.front().row} * rows + ways.front().fixed;
  for (const LinkWay& way : ways) best = std::min<Int>(best, Int{way.row} * rows + way.fixed);
  return best;
}

/// Rows that a simple operator works on.
std::int64_t rows_of(const TimedOp& op, const StepShape& shape) {
  switch (op.rows) {
    case OpRows::fixed:
      return 1;
    case OpRows::tokens:
      return shape.tokens;
    case OpRows::sampled:
      return shape.sampled;
    case OpRows::state_updates:
      return shape.decode_seqs + shape.verify_tokens + shape.prefill_seqs;
    case OpRows::latent_rows:
      return shape.decode_seqs + shape.verify_tokens + shape.prefill_context;
    case OpRows::group_tokens:
      return std::max(shape.group_tokens, shape.tokens);
    case OpRows::decode_seqs:
      return shape.decode_seqs;
    case OpRows::cached_context:
      return std::max<std::int64_t>(shape.prefill_context - (shape.tokens - shape.decode_seqs), 0);
    case OpRows::decode_context:
    case OpRows::prefill_pairs:
      break;
  }
  check_failed("attention has no plain rows", __FILE__, __LINE__);
}

template <class Int>
Cost<Int> cost_of(const TimedOp& op, const StepShape& shape) {
  if (op.rows == OpRows::decode_context) {
    if (shape.decode_seqs == 0 && shape.decode_context == 0) return {};
    const bool counted = op.window > 0 && shape.decode_reach > 0;
    const std::int64_t context =
        bounded(counted ? shape.decode_reach : shape.decode_context, shape.decode_seqs, op.window);
    // Drafts under verification are further queries over the same keys.
    return linear_cost<Int>(op, context, shape.decode_seqs + shape.verify_tokens,
                            context + bounded(shape.verify_pairs, shape.verify_tokens, op.window));
  }
  if (op.rows == OpRows::prefill_pairs) {
    if (shape.prefill_context == 0 && shape.prefill_pairs == 0) return {};
    // A windowed chunk reads its own tokens and one window before them.
    std::int64_t context = shape.prefill_context;
    if (op.window > 0) {
      const Int128 reach = static_cast<Int128>(shape.prefill_seqs) * op.window + shape.tokens;
      if (reach < context) context = static_cast<std::int64_t>(reach);
    }
    std::int64_t pairs = bounded(shape.prefill_pairs, shape.tokens, op.window);
    if (op.window > 0 && shape.prefill_reach > 0) {
      context = shape.prefill_reach;
      pairs = shape.prefill_reach_pairs;
    }
    Cost<Int> cost = linear_cost<Int>(op, context, std::min(shape.tokens, shape.prefill_context), pairs);
    if (op.ring.ranks > 1)
      cost.compute =
          op.ring.time<Int>(cost.compute, Int{op.ring.transfer_row} * context + op.ring.transfer_fixed);
    return cost;
  }
  const std::int64_t rows = rows_of(op, shape);
  if (rows == 0) return {};
  Cost<Int> cost = linear_cost<Int>(op, rows, 0, rows);
  if (!op.expert_memory.empty()) {
    const auto at = static_cast<std::size_t>(std::min(rows, kExpertTable));
    cost.memory += op.expert_memory[at];
    cost.bytes += op.expert_bytes[at];
  }
  if (!op.ways.empty()) cost.memory = fastest<Int>(op.ways, rows);
  return cost;
}

constexpr std::size_t index_of(StepPart part) { return static_cast<std::size_t>(part); }

bool attends_to_kv(const Op& op) {
  return op.form.kind == OpKind::attention || op.form.kind == OpKind::latent_attention ||
         op.form.kind == OpKind::recurrent;
}

/// Bytes of weights that an operator reads: what does not grow with its rows, of experts those touched.
Int128 weights_of(const TimedOp& op, const StepShape& shape) {
  if (op.rows == OpRows::decode_context || op.rows == OpRows::prefill_pairs) return 0;
  const std::int64_t rows = rows_of(op, shape);
  if (rows == 0) return 0;
  const auto at = static_cast<std::size_t>(std::min(rows, kExpertTable));
  return op.bytes_fixed + (op.expert_bytes.empty() ? 0 : op.expert_bytes[at]);
}

/// What an operator's time counts as.
StepPart part_of(const Op& op, bool by_compute, Int128 weights, Int128 bytes) {
  if (op.memory_bound == OpBound::host) return StepPart::host;
  if (op.memory_bound == OpBound::link) return StepPart::communication;
  if (by_compute) return StepPart::compute;
  if (attends_to_kv(op)) return StepPart::kv;
  return 2 * weights >= bytes ? StepPart::weights : StepPart::activations;
}

/// Counts up to which 64-bit sums over all operators cannot overflow.
struct SafeCounts {
  std::int64_t rows = kCostMax;
  std::int64_t context = kCostMax;
  std::int64_t pairs = kCostMax;

  void lower(const TimedOp& op, std::int64_t share) {
    std::int64_t memory = std::max({op.memory_row, op.bytes_row, std::int64_t{1}});
    if (!op.ways.empty()) memory = std::max(memory, op.ways.front().row);  // ascending by fixed: the steepest
    const std::int64_t compute = std::max({op.compute_row, op.flop_row, std::int64_t{1}});
    const std::int64_t side = std::max({op.memory_side, op.bytes_side, std::int64_t{1}});
    rows = std::min(rows, share / side);
    if (op.rows == OpRows::prefill_pairs) {
      context = std::min(context, share / std::max(memory, op.ring.transfer_row * op.ring.ranks));
      pairs = std::min(pairs, share / compute);
    } else if (op.rows == OpRows::decode_context || op.rows == OpRows::latent_rows ||
               op.rows == OpRows::cached_context) {
      context = std::min(context, share / std::max(memory, compute));
    } else {
      rows = std::min(rows, share / std::max(memory, compute));
    }
  }

  [[nodiscard]] bool hold(const StepShape& shape) const {
    return std::max(shape.tokens, shape.group_tokens) <= rows && shape.sampled <= rows &&
           shape.decode_seqs + shape.prefill_seqs <= rows &&
           shape.decode_context + shape.verify_pairs + shape.prefill_context + shape.decode_seqs <= context &&
           shape.prefill_pairs <= pairs;
  }
};

class DatasheetTimer final : public RooflineTimer {
 public:
  DatasheetTimer(std::vector<Op> ops, const GpuSpec& gpu, const SpreadOptions& spread)
      : gpu_(gpu), names_(std::move(ops)), context_parallel_(spread.context_parallel) {
    // A product of counts and coefficients has at most four parts; what does not grow with the shape takes
    // the other half.
    const std::int64_t share = kCostMax / (8 * static_cast<std::int64_t>(names_.size()) + 1);
    for (const Op& op : names_) {
      ops_.emplace_back(op);
      safe_.lower(ops_.back(), share);
    }
  }

  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    if (context_parallel_ > 1) {
      const StepShape part = of_rank(shape);
      return safe_.hold(part) ? sum<std::int64_t>(part) : sum<Int128>(part);
    }
    return safe_.hold(shape) ? sum<std::int64_t>(shape) : sum<Int128>(shape);
  }

  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override {
    return decode_within(seqs, context, 0);
  }

  [[nodiscard]] DecodeLine decode_within(std::int64_t seqs, std::int64_t context,
                                         std::int64_t reach) const override {
    StepShape shape;
    shape.tokens = shape.sampled = shape.decode_seqs = seqs;
    Sum time, bytes, flop;
    DecodeLine line;
    for (const TimedOp& timed : ops_) {
      if (timed.rows != OpRows::decode_context) {
        const auto cost = cost_of<Int128>(timed, shape);
        time.line.base += cost.time();
        bytes.line.base += cost.bytes;
        flop.line.base += cost.flop;
        continue;
      }
      const bool by_reach = timed.window > 0 && reach > 0;
      const Attention part =
          attention_of(timed, seqs, by_reach ? reach : context, by_reach ? line.reach_max : line.context_max);
      for (const auto& [sum, added] :
           {std::pair<Sum*, const Line*>{&time, &part.time}, {&bytes, &part.bytes}, {&flop, &part.flop}}) {
        sum->line.base += added->base;
        (by_reach ? sum->reach_slope : sum->line.slope) += added->slope;
      }
    }
    clamp_line(time, bytes, flop, context, reach, line);
    return line;
  }

  [[nodiscard]] std::vector<OpCost> breakdown(const StepShape& whole) const override {
    const StepShape shape = of_rank(whole);
    std::vector<OpCost> costs;
    std::vector<Int128> longest;  // of the operators under one name: it names the bound
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      const Op& op = names_[i];
      const auto cost = cost_of<Int128>(ops_[i], shape);
      if (cost.time() == 0) continue;
      auto at = std::find_if(costs.begin(), costs.end(),
                             [&](const OpCost& known) { return known.name == op.name; });
      if (at == costs.end()) {
        costs.push_back({op.name});
        longest.push_back(-1);
        at = costs.end() - 1;
      }
      at->bytes = saturate(static_cast<Int128>(at->bytes) + cost.bytes);
      at->flop = saturate(static_cast<Int128>(at->flop) + cost.flop);
      at->time = FineDuration{saturate(static_cast<Int128>(at->time.count()) + cost.time())};
      Int128& most = longest[static_cast<std::size_t>(at - costs.begin())];
      if (cost.time() <= most) continue;
      most = cost.time();
      at->part = part_of(op, cost.compute > cost.memory, weights_of(ops_[i], shape), cost.bytes);
      at->bound = cost.compute > cost.memory ? OpBound::compute : op.memory_bound;
      at->ridge = op.flop_per_s / gpu_.bytes_per_s();
    }
    for (OpCost& cost : costs) {
      if (cost.bytes > 0) cost.intensity = static_cast<double>(cost.flop) / static_cast<double>(cost.bytes);
    }
    return costs;
  }

  [[nodiscard]] StepParts parts(const StepShape& whole) const override {
    const StepShape shape = of_rank(whole);
    std::array<Int128, kStepParts> time{}, bytes{};
    Int128 time_sum = 0, bytes_sum = 0;
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      const auto cost = cost_of<Int128>(ops_[i], shape);
      const Int128 weights = weights_of(ops_[i], shape);
      const bool attends = attends_to_kv(names_[i]);
      time[index_of(part_of(names_[i], cost.compute > cost.memory, weights, cost.bytes))] += cost.time();
      bytes[index_of(attends ? StepPart::kv : StepPart::weights)] += attends ? cost.bytes : weights;
      if (!attends) bytes[index_of(StepPart::activations)] += cost.bytes - weights;
      time_sum += cost.time();
      bytes_sum += cost.bytes;
    }
    if (time_sum > kCostMax || bytes_sum > kCostMax) return StepTimer::parts(shape);
    StepParts parts;
    for (std::size_t i = 0; i < kStepParts; ++i) {
      parts.time[i] = static_cast<std::int64_t>(time[i]);
      parts.bytes[i] = static_cast<std::int64_t>(bytes[i]);
    }
    return parts;
  }

  [[nodiscard]] std::string description() const override {
    return "datasheet roofline of " + gpu_.title + ", uncalibrated";
  }

 private:
  /// What one of several context-parallel ranks computes: its part of the prompts' tokens; the operators that
  /// attend divide what they attend to.
  [[nodiscard]] StepShape of_rank(StepShape shape) const {
    if (context_parallel_ == 1) return shape;
    shape.group_tokens = std::max(shape.group_tokens, shape.tokens);
    shape.tokens = shape.decode_seqs +
                   ceil_div(std::max<std::int64_t>(shape.tokens - shape.decode_seqs, 0), context_parallel_);
    return shape;
  }

  template <class Int>
  [[nodiscard]] StepCost sum(const StepShape& shape) const {
    Int time = 0, bytes = 0, flop = 0;
    for (const TimedOp& op : ops_) {
      const Cost<Int> cost = cost_of<Int>(op, shape);
      time += cost.time();
      bytes += cost.bytes;
      flop += cost.flop;
    }
    return {FineDuration{saturate(time)}, saturate(bytes), saturate(flop)};
  }

  struct Attention {
    Line time, bytes, flop;
  };

  /// Decode attention as the line that holds at `context`; lowers context_max to where it stops holding: at
  /// the window, or where memory and compute change places.
  static Attention attention_of(const TimedOp& op, std::int64_t seqs, std::int64_t context,
                                std::int64_t& context_max) {
    const Int128 window_sum =
        op.window == 0 ? std::numeric_limits<std::int64_t>::max() : static_cast<Int128>(seqs) * op.window;
    if (seqs == 0 && context == 0) {
      context_max = 0;
      return {};
    }
    Line memory{static_cast<Int128>(op.memory_side) * seqs + op.memory_fixed, op.memory_row};
    Line compute{0, op.compute_row};
    Line moved{static_cast<Int128>(op.bytes_side) * seqs + op.bytes_fixed, op.bytes_row};
    Line computed{0, op.flop_row};
    if (context >= window_sum) {  // every sequence is taken to fill its window: constant from here on
      for (Line* line : {&memory, &compute, &moved, &computed})
        *line = {line->base + line->slope * window_sum, 0};
    } else if (window_sum < context_max) {
      context_max = static_cast<std::int64_t>(window_sum);
    }
    const Int128 at_memory = memory.at(context), at_compute = compute.at(context);
    const bool by_memory =
        at_memory > at_compute || (at_memory == at_compute && memory.slope >= compute.slope);
    const Line& upper = by_memory ? memory : compute;
    const Line& lower = by_memory ? compute : memory;
    if (lower.slope > upper.slope) {
      const Int128 crossing = (upper.base - lower.base) / (lower.slope - upper.slope);
      if (crossing < context_max) context_max = static_cast<std::int64_t>(crossing);
    }
    return {upper, moved, computed};
  }

  /// Ends the line where a value would reach the saturation; beyond it everything is constant.
  static void clamp_line(const Sum& time, const Sum& bytes, const Sum& flop, std::int64_t context,
                         std::int64_t reach, DecodeLine& line) {
    // Where both sums grow, each may use half of the room.
    const Int128 share = time.reach_slope > 0 || bytes.reach_slope > 0 ? 2 : 1;
    const auto clamp = [&](const Sum& value, std::int64_t& base, std::int64_t& slope,
                           std::int64_t& reach_slope) {
      const Int128 room = kCostMax - value.at(context, reach);
      if (room <= 0) {
        base = kCostMax;
        slope = reach_slope = 0;
        return;
      }
      base = static_cast<std::int64_t>(value.line.base);
      slope = static_cast<std::int64_t>(value.line.slope);
      reach_slope = static_cast<std::int64_t>(value.reach_slope);
      if (slope > 0)
        line.context_max = std::min(line.context_max, saturate(context + room / share / value.line.slope));
      if (reach_slope > 0)
        line.reach_max = std::min(line.reach_max, saturate(reach + room / share / value.reach_slope));
    };
    std::int64_t time_base = 0, time_slope = 0, time_reach = 0;
    clamp(time, time_base, time_slope, time_reach);
    clamp(bytes, line.base.hbm_bytes, line.per_context_token.hbm_bytes, line.per_reach_token.hbm_bytes);
    clamp(flop, line.base.flop, line.per_context_token.flop, line.per_reach_token.flop);
    line.base.time = FineDuration{time_base};
    line.per_context_token.time = FineDuration{time_slope};
    line.per_reach_token.time = FineDuration{time_reach};
  }

  GpuSpec gpu_;
  std::vector<Op> names_;
  std::int64_t context_parallel_;
  std::vector<TimedOp> ops_;  // the same, in the same order
  SafeCounts safe_;
};

}  // namespace

std::string_view to_string(OpBound bound) {
  switch (bound) {
    case OpBound::memory:
      return "memory";
    case OpBound::compute:
      return "compute";
    case OpBound::link:
      return "link";
    case OpBound::host:
      return "host";
  }
  return "";
}

std::unique_ptr<StepTimer> make_work_counter(const ModelSpec& model, const GpuSpec& gpu,
                                             const TimerOptions& options) {
  std::vector<Op> sums;  // operators that grow with the same count are one
  for (Op op : make_roofline_ops(model, gpu, options)) {
    op.memory_fixed = op.memory_row = op.memory_side = op.compute_row = 0;
    op.ways.clear();
    op.ring = {};
    const auto same = std::find_if(sums.begin(), sums.end(), [&](const Op& sum) {
      return sum.rows == op.rows && sum.window == op.window && sum.experts == op.experts &&
             sum.top_k == op.top_k;
    });
    if (same == sums.end()) {
      sums.push_back(std::move(op));
      continue;
    }
    same->bytes_fixed += op.bytes_fixed;
    same->bytes_row += op.bytes_row;
    same->bytes_side += op.bytes_side;
    same->flop_row += op.flop_row;
  }
  return std::make_unique<DatasheetTimer>(std::move(sums), gpu, options.spread);
}

std::unique_ptr<RooflineTimer> make_roofline_timer(const ModelSpec& model, const GpuSpec& gpu,
                                                   const TimerOptions& options) {
  return std::make_unique<DatasheetTimer>(make_roofline_ops(model, gpu, options), gpu, options.spread);
}

}  // namespace kvcast
