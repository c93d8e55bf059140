#include <cmath>
#include <memory>
#include <span>
#include <utility>

#include "sim/base/error.h"
#include "sim/sglang/decision_lines.h"
#include "sim/sglang/log_file.h"
#include "sim/sglang/sglang_engine.h"

namespace kvcast::sglang {
namespace {

constexpr std::int64_t kTokensMax = std::int64_t{1} << 30;  // of a prompt, an output or a pool

/// The logs' clock: base + per_token * new tokens + per_context_token * lengths after the step, nanoseconds.
class LogClock final : public StepTimer {
 public:
  explicit LogClock(const LogFile& log) {
    const Json clock = field<Json>(log, 1, log.header, "clock");
    if (field<std::string>(log, 1, clock, "unit") != "ns")
      bad_log(log.name, 1, "the clock's unit must be ns");
    base_ = field<std::int64_t>(log, 1, clock, "base");
    per_token_ = field<std::int64_t>(log, 1, clock, "per_token");
    per_context_token_ = field<std::int64_t>(log, 1, clock, "per_context_token");
    const auto within = [](std::int64_t value, std::int64_t least, std::int64_t most) {
      return value >= least && value <= most;
    };
    if (!within(base_, 1, 1'000'000'000) || !within(per_token_, 0, 1'000'000) ||
        !within(per_context_token_, 0, 1000)) {
      bad_log(log.name, 1,
              "the clock needs a base of 1 to 1e9 ns, at most 1e6 ns a token and 1000 ns a context token");
    }
  }
  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    return cost(base_ + per_token_ * shape.tokens +
                per_context_token_ * (shape.decode_context + shape.prefill_context));
  }
  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t /*context*/) const override {
    DecodeLine line;
    line.base = cost(base_ + per_token_ * seqs);
    line.per_context_token = cost(per_context_token_);
    return line;
  }

 private:
  [[nodiscard]] static StepCost cost(std::int64_t ns) { return {FineDuration{ns << kFineBits}, 0, 0}; }

  std::int64_t base_ = 0;
  std::int64_t per_token_ = 0;
  std::int64_t per_context_token_ = 0;
};

/// The log's requests, in order of arrival.
class LogSource final : public RequestSource {
 public:
  explicit LogSource(const LogFile& log) : log_(log) {}
  [[nodiscard]] std::optional<Instant> next_arrival() override {
    if (next_ == log_.requests.size()) return std::nullopt;
    const Instant at = kStart + Duration{number("t")};
    if (at < last_) bad_log(log_.name, line().number, "\"t\": earlier than the request before");
    return at;
  }
  [[nodiscard]] Request take() override {
    Request request;
    request.arrival = last_ = *next_arrival();
    if (number("i") != static_cast<std::int64_t>(next_))
      bad_log(log_.name, line().number, "\"i\" must count up from 0");
    request.id = static_cast<RequestId>(next_);
    request.output = Tokens{number("o")};
    request.output_limit = Tokens{number("m")};
    request.details = std::make_unique<RequestDetails>();
    for (const auto& [segment, length] :
         field<std::vector<std::pair<std::uint64_t, std::int64_t>>>(log_, line().number, line().json, "p")) {
      if (length < 1 || length > kTokensMax)
        bad_log(log_.name, line().number, "\"p\": lengths must be between 1 and 2^30");
      request.details->content.push_back({segment, Tokens{length}});
      request.input += Tokens{length};
    }
    for (const Tokens tokens : {request.input, request.output, request.output_limit}) {
      if (tokens < Tokens{1} || tokens > Tokens{kTokensMax})
        bad_log(log_.name, line().number, "prompt, \"o\" and \"m\" must be between 1 and 2^30");
    }
    ++next_;
    return request;
  }

 private:
  [[nodiscard]] const LogLine& line() const { return log_.requests[next_]; }
  [[nodiscard]] std::int64_t number(const char* key) const {
    return field<std::int64_t>(log_, line().number, line().json, key);
  }

  const LogFile& log_;
  std::size_t next_ = 0;
  Instant last_ = kStart;
};

/// The header's members, with what must hold between them.
class Header {
 public:
  explicit Header(const LogFile& log) : log_(log) {}

  template <class T>
  [[nodiscard]] T get(const char* key) const {
    return field<T>(log_, 1, log_.header, key);
  }
  [[nodiscard]] std::int64_t at_least(std::int64_t least, const char* key) const {
    const auto value = get<std::int64_t>(key);
    if (value < least)
      bad_log(log_.name, 1, std::string("\"") + key + "\" must be at least " + std::to_string(least));
    return value;
  }
  void need(bool holds, const char* what) const {
    if (!holds) bad_log(log_.name, 1, what);
  }

