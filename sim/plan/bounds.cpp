#include "sim/plan/bounds.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr double kSecondsPerFine = 1e-9 / (1 << kFineBits);
constexpr double kInfinite = std::numeric_limits<double>::infinity();
// Rounding, of sums of doubles here and of table slopes in a timer, must not lift a bound above what it
// bounds.
constexpr double kSafety = 1 - 1e-6;

double seconds(FineDuration time) { return static_cast<double>(time.count()) * kSecondsPerFine; }

/// Steps of `x` and `y` (tokens and pairs, sequences and context): each takes at least `time_s`.
struct Corner {
  double x = 0;
  double y = 0;
  double time_s = 0;
};

/// Integers 1 ... max, each about `ratio` times the one before, max + 1 at the end.
std::vector<std::int64_t> grid(std::int64_t max, double ratio) {
  std::vector<std::int64_t> values;
  for (std::int64_t at = 1; at <= max;) {
    values.push_back(at);
    at = std::max(at + 1, static_cast<std::int64_t>(std::ceil(static_cast<double>(at) * ratio)));
  }
  values.push_back(max + 1);
  return values;
}

struct Plane {
  double per_x = 0;
  double per_y = 0;
};

/// The a, b >= 0 that make a * x_sum + b * y_sum largest while a * x + b * y <= time at every corner: any
/// steps that sum to (x_sum, y_sum) then take at least that long. For a given b the best a is a minimum of
/// lines, so that the sum is concave in b.
Plane best_plane(const std::vector<Corner>& corners, double x_sum, double y_sum) {
  if (corners.empty() || x_sum <= 0) return {};
  double b_max = kInfinite;
  for (const Corner& corner : corners) {
    if (corner.y > 0) b_max = std::min(b_max, corner.time_s / corner.y);
  }
  const auto best_a = [&](double b) {
    double a = kInfinite;
    for (const Corner& corner : corners) a = std::min(a, (corner.time_s - b * corner.y) / corner.x);
    return std::max(a, 0.0);
  };
  if (!(b_max < kInfinite)) return {best_a(0), 0};
  double low = 0, high = b_max;
  const auto value = [&](double b) { return best_a(b) * x_sum + b * y_sum; };
  constexpr int kRounds = 60;
  for (int i = 0; i < kRounds; ++i) {
    const double left = low + (high - low) / 3, right = high - (high - low) / 3;
    if (value(left) < value(right)) {
      low = left;
    } else {
      high = right;
    }
  }
  Plane best{best_a(0), 0};
  for (const double b : {low, high, b_max}) {
    if (value(b) > best.per_x * x_sum + best.per_y * y_sum) best = {best_a(b), b};
  }
  return best;
}

/// A step with `tokens` prompt tokens and `pairs` query-key pairs has at least these counts.
StepShape prompt_shape(std::int64_t tokens, std::int64_t pairs) {
  StepShape shape;
  shape.tokens = tokens;
  shape.prefill_seqs = 1;
  shape.prefill_context = tokens;
  shape.prefill_pairs = pairs;
  return shape;
}

/// Corners of the prompt part: a cell's lower corner in time, its upper corner in size.
std::vector<Corner> prompt_corners(const StepTimer& timer, const EngineLimits& limits) {
  constexpr double kTokenRatio = 1.06;
  constexpr double kPairRatio = 1.2;
  std::vector<Corner> corners;
  const std::vector<std::int64_t> tokens = grid(limits.step_tokens_max, kTokenRatio);
  // A token attends to itself at least, and at most to a whole context.
  const std::vector<std::int64_t> reach = grid(limits.max_model_len, kPairRatio);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    for (std::size_t k = 0; k + 1 < reach.size(); ++k) {
      const double time_s = seconds(timer.step(prompt_shape(tokens[i], tokens[i] * reach[k])).time);
      const double upper = static_cast<double>(tokens[i + 1] - 1);
      corners.push_back({upper, upper * static_cast<double>(reach[k + 1]), time_s});
    }
  }
  return corners;
}

/// Times of decode steps of a fixed number of sequences, along the lines that the timer gives.
class DecodeSteps {
 public:
  DecodeSteps(const StepTimer& timer, std::int64_t seqs, std::int64_t context_max) {
    constexpr int kLinesMax = 64;
    std::int64_t from = seqs;  // each attends to itself
    for (int i = 0; from <= context_max; ++i) {
      const DecodeLine line = timer.decode(seqs, from);
      const std::int64_t to = i == kLinesMax ? context_max : std::clamp(line.context_max, from, context_max);
      pieces_.push_back({from, to, at(line, from), i == kLinesMax ? at(line, from) : at(line, to)});
      from = to + 1;
    }
  }

