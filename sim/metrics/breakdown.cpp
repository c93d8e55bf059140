#include "sim/metrics/breakdown.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/base/error.h"
#include "sim/base/shares.h"

namespace kvcast {
namespace {

constexpr std::size_t index_of(TimePart part) { return static_cast<std::size_t>(part); }

struct PartText {
  std::string_view key;
  std::string_view meaning;
};

constexpr std::array<PartText, kTimeParts> kTexts = {{
    {"frontend", "between client and engine, both ways"},
    {"router", "held by the router"},
    {"queue", "in an engine's queue, not scheduled yet"},
    {"launch_wait", "scheduled, while the step before still runs"},
    {"tier_load", "waiting for KV from below the GPU's memory"},
    {"transfer", "between two replicas that serve it"},
    {"prefill_compute", "steps with its prompt: kernels bound by arithmetic"},
    {"decode_compute", "steps with its answer: kernels bound by arithmetic"},
    {"hbm_weights", "kernels bound by reading weights"},
    {"hbm_kv", "attention bound by reading the KV cache"},
    {"hbm_activations", "kernels bound by the traffic of activations"},
    {"communication", "between the GPUs of a replica"},
    {"pipeline_bubble", "pipeline stages, or ranks that step together, wait for each other"},
    {"host", "the engine's own work between steps"},
    {"drafting", "proposing tokens to be verified"},
    {"copying", "blocks moved to and from host memory, or copied on write"},
    {"others_prefill", "what prompts of others add to its steps"},
    {"other_steps", "running, while the device works on steps without it"},
    {"preempted", "after it gave way, until it runs again"},
    {"recompute", "computing again what a preemption threw away"},
    {"cache_miss", "computing prompt tokens that had been computed before"},
    {"unsplit", "in steps whose timer knows no parts"},
}};

/// The part of a request that a part of its step is.
TimePart part_of(StepPart part, bool prompt) {
  switch (part) {
    case StepPart::compute:
      return prompt ? TimePart::prefill_compute : TimePart::decode_compute;
    case StepPart::weights:
      return TimePart::hbm_weights;
    case StepPart::kv:
      return TimePart::hbm_kv;
    case StepPart::activations:
      return TimePart::hbm_activations;
    case StepPart::communication:
      return TimePart::communication;
    case StepPart::bubble:
      return TimePart::bubble;
    case StepPart::host:
      return TimePart::host;
    case StepPart::drafting:
      return TimePart::drafting;
    case StepPart::unsplit:
      return TimePart::unsplit;
  }
  check_failed("no such part of a step", __FILE__, __LINE__);
}

/// What belongs to computing a chunk, and is lost where the chunk had been computed before.
constexpr std::array kChunkParts = {
    TimePart::prefill_compute, TimePart::hbm_weights, TimePart::hbm_kv, TimePart::hbm_activations,
    TimePart::communication,   TimePart::bubble,      TimePart::host,   TimePart::unsplit};

std::int64_t whole_of(const StepParts& parts) {
  return std::accumulate(parts.time.begin(), parts.time.end(), std::int64_t{0});
}

bool is_prompt(const StepRecord::Entry& entry) {
  return entry.drafts == 0 && !(entry.n == 1 && entry.computed > 0);
}

/// The step without its prompt chunks.
StepShape without_prompts(const StepShape& shape) {
  StepShape decodes = shape;
  decodes.prefill_seqs = decodes.prefill_context = decodes.prefill_pairs = 0;
  decodes.tokens = std::min(shape.tokens, shape.decode_seqs + shape.verify_tokens);
  decodes.sampled = std::min(shape.sampled, decodes.tokens);
  return decodes;
}

/// The same with one of them.
StepShape with_prompt(const StepShape& shape, const StepRecord::Entry& entry) {
  if (shape.prefill_seqs <= 1) return shape;
  StepShape own = without_prompts(shape);
  own.prefill_seqs = 1;
  own.prefill_context = std::min(shape.prefill_context, entry.computed + entry.n);
  own.prefill_pairs = std::min(shape.prefill_pairs, entry.n * entry.computed + entry.n * (entry.n + 1) / 2);
  own.tokens = std::min(shape.tokens, own.tokens + entry.n);
  own.sampled = std::min(shape.sampled, own.sampled + (entry.gives_token ? 1 : 0));
  return own;
}

}  // namespace

std::string_view key_of(TimePart part) { return kTexts[index_of(part)].key; }
std::string_view meaning_of(TimePart part) { return kTexts[index_of(part)].meaning; }

std::int64_t sum_of(const TimeParts& parts) {
  return std::accumulate(parts.begin(), parts.end(), std::int64_t{0});
}

TimeParts RequestTime::tpot() const {
  TimeParts decode{};
  for (std::size_t i = 0; i < kTimeParts; ++i) decode[i] = e2el[i] - ttft[i];
  TimeParts each{};
  divide(tpot_ns(), decode.data(), each.data(), kTimeParts);
  return each;
}

Breakdown::Breakdown(const StepTimer& timer, BreakdownOptions options)
    : Breakdown([&timer](ReplicaId) -> const StepTimer& { return timer; }, std::move(options)) {}

Breakdown::Breakdown(TimerOf timer_of, BreakdownOptions options)
    : timer_of_(std::move(timer_of)), options_(std::move(options)) {}

void Breakdown::on_load(ReplicaId /*replica*/, RequestId id, Instant begin, Instant end) {
  if (closed_.count(to_number(id)) > 0) return;
  Account& account = accounts_[to_number(id)];
  const Instant from = account.started ? std::max(begin, account.until) : begin;
  account.loading_ns += std::max<std::int64_t>(0, (end - from).count());
}

void Breakdown::on_transfer(ReplicaId /*replica*/, RequestId id, Instant begin, Instant end) {
  Account& account = accounts_[to_number(id)];
  account.moved = true;
  account.transfer_begin = begin;
  account.transfer_end = end;
}

void Breakdown::on_step(const StepRecord& step) {
  for (const RequestId id : step.preempted) {
    const auto at = accounts_.find(to_number(id));
    if (at == accounts_.end()) continue;
    at->second.gave_way = true;
    at->second.recompute_until = std::max(at->second.recompute_until, at->second.computed);
  }
  if (!step.scheduled.empty()) count_device(step);
  for (const StepRecord::Entry& entry : step.scheduled) {
    if (closed_.count(to_number(entry.id)) > 0) continue;  // it had ended with the output before
    Account& account = accounts_[to_number(entry.id)];
    const bool another =
        account.started && account.replica == step.replica && account.last_step == step.index;
    if (!another) {  // else it is another of the request's sequences
      const Instant begin = begin_piece(account, step);
      add_step(account, step, entry, begin);
    }
    if (!entry.gives_token || account.has_first) continue;
    account.has_first = true;
    account.first_end = step.device_end;
    account.first = account.parts;
  }
  for (const RequestId id : step.finished) {
    const auto row = ended_.find(to_number(id));
    if (row == ended_.end()) continue;
    close(row->second);
    ended_.erase(row);
  }
}

void Breakdown::count_device(const StepRecord& step) {
  whole_ = timer_of_(step.replica).parts(step.shape);
  whole_time_ = whole_of(whole_);
  // What stages of a pipeline, or ranks that step together, wait for each other; clocks round to a
  // nanosecond.
  const Int128 lasted = Int128{(step.device_end - step.device_begin).count()} << kFineBits;
  const Int128 waited = lasted - whole_time_ - step.copying.count() - step.awaiting.count();
  waited_ = waited > (Int128{1} << kFineBits) ? static_cast<std::int64_t>(waited) : 0;
  decode_parts_of_ = -1;
  ++device_.steps;
  std::array<std::int64_t, kStepParts + 2> weights{};
  std::copy(whole_.time.begin(), whole_.time.end(), weights.begin() + 2);
  weights[2 + static_cast<std::size_t>(StepPart::bubble)] += waited_;
  weights[0] = step.copying.count();
  weights[1] = step.awaiting.count();
  std::array<std::int64_t, kStepParts + 2> shares{};
  divide((step.device_end - step.device_begin).count(), weights.data(), shares.data(), shares.size());
  device_.copying_ns += shares[0];
  device_.awaiting_ns += shares[1];
  for (std::size_t i = 0; i < kStepParts; ++i) {
    device_.time_ns[i] += shares[i + 2];
    device_.bytes[i] += whole_.bytes[i];
  }
}

/// From the end of its prompt on one replica to its first step on another: room for its KV, the KV on its
/// way, a step.
void Breakdown::add_move(Account& account, const StepRecord& step, std::int64_t gap) {
  const Instant planned = std::clamp(step.begin, account.until, step.device_begin);
  const Instant from = std::max(account.transfer_begin, account.until);
  const Instant until = std::min(account.transfer_end, planned);
  const std::int64_t moving = std::max<std::int64_t>(0, (until - from).count());
  const std::int64_t launching = (step.device_begin - planned).count();
  account.parts[index_of(TimePart::transfer)] += moving;
  account.parts[index_of(TimePart::launch)] += launching;
  account.parts[index_of(TimePart::queue)] += gap - moving - launching;
}

/// The time between the account's last step and this one; returns from when on the step counts. In a pipeline
/// the chunks of a prompt follow each other before the first has left it: what is accounted stays so.
Instant Breakdown::begin_piece(Account& account, const StepRecord& step) {
  Instant begin = step.device_begin;
  if (!account.started) {
    account.started = true;
    account.planned = step.begin;
    account.device = step.device_begin;
    account.loading_before_ns = account.loading_ns;
  } else if (begin < account.until) {
    begin = std::min(account.until, step.device_end);
  } else {
    std::int64_t gap = (begin - account.until).count();
    const std::int64_t loading = std::min(gap, account.loading_ns);
    account.parts[index_of(TimePart::tier_load)] += loading;
    gap -= loading;
    if (account.moved) {
      add_move(account, step, gap);
      gap = 0;
    }
    const TimePart waited = account.replica != step.replica ? TimePart::transfer
                            : account.gave_way              ? TimePart::preempted
                                                            : TimePart::other_steps;
    account.parts[index_of(waited)] += gap;
  }
  account.loading_ns = 0;
  account.moved = false;
  account.gave_way = false;
  account.replica = step.replica;
  account.last_step = step.index;
  account.until = std::max(account.until, step.device_end);
  return begin;
}

void Breakdown::add_step(Account& account, const StepRecord& step, const StepRecord::Entry& entry,
                         Instant begin) {
  const std::int64_t from = entry.computed;
  const std::int64_t length = (step.device_end - begin).count();
  account.computed = from + entry.n;
  if (!is_prompt(entry)) {
    const TimeParts& parts = decode_parts(step, length);
    for (std::size_t i = 0; i < kTimeParts; ++i) account.parts[i] += parts[i];
    return;
  }
  TimeParts parts = split(step, with_prompt(step.shape, entry), true, length);
  const std::int64_t again = std::clamp<std::int64_t>(account.recompute_until - from, 0, entry.n);
  std::int64_t missed = 0;
  if (options_.computed_before) {
    const std::int64_t known = options_.computed_before(entry.id).value;
    missed = std::clamp<std::int64_t>(known - from - again, 0, entry.n - again);
  }
  for (const TimePart part : kChunkParts) {
    std::int64_t& own = parts[index_of(part)];
    const Int128 all = own;
    const auto repeated = static_cast<std::int64_t>(all * again / entry.n);
    const auto wasted = static_cast<std::int64_t>(all * missed / entry.n);
    own -= repeated + wasted;
    parts[index_of(TimePart::recompute)] += repeated;
    parts[index_of(TimePart::cache_miss)] += wasted;
  }
  for (std::size_t i = 0; i < kTimeParts; ++i) account.parts[i] += parts[i];
}

const TimeParts& Breakdown::decode_parts(const StepRecord& step, std::int64_t length) {
  if (decode_parts_of_ != length) decode_parts_ = split(step, without_prompts(step.shape), false, length);
  decode_parts_of_ = length;
  return decode_parts_;
}

/// The step's nanoseconds as a request sees them whose step would have the shape `own` without others'
/// prompts.
TimeParts Breakdown::split(const StepRecord& step, const StepShape& own, bool prompt,
                           std::int64_t length) const {
  const bool alone = own.prefill_seqs == step.shape.prefill_seqs;
  const StepParts parts = alone ? whole_ : timer_of_(step.replica).parts(own);
  TimeParts weights{};
  for (std::size_t i = 0; i < kStepParts; ++i)
    weights[index_of(part_of(static_cast<StepPart>(i), prompt))] += parts.time[i];
  weights[index_of(TimePart::others_prefill)] = std::max<std::int64_t>(0, whole_time_ - whole_of(parts));
  weights[index_of(TimePart::bubble)] += waited_;
  weights[index_of(TimePart::copying)] = step.copying.count();
  weights[index_of(TimePart::tier_load)] = step.awaiting.count();
  TimeParts shares{};
  divide(length, weights.data(), shares.data(), kTimeParts);
  return shares;
}

void Breakdown::on_request(const RequestRow& row) {
  if (row.outcome != Outcome::completed) {
    accounts_.erase(to_number(row.id));
    return;
  }
  RequestRow& kept = ended_[to_number(row.id)] = row;
  kept.details = nullptr;  // it does not live as long
}

void Breakdown::finish() {
  std::vector<RequestRow> left;
  for (const auto& [id, row] : ended_) left.push_back(row);
  std::sort(left.begin(), left.end(), [](const RequestRow& a, const RequestRow& b) { return a.id < b.id; });
  for (const RequestRow& row : left) close(row);
  ended_.clear();
  accounts_.clear();
}

void Breakdown::close(const RequestRow& row) {
  const auto at = accounts_.find(to_number(row.id));
  KVCAST_CHECK(at != accounts_.end());
  Account& account = at->second;
  const Duration after = options_.frontend_after;
  KVCAST_CHECK(account.has_first && account.first_end + after == row.first_token);
  KVCAST_CHECK(account.until + after == row.last_token);

  TimeParts before{};
  const Duration on_the_way = row.received - row.arrival;
  const Duration frontend =
      options_.frontend_before ? std::min(on_the_way, options_.frontend_before(row.input)) : Duration{};
  const std::int64_t waited = (account.planned - row.received).count();
  const std::int64_t loading = std::min(waited, account.loading_before_ns);
  KVCAST_CHECK(waited >= 0 && account.device >= account.planned);
  before[index_of(TimePart::frontend)] = (frontend + after).count();
  before[index_of(TimePart::router)] = (on_the_way - frontend).count();
  before[index_of(TimePart::tier_load)] = loading;
  before[index_of(TimePart::queue)] = waited - loading;
  before[index_of(TimePart::launch)] = (account.device - account.planned).count();

  RequestTime time;
  time.id = row.id;
  time.replica = row.replica;
  time.arrival = row.arrival;
  time.first_token = row.first_token;
  time.last_token = row.last_token;
  time.input = row.input;
  time.output = row.output;
  time.cached = row.cached;
  time.preemptions = row.preemptions;
  for (std::size_t i = 0; i < kTimeParts; ++i) {
    time.ttft[i] = account.first[i] + before[i];
    time.e2el[i] = account.parts[i] + before[i];
  }
  KVCAST_CHECK(sum_of(time.ttft) == time.ttft_ns());
  KVCAST_CHECK(sum_of(time.e2el) == time.e2el_ns());
  requests_.push_back(time);
  accounts_.erase(at);
  closed_.insert(to_number(row.id));
}

// ---- Statistics

namespace {

enum class Metric : std::uint8_t { ttft, tpot, e2el };
constexpr std::array<std::string_view, 3> kMetricNames = {"ttft", "tpot", "e2el"};

std::int64_t value_of(const RequestTime& request, Metric metric) {
  return metric == Metric::ttft   ? request.ttft_ns()
         : metric == Metric::tpot ? request.tpot_ns()
                                  : request.e2el_ns();
}

TimeParts parts_of(const RequestTime& request, Metric metric) {
  return metric == Metric::ttft ? request.ttft : metric == Metric::tpot ? request.tpot() : request.e2el;
}

/// Ranks of the requests around a percentile: [first, last].
std::pair<std::size_t, std::size_t> ranks_around(double percentile, std::size_t count) {
  constexpr double kHalfWidth = 0.5;
  constexpr std::size_t kRequestsMax = 1000;
  const auto last = static_cast<double>(count - 1);
  const auto rank = [last](double percent) { return percent / 100 * last; };
  const auto nearest = static_cast<std::size_t>(std::llround(rank(percentile)));
  const double low = std::ceil(rank(percentile - kHalfWidth));
  const double high = std::floor(rank(percentile + kHalfWidth));
  if (low > high) return {nearest, nearest};
  auto from = static_cast<std::size_t>(low), to = static_cast<std::size_t>(high);
  if (to - from >= kRequestsMax) {
    from = std::max(from, nearest - kRequestsMax / 2);
    to = std::min(to, from + kRequestsMax - 1);
  }
  return {from, to};
}

ExplainedStatistic explain(const std::vector<const RequestTime*>& sorted, Metric metric,
                           std::string_view statistic, std::size_t from, std::size_t to) {
  ExplainedStatistic explained;
  explained.metric = kMetricNames[static_cast<std::size_t>(metric)];
  explained.statistic = statistic;
  explained.requests = static_cast<std::int64_t>(to - from + 1);
  TimeParts sums{};
  for (std::size_t i = from; i <= to; ++i) {
    const TimeParts parts = parts_of(*sorted[i], metric);
    for (std::size_t p = 0; p < kTimeParts; ++p) sums[p] += parts[p];
  }
  explained.total_ns = sum_of(sums) / explained.requests;
  divide(explained.total_ns, sums.data(), explained.parts.data(), kTimeParts);
  return explained;
}

}  // namespace

std::vector<ExplainedStatistic> explain_statistics(const std::vector<RequestTime>& requests) {
  std::vector<ExplainedStatistic> all;
  for (const Metric metric : {Metric::ttft, Metric::tpot, Metric::e2el}) {
    std::vector<const RequestTime*> sorted;
    for (const RequestTime& request : requests) {
      if (metric != Metric::tpot || request.output > Tokens{1}) sorted.push_back(&request);
    }
    if (sorted.empty()) continue;
    std::sort(sorted.begin(), sorted.end(), [metric](const RequestTime* a, const RequestTime* b) {
      const std::int64_t left = value_of(*a, metric), right = value_of(*b, metric);
      return left != right ? left < right : a->id < b->id;
    });
    all.push_back(explain(sorted, metric, "mean", 0, sorted.size() - 1));
    for (const auto& [name, percentile] : {std::pair{"p50", 50.0}, {"p90", 90.0}, {"p99", 99.0}}) {
      const auto [from, to] = ranks_around(percentile, sorted.size());
      all.push_back(explain(sorted, metric, name, from, to));
    }
  }
  return all;
}

}  // namespace kvcast