  [[nodiscard]] NewTokenRatio new_token_ratio() const {
    const NewTokenRatio ratio = NewTokenRatio::of(get<double>("schedule_conservativeness"));
    const Json written = get<Json>("new_token_ratio");
    const auto differs = [&](const char* key, double value) {
      return std::abs(field<double>(log_, 1, written, key) - value) > 1e-12;
    };
    need(!differs("init", ratio.start) && !differs("min", ratio.floor) && !differs("decay", ratio.decay),
         "\"new_token_ratio\" does not follow from \"schedule_conservativeness\"");
    return ratio;
  }

  [[nodiscard]] SglangSettings settings() const {
    SglangSettings s;
    s.schedule_policy =
        sglang_policy_catalog().find(get<std::string>("schedule_policy"), log_.name + ":1").make;
    s.new_token_ratio = new_token_ratio();
    const auto chunk = get<std::int64_t>("chunked_prefill_size");
    need(chunk == -1 || chunk >= 1, "\"chunked_prefill_size\" must be at least 1, or -1");
    s.chunked_prefill_size = chunk > 0 ? std::optional(chunk) : std::nullopt;
    s.max_prefill_tokens = at_least(1, "max_prefill_tokens");
    s.max_running_requests = at_least(1, "max_running_requests");
    s.enable_mixed_chunk = get<bool>("enable_mixed_chunk");
    const auto loop = get<std::string>("loop");
    need(loop == "overlap" || loop == "normal", "\"loop\" must be \"overlap\" or \"normal\"");
    s.overlap_schedule = loop == "overlap";
    s.disable_radix_cache = get<bool>("disable_radix_cache");
    s.ignore_eos = get<bool>("ignore_eos");
    s.radix_eviction_policy = get<std::string>("radix_eviction_policy");
    s.clip_max_new_tokens = at_least(1, "clip_max_new_tokens");
    s.in_batch_prefix_check = get<std::int64_t>("in_batch_prefix_check");
    s.in_batch_prefix_deprioritize = get<std::int64_t>("in_batch_prefix_deprioritize");
    s.lpm_fallback_waiting = get<std::int64_t>("lpm_fallback_waiting");
    s.retract_decode_steps = at_least(1, "retract_decode_steps");
    need(get<std::string>("retraction_policy") == "length", "\"retraction_policy\" must be \"length\"");
    need(get<std::int64_t>("prefill_decode_interval") == 0, "\"prefill_decode_interval\" must be 0");
    const auto base = get<std::uint64_t>("output_segment_base");
    s.output_segment = [base](const Request& request) { return base + to_number(request.id); };
    return s;
  }

  [[nodiscard]] EngineSetup engine() const {
    EngineSetup engine;
    const std::int64_t page = at_least(1, "page_size");
    const std::int64_t pool = at_least(page, "pool_tokens");
    need(pool <= kTokensMax, "\"pool_tokens\" must be at most 2^30");
    need(pool % page == 0, "\"pool_tokens\" must be a multiple of \"page_size\"");
    engine.pool = {Blocks{pool / page}, Tokens{page}};
    engine.max_model_len = Tokens{at_least(2, "context_len")};
    need(get<std::int64_t>("max_req_len") == std::min(engine.max_model_len.value, pool) - 1,
         "\"max_req_len\" must be min(context_len, pool_tokens) - 1");
    need(get<std::int64_t>("requests") == std::ssize(log_.requests),
         "\"requests\" differs from the number of requests in the log");
    return engine;
  }

 private:
  const LogFile& log_;
};

class OneReplica final : public Router {
 public:
  [[nodiscard]] std::optional<ReplicaId> pick(const Request& /*request*/,
                                              std::span<const ReplicaLoad> /*loads*/) override {
    return ReplicaId{0};
  }
  [[nodiscard]] RouterNeeds needs() const override { return {}; }
};

}  // namespace

void replay_scheduler(const LogFile& log, StepPath path, DecisionReplay& result) {
  const Header header(log);
  LogComparison comparison(log);
  SglangDecisionLines lines([&](const std::string& line) { comparison.add(Json::parse(line)); });
  SglangSettings settings = header.settings();
  settings.observer = [&](ReplicaId) { return &lines; };
  ClusterSetup setup;
  setup.engine = header.engine();
  setup.engine.make = make_sglang_engine(std::move(settings));
  setup.engine.path = path;
  setup.router = [](const RouterSetup&) { return std::make_unique<OneReplica>(); };
  const LogClock clock(log);
  const RunHooks none;
  static_cast<void>(run(
      setup, [&] { return std::make_unique<LogSource>(log); }, clock, none));
  lines.end();
  comparison.end();
  result.decisions = comparison.compared();
  result.steps = lines.steps();
  result.steps_in_runs = lines.steps_in_runs();
  result.difference = comparison.difference();
}

}  // namespace kvcast::sglang