  /// A stretch of context sums and the times at its ends; straight between them.
  struct Piece {
    std::int64_t from = 0;
    std::int64_t to = 0;
    double from_s = 0;
    double to_s = 0;
  };
  [[nodiscard]] const std::vector<Piece>& pieces() const { return pieces_; }

 private:
  static double at(const DecodeLine& line, std::int64_t context) {
    return seconds(line.base.time) + static_cast<double>(line.per_context_token.time.count()) *
                                         kSecondsPerFine * static_cast<double>(context);
  }
  std::vector<Piece> pieces_;
};

constexpr double kSeqsRatio = 1.03;

/// Corners of the decode part. n sequences of mean context m take at least as long as the fewest sequences of
/// their cell with that mean.
std::vector<Corner> decode_corners(const StepTimer& timer, const EngineLimits& limits) {
  std::vector<Corner> corners;
  const std::vector<std::int64_t> seqs = grid(limits.seqs_max, kSeqsRatio);
  for (std::size_t i = 0; i + 1 < seqs.size(); ++i) {
    const double most = static_cast<double>(seqs[i + 1] - 1);
    const double growth = most / static_cast<double>(seqs[i]);
    const DecodeSteps steps(timer, seqs[i], std::max(limits.decode_context_max, seqs[i]));
    for (const DecodeSteps::Piece& piece : steps.pieces()) {
      corners.push_back({most, growth * static_cast<double>(piece.from), piece.from_s});
      // Means between this piece and the next belong to this one.
      corners.push_back({most, growth * static_cast<double>(piece.to + 1), piece.to_s});
    }
  }
  return corners;
}

/// The shortest decode step that holds one sequence of a given context among any others: by context, on a
/// grid.
class ShortestDecode {
 public:
  ShortestDecode(const StepTimer& timer, const EngineLimits& limits) {
    constexpr double kContextRatio = 1.02;
    contexts_ = grid(limits.max_model_len, kContextRatio);
    const std::vector<std::int64_t> seqs = grid(limits.seqs_max, kSeqsRatio);
    for (const std::int64_t context : contexts_) {
      double shortest = kInfinite;
      for (std::size_t i = 0; i + 1 < seqs.size(); ++i) {
        // The others have a context of one token at least, and the mean counts.
        const std::int64_t most = seqs[i + 1] - 1;
        const std::int64_t sum = seqs[i] * (context + most - 1) / most;
        const std::int64_t clamped = std::max(sum, seqs[i]);
        const DecodeLine line = timer.decode(seqs[i], clamped);
        shortest = std::min(
            shortest, seconds(line.base.time) + static_cast<double>(line.per_context_token.time.count()) *
                                                    kSecondsPerFine * static_cast<double>(clamped));
      }
      shortest_s_.push_back(shortest);
    }
  }

  [[nodiscard]] double at(std::int64_t context) const {
    const auto above = std::upper_bound(contexts_.begin(), contexts_.end(), context);
    return above == contexts_.begin() ? 0
                                      : shortest_s_[static_cast<std::size_t>(above - contexts_.begin()) - 1];
  }

 private:
  std::vector<std::int64_t> contexts_;
  std::vector<double> shortest_s_;
};

std::vector<double> work_of(const StepBounds& bounds, const std::vector<RequestDemand>& demands,
                            bool decode) {
  std::vector<double> work;
  work.reserve(demands.size());
  for (const RequestDemand& demand : demands) {
    if (demand.may_be_refused) {
      work.push_back(0);
    } else if (decode) {
      work.push_back(bounds.decode_per_seq * static_cast<double>(demand.decode_tokens) +
                     bounds.decode_per_context * static_cast<double>(demand.decode_context));
    } else {
      work.push_back(bounds.prefill_per_token * static_cast<double>(demand.prefill_tokens) +
                     bounds.prefill_per_pair * static_cast<double>(demand.prefill_pairs));
    }
  }
  return work;
}

/// Sum without the `late` largest.
double sum_of_smaller(std::vector<double> values, std::size_t late) {
  if (late >= values.size()) return 0;
  const auto cut = values.begin() + static_cast<std::ptrdiff_t>(values.size() - late);
  std::nth_element(values.begin(), cut == values.end() ? values.end() - 1 : cut, values.end());
  double sum = 0;
  for (auto at = values.begin(); at != cut; ++at) sum += *at;
  return sum;
}

/// How many of n completed requests may be above a limit on their percentile: rank share * (n - 1), rounded
/// down, is the last that must be below.
std::size_t late_max(double share, std::size_t n) {
  if (n == 0) return 0;
  const auto last = static_cast<std::size_t>(share * static_cast<double>(n - 1));
  return n - 1 - last;
}

/// What must be done by when.
struct Deadlines {
  std::vector<double> work;     // seconds, by request
  std::vector<double> slack_s;  // from a request's arrival to its deadline
  std::size_t late = 0;         // so many need not meet theirs
};

/// Replicas that some window of arrivals asks for.
double replicas_of_windows(const Deadlines& deadlines, const std::vector<RequestDemand>& demands) {
  const std::size_t n = demands.size();
  double most = 0;
  constexpr std::size_t kSmallest = 16;  // requests in a window
  for (std::size_t size = n; size >= kSmallest && size > deadlines.late; size /= 2) {
    const std::size_t stride = std::max<std::size_t>(size / 2, 1);
    for (std::size_t begin = 0; begin + size <= n; begin += stride) {
      const auto from = static_cast<std::ptrdiff_t>(begin), to = static_cast<std::ptrdiff_t>(begin + size);
      const std::vector<double> work(deadlines.work.begin() + from, deadlines.work.begin() + to);
      const double needed = sum_of_smaller(work, deadlines.late);
      std::int64_t first = demands[begin].arrival_ns;
      double end_s = 0;  // latest deadline
      for (std::size_t i = begin; i < begin + size; ++i) {
        first = std::min(first, demands[i].arrival_ns);
        end_s = std::max(end_s, static_cast<double>(demands[i].arrival_ns) * 1e-9 + deadlines.slack_s[i]);
      }
      const double span = end_s - static_cast<double>(first) * 1e-9;
      if (span > 0) most = std::max(most, needed / span);
    }
  }
  return most;
}

std::optional<LatencyLimit> tightest(const std::vector<LatencyLimit>& limits, LatencyLimit::Kind kind) {
  std::optional<LatencyLimit> found;
  for (const LatencyLimit& limit : limits) {
    if (limit.kind == kind && (!found || limit.limit_s < found->limit_s)) found = limit;
  }
  return found;
}

/// Requests that may be refused do not count among the completed; all others do.
std::size_t surely_completed(const std::vector<RequestDemand>& demands) {
  return static_cast<std::size_t>(std::count_if(
      demands.begin(), demands.end(), [](const RequestDemand& demand) { return !demand.may_be_refused; }));
}

}  // namespace

std::vector<RequestDemand> demands_of(const std::vector<Request>& requests, const EngineLimits& limits) {
  std::vector<RequestDemand> demands;
  demands.reserve(requests.size());
  for (const Request& request : requests) {
    RequestDemand demand;
    demand.arrival_ns = (request.arrival - request.delay_before).time_since_epoch().count();
    demand.input = request.input.value;
    const bool has_content = request.details != nullptr && !request.details->content.empty();
    // Engines compute the last token of a prompt even where the cache holds all of it.
    demand.prefill_tokens =
        limits.reuses_prefixes && has_content ? 1 : std::max<std::int64_t>(demand.input, 1);
    demand.prefill_pairs = static_cast<Int128>(demand.prefill_tokens) * (demand.prefill_tokens + 1) / 2;
    std::int64_t output = request.output.value;
    if (request.output_limit.value > 0) output = std::min(output, request.output_limit.value);
    output = std::min(output, limits.max_model_len - demand.input);
    demand.decode_tokens = std::max<std::int64_t>(output - 1, 0);
    demand.decode_context = static_cast<Int128>(demand.decode_tokens) * demand.input +
                            static_cast<Int128>(demand.decode_tokens) * (demand.decode_tokens + 1) / 2;
    const std::int64_t whole = demand.input + demand.decode_tokens + 1;
    demand.may_be_refused =
        demand.input >= limits.max_model_len || (limits.pool_tokens > 0 && whole > limits.pool_tokens);
    demands.push_back(demand);
  }
  return demands;
}

StepBounds step_bounds(const StepTimer& timer, const EngineLimits& limits,
                       const std::vector<RequestDemand>& demands) {
  KVCAST_CHECK(limits.step_tokens_max > 0 && limits.seqs_max > 0 && limits.max_model_len > 0);
  double tokens = 0, pairs = 0, decodes = 0, context = 0;
  for (const RequestDemand& demand : demands) {
    if (demand.may_be_refused) continue;
    tokens += static_cast<double>(demand.prefill_tokens);
    pairs += static_cast<double>(demand.prefill_pairs);
    decodes += static_cast<double>(demand.decode_tokens);
    context += static_cast<double>(demand.decode_context);
  }
  const Plane prompt = best_plane(prompt_corners(timer, limits), tokens, pairs);
  Plane decode;
  if (limits.decodes_by_token) decode = best_plane(decode_corners(timer, limits), decodes, context);
  return {prompt.per_x * kSafety, prompt.per_y * kSafety, decode.per_x * kSafety, decode.per_y * kSafety};
}

double busy_seconds_min(const StepBounds& bounds, const std::vector<RequestDemand>& demands) {
  double most = 0;
  for (const bool decode : {false, true}) {
    const std::vector<double> work = work_of(bounds, demands, decode);
    most = std::max(most, sum_of_smaller(work, 0));
  }
  return most;
}

std::vector<LatencyFloors> latency_floors(const StepTimer& timer, const EngineLimits& limits,
                                          const StepBounds& bounds,
                                          const std::vector<RequestDemand>& demands) {
  const auto prompt_s = [&](std::int64_t tokens) {
    return seconds(timer.step(prompt_shape(tokens, tokens)).time);
  };
  constexpr double kRounding = 2e-9;
  const double one_token_s = prompt_s(1);
  const ShortestDecode decode(timer, limits);
  std::vector<LatencyFloors> floors;
  floors.reserve(demands.size());
  for (const RequestDemand& demand : demands) {
    LatencyFloors floor;
    if (!demand.may_be_refused) {
      // In k chunks, one has at least tokens / k of them, and the others take at least a step of one token
      // each.
      const std::int64_t chunks_min = ceil_div(demand.prefill_tokens, limits.step_tokens_max);
      double chunked = kInfinite;
      for (std::int64_t k = chunks_min; k <= demand.prefill_tokens; ++k) {
        const double others = static_cast<double>(k - 1) * one_token_s;
        if (others >= chunked) break;
        chunked = std::min(chunked, prompt_s(ceil_div(demand.prefill_tokens, k)) + others);
        if (one_token_s <= 0) break;
      }
      const double planned = bounds.prefill_per_token * static_cast<double>(demand.prefill_tokens) +
                             bounds.prefill_per_pair * static_cast<double>(demand.prefill_pairs);
      floor.ttft_s = std::max(chunked, planned) * kSafety;
      if (demand.decode_tokens > 0 && limits.decodes_by_token) {
        // Latencies are rounded down to the nanosecond.
        floor.tpot_s = std::max(0.0, decode.at(demand.input + 1) * kSafety - kRounding);
      }
      floor.ttft_s = std::max(0.0, floor.ttft_s - kRounding);
    }
    floors.push_back(floor);
  }
  return floors;
}

double floor_percentile(const std::vector<LatencyFloors>& floors, const std::vector<RequestDemand>& demands,
                        LatencyLimit::Kind kind, double share) {
  std::vector<double> values;
  std::size_t doubtful = 0;
  for (std::size_t i = 0; i < floors.size(); ++i) {
    if (kind == LatencyLimit::Kind::tpot && demands[i].decode_tokens == 0) continue;
    if (demands[i].may_be_refused) {
      ++doubtful;
      continue;
    }
    const double both = floors[i].ttft_s + floors[i].tpot_s * static_cast<double>(demands[i].decode_tokens);
    values.push_back(kind == LatencyLimit::Kind::ttft   ? floors[i].ttft_s
                     : kind == LatencyLimit::Kind::tpot ? floors[i].tpot_s
                                                        : both);
  }
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  // The whole rank below the percentile's; those in doubt, where they complete, may all come before it.
  const auto rank = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  return rank < doubtful ? 0 : values[rank - doubtful];
}

std::optional<std::int64_t> replicas_min(const StepBounds& bounds, const std::vector<RequestDemand>& demands,
                                         const std::vector<LatencyFloors>& floors,
                                         const std::vector<LatencyLimit>& limits) {
  using Kind = LatencyLimit::Kind;
  for (const LatencyLimit& limit : limits) {
    if (floor_percentile(floors, demands, limit.kind, limit.share) > limit.limit_s) return std::nullopt;
  }
  const std::size_t completed = surely_completed(demands);
  const std::size_t doubtful = demands.size() - completed;
  const auto late = [&](const LatencyLimit& limit) { return late_max(limit.share, completed) + doubtful; };
  const std::vector<double> prompt = work_of(bounds, demands, false), decode = work_of(bounds, demands, true);
  const std::optional<LatencyLimit> ttft = tightest(limits, Kind::ttft), tpot = tightest(limits, Kind::tpot),
                                    e2el = tightest(limits, Kind::e2el);
  double most = 1;
  if (ttft) {
    const std::vector<double> slack(demands.size(), ttft->limit_s);
    most = std::max(most, replicas_of_windows({prompt, slack, late(*ttft)}, demands));
  }
  const auto add_both = [&](const std::vector<double>& slack, std::size_t late_count) {
    for (const std::vector<double>* work : {&prompt, &decode})
      most = std::max(most, replicas_of_windows({*work, slack, late_count}, demands));
  };
  if (e2el) add_both(std::vector<double>(demands.size(), e2el->limit_s), late(*e2el));
  if (ttft && tpot) {
    std::vector<double> slack;
    for (const RequestDemand& demand : demands)
      slack.push_back(ttft->limit_s + (tpot->limit_s + 1e-9) * static_cast<double>(demand.decode_tokens));
    add_both(slack, late(*ttft) + late(*tpot));
  }
  return static_cast<std::int64_t>(std::ceil(most * kSafety));
}

}  // namespace kvcast
