#include "sim/app/vllm_decisions.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "sim/app/block_rules.h"
#include "sim/base/config.h"
#include "sim/kv/allocators.h"
#include "sim/kv/cached_blocks.h"
#include "workloads/lines.h"

namespace kvcast {
namespace {

using Json = nlohmann::json;

/// The logs' clock: a tick a step, or whole microseconds by formula. Rounding to microseconds makes it affine
/// for one step at a time only.
class LogTimer final : public StepTimer {
 public:
  explicit LogTimer(const Json& clock) : ticks_(clock.at("unit") == "tick") {
    if (ticks_) return;
    base_us_ = clock.at("base_us");
    us_per_token_ = clock.at("us_per_token");
    ns_per_context_token_ = clock.at("ns_per_context_token");
  }
  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    const std::int64_t context = shape.decode_context + shape.prefill_context;
    const std::int64_t us =
        ticks_ ? 1 : base_us_ + us_per_token_ * shape.tokens + (ns_per_context_token_ * context + 500) / 1000;
    return {FineDuration{(us * 1000) << kFineBits}, 0, 0};
  }
  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override {
    StepShape shape;
    shape.tokens = shape.sampled = shape.decode_seqs = seqs;
    shape.decode_context = context;
    DecodeLine line;
    line.base = step(shape);
    if (!ticks_) line.context_max = context;
    return line;
  }

 private:
  bool ticks_;
  std::int64_t base_us_ = 0, us_per_token_ = 0, ns_per_context_token_ = 0;
};

/// The logs' scripted drafter: acceptance by a hash of request and output position.
class LogSpeculation final : public Speculation {
 public:
  explicit LogSpeculation(const Json& header)
      : tokens_max_(header.at("num_spec_tokens")), eagle_(header.at("spec_method") == "eagle") {}
  [[nodiscard]] std::int64_t tokens_max() const override { return tokens_max_; }
  [[nodiscard]] std::int64_t accepted(RequestId id, std::int64_t outputs,
                                      std::int64_t drafts) const override {
    return std::min(mix(id, outputs, 1) % (tokens_max_ + 1), drafts);
  }
  [[nodiscard]] std::int64_t proposed(RequestId id, std::int64_t outputs) const override {
    return eagle_ ? tokens_max_ : mix(id, outputs, 2) % (tokens_max_ + 1);
  }
  [[nodiscard]] bool needs_lookahead() const override { return eagle_; }

 private:
  static std::int64_t mix(RequestId id, std::int64_t j, std::uint32_t c) {
    std::uint32_t x = static_cast<std::uint32_t>(to_number(id)) * 2654435761U +
                      static_cast<std::uint32_t>(j) * 2246822519U + c * 3266489917U;
    x ^= x >> 15U;
    x *= 2246822519U;
    x ^= x >> 13U;
    return x;
  }
  std::int64_t tokens_max_;
  bool eagle_;
};

struct Log {
  std::string path;
  Json header;
  std::vector<Json> requests;
  std::vector<Json> steps;
  Json summary;
};

Log read_log(const std::string& path) {
  Log log;
  log.path = path;
  LineReader lines(file_on_disk(path));
  while (lines.next()) {
    Json json = Json::parse(lines.text(), nullptr, false);
    if (!json.is_object()) lines.fail("not a JSON object");
    const std::string type = json.value("type", "");
    if (type == "header") {
      log.header = std::move(json);
    } else if (type == "summary") {
      log.summary = std::move(json);
    } else {
      (json.contains("arr") ? log.requests : log.steps).push_back(std::move(json));
    }
  }
  if (log.header.is_null() || log.summary.is_null()) {
    throw InputError(path + ":1:1: a decision log has a header and a summary line", ExitCode::bad_data);
  }
  return log;
}

EngineVersion version_of(const Json& header) {
  return parse_engine_version(header.at("vllm_version").get<std::string>());
}

AllocatorMaker allocator_of(const Json& h, EngineVersion version) {
  std::vector<KvGroup> groups;
  for (const Json& g : h.at("kv_groups")) {
    KvGroup group;
    group.block_size = g.at("block_size");
    if (g.at("kind") == "sliding") group.window = g.at("window");
    if (g.contains("admission_cap_blocks") && !g.at("admission_cap_blocks").is_null())
      group.admission_blocks = g.at("admission_cap_blocks");
    groups.push_back(group);
  }
  CachedBlocksSettings settings = vllm_block_rules(std::move(groups), h.at("enable_prefix_caching"), version);
  const Json& retention = h.at("prefix_cache_retention_interval");
  settings.retention_interval =
      retention.is_null() ? std::nullopt : std::optional<std::int64_t>(retention.get<std::int64_t>());
  settings.drop_last_block = h.at("eagle_block_drop");
  Config none = Config::empty("header");
  return make_paged(none, settings);
}

ClusterSetup setup_of(const Log& log, const Speculation* speculation, StepPath path) {
  const Json& h = log.header;
  const EngineVersion version = version_of(h);
  std::string yaml = "max_num_batched_tokens: " + h.at("max_num_scheduled_tokens").dump() + "\n";
  for (const char* key : {"max_num_seqs", "long_prefill_token_threshold", "enable_chunked_prefill",
                          "scheduler_reserve_full_isl", "watermark", "max_num_active_seqs",
                          "long_prefill_token_threshold_adaptive"}) {
    if (h.contains(key) && !h.at(key).is_null()) yaml += std::string(key) + ": " + h.at(key).dump() + "\n";
  }
  Config engine = Config::from_text(yaml, log.path);
  ClusterSetup setup;
  setup.engine.max_model_len = Tokens{h.at("max_model_len").get<std::int64_t>()};
  EngineDefaults defaults;
  defaults.max_model_len = setup.engine.max_model_len;
  defaults.version = version;
  setup.engine.scheduler = make_vllm_v1(engine, defaults);
  setup.engine.order =
      queue_order_catalog().find(h.at("policy").get<std::string>(), log.path + ":1:1").make(engine);
  setup.engine.allocator = allocator_of(h, version);
  setup.engine.pool = {Blocks{h.at("usable_blocks").get<std::int64_t>()},
                       Tokens{h.at("block_size").get<std::int64_t>()}};
  setup.engine.path = path;
  setup.engine.batch = vllm_batch_rules(version);
  setup.engine.batch.asynchronous = h.at("async_scheduling");
  setup.engine.batch.speculation = speculation;
  Config cluster = Config::empty(log.path);
  setup.router = make_round_robin(cluster);
  return setup;
}

/// Requests from memory, in order of (arrival, id).
class LogSource final : public RequestSource {
 public:
  explicit LogSource(const Log& log) : log_(log), order_(log.requests.size()) {
    for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = i;
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return arrival(a) < arrival(b); });
  }
  [[nodiscard]] std::optional<Instant> next_arrival() override {
    if (next_ == order_.size()) return std::nullopt;
    return arrival(order_[next_]);
  }
  [[nodiscard]] Request take() override {
    const std::size_t i = order_[next_++];
    const Json& r = log_.requests[i];
    Request request;
    request.arrival = arrival(i);
    request.id = static_cast<RequestId>(r.at("r").get<std::uint64_t>());
    request.input = Tokens{r.at("in").get<std::int64_t>()};
    request.output = Tokens{r.at("out").get<std::int64_t>()};
    request.priority = r.value("prio", 0);
    request.details = std::make_unique<RequestDetails>();
    for (const Json& part : r.at("seg")) {
      const std::int64_t count = part.size() > 2 ? part[2].get<std::int64_t>() : 1;
      for (std::int64_t k = 0; k < count; ++k) {
        request.details->content.push_back({static_cast<std::uint64_t>(part[0].get<std::int64_t>() + k),
                                            Tokens{part[1].get<std::int64_t>()}});
      }
    }
    request.details->output_segment = static_cast<std::uint64_t>(-(r.at("r").get<std::int64_t>() + 1));
    return request;
  }

 private:
  [[nodiscard]] Instant arrival(std::size_t i) const {
    constexpr std::int64_t kUnitNs = 1000;
    return kStart + Duration{log_.requests[i].at("arr").get<std::int64_t>() * kUnitNs};
  }
  const Log& log_;
  std::vector<std::size_t> order_;
  std::size_t next_ = 0;
};

struct Capture final : public StepObserver, public RequestObserver {
  void on_step(const StepRecord& step) override { steps.push_back(step); }
  void on_request(const RequestRow& row) override {
    rows[to_number(row.id)] = row;
    rows[to_number(row.id)].details = nullptr;
  }
  std::vector<StepRecord> steps;
  std::map<std::uint64_t, RequestRow> rows;
  RunRecord record;
};

Capture replay(const Log& log, StepPath path) {
  std::unique_ptr<LogSpeculation> speculation;
  if (!log.header.at("spec_method").is_null()) speculation = std::make_unique<LogSpeculation>(log.header);
  const ClusterSetup setup = setup_of(log, speculation.get(), path);
  Capture capture;
  RunHooks hooks;
  hooks.requests = &capture;
  if (path == StepPath::step_by_step) hooks.steps = &capture;
  const LogTimer timer(log.header.at("clock"));
  capture.record = run(
      setup, [&] { return std::make_unique<LogSource>(log); }, timer, hooks);
  return capture;
}

std::int64_t unit(Instant at) { return at == kNever ? -1 : at.time_since_epoch().count() / 1000; }

/// One step in one line, with the short form of continued requests written out. `computed` carries what that
/// form leaves out.
std::string words(const Json& step, bool asynchronous, std::map<std::int64_t, std::int64_t>& computed) {
  std::string text = "i=" + step.at("i").dump() + " t=" + step.at("t").dump();
  if (asynchronous) text += " g=" + step.at("g").dump() + " u=" + step.at("u").dump();
  text += " s=";
  for (const Json& entry : step.at("s")) {
    const bool is_short = entry.is_number();
    const std::int64_t r = is_short ? entry.get<std::int64_t>() : entry[0].get<std::int64_t>();
    const std::int64_t n = is_short ? 1 : entry[1].get<std::int64_t>();
    const std::int64_t held = is_short ? computed[r] : entry[2].get<std::int64_t>();
    computed[r] = held + n;
    text += std::to_string(r) + ":" + std::to_string(n) + "@" + std::to_string(held);
    if (!is_short && entry.size() > 3) text += "+" + entry[3].dump();
    text += " ";
  }
  const auto list = [&](const char* key) { return step.contains(key) ? step.at(key).dump() : "[]"; };
  text += "p=" + list("p") + " fs=" + step.at("fs").dump() + " R=" + step.at("R").dump() +
          " W=" + step.at("W").dump();
  if (step.contains("sp")) text += " sp=" + list("sp");
  return text + " f=" + list("f") + " fu=" + step.at("fu").dump();
}

std::string ids(const std::vector<RequestId>& list) {
  Json json = Json::array();
  for (const RequestId id : list) json.push_back(to_number(id));
  return json.dump();
}

std::string words(const StepRecord& step, bool asynchronous) {
  std::string text = "i=" + std::to_string(step.index) + " t=" + std::to_string(unit(step.begin));
  if (asynchronous)
    text += " g=" + std::to_string(unit(step.device_begin)) + " u=" + std::to_string(step.output_known);
  text += " s=";
  for (const StepRecord::Entry& e : step.scheduled) {
    text += std::to_string(to_number(e.id)) + ":" + std::to_string(e.n) + "@" + std::to_string(e.computed);
    if (e.admitted) text += "+" + std::to_string(e.computed);
    text += " ";
  }
  text += "p=" + ids(step.preempted) + " fs=" + std::to_string(step.free_scheduled.value) +
          " R=" + std::to_string(step.running) + " W=" + std::to_string(step.waiting);
  if (!step.drafted.empty()) {
    Json drafted = Json::array();
    for (const StepRecord::Drafted& d : step.drafted)
      drafted.push_back({to_number(d.id), d.scheduled, d.accepted});
    text += " sp=" + drafted.dump();
  }
  return text + " f=" + ids(step.finished) + " fu=" + std::to_string(step.free_updated.value);
}

/// A log that was cut shows an engine that repeats itself for ever; kvcast stops at the first repetition and
/// says so.
bool endless(const Log& log) { return !log.header.at("cut_after_steps").is_null(); }

std::optional<LogDifference> compare_steps(const Log& log, const Capture& capture) {
  constexpr std::size_t kContext = 3;
  const bool asynchronous = log.header.at("async_scheduling");
  std::map<std::int64_t, std::int64_t> computed;
  std::vector<std::string> context;
  for (std::size_t i = 0; i < std::max(log.steps.size(), capture.steps.size()); ++i) {
    if (endless(log) && i == capture.steps.size()) return std::nullopt;
    const std::string expected =
        i < log.steps.size() ? words(log.steps[i], asynchronous, computed) : "(no step)";
    const std::string made = i < capture.steps.size() ? words(capture.steps[i], asynchronous) : "(no step)";
    if (expected != made) return LogDifference{"step " + std::to_string(i), expected, made, context};
    if (context.size() == kContext) context.erase(context.begin());
    context.push_back(expected);
  }
  return std::nullopt;
}

/// The first of several comparisons that fails.
class Comparison {
 public:
  void equal(const std::string& where, std::int64_t expected, std::int64_t made) {
    if (!difference_ && expected != made)
      difference_ = LogDifference{where, std::to_string(expected), std::to_string(made), {}};
  }
  [[nodiscard]] const std::optional<LogDifference>& difference() const { return difference_; }

 private:
  std::optional<LogDifference> difference_;
};

/// What a log says twice must agree: a number that was changed shows here if nowhere else.
std::optional<LogDifference> compare_header(const Log& log) {
  const Json& h = log.header;
  const Json& s = log.summary;
  Comparison c;
  const auto at = [](const Json& json, const char* key) { return json.at(key).get<std::int64_t>(); };
  c.equal("header, num_requests", at(h, "num_requests"), static_cast<std::int64_t>(log.requests.size()));
  c.equal("header, usable_blocks", at(h, "usable_blocks"), at(h, "num_gpu_blocks") - 1);
  c.equal("header, watermark_blocks", at(h, "watermark_blocks"),
          static_cast<std::int64_t>(h.at("watermark").get<double>() *
                                    static_cast<double>(at(h, "num_gpu_blocks"))));
  for (std::size_t r = 0; r < log.requests.size(); ++r) {
    const std::string where = "request " + std::to_string(r);
    c.equal(where + ", r", at(log.requests[r], "r"), static_cast<std::int64_t>(r));
    std::int64_t content = 0;
    for (const Json& part : log.requests[r].at("seg")) {
      content += part[1].get<std::int64_t>() * (part.size() > 2 ? part[2].get<std::int64_t>() : 1);
    }
    c.equal(where + ", prompt tokens", at(log.requests[r], "in"), content);
  }
  if (h.at("enable_prefix_caching")) {
    std::int64_t unit = 1;
    std::int64_t hash_unit = 0;
    for (const Json& g : h.at("kv_groups")) {
      unit = std::lcm(unit, at(g, "block_size"));
      hash_unit = std::gcd(hash_unit, at(g, "block_size"));
    }
    c.equal("header, scheduler_block_size", at(h, "scheduler_block_size"), unit);
    c.equal("header, hash_block_size", at(h, "hash_block_size"), hash_unit);
  }
  c.equal("summary, steps", at(s, "steps"), static_cast<std::int64_t>(log.steps.size()));
  return c.difference();
}

/// First-token and finish steps, and tokens from the cache, as the steps tell them.
void compare_step_numbers(const Log& log, const Capture& capture, Comparison& c) {
  const Json& s = log.summary;
  std::vector<std::int64_t> first(log.requests.size(), -1);
  std::vector<std::int64_t> finish(log.requests.size(), -1);
  std::vector<bool> admitted(log.requests.size(), false);
  std::int64_t cached_first = 0;
  std::int64_t cached_again = 0;
  for (const StepRecord& step : capture.steps) {
    for (const StepRecord::Entry& entry : step.scheduled) {
      const std::uint64_t r = to_number(entry.id);
      if (first[r] < 0 && entry.computed + entry.n >= log.requests[r].at("in").get<std::int64_t>())
        first[r] = step.index;
      if (!entry.admitted) continue;
      (admitted[r] ? cached_again : cached_first) += entry.computed;
      admitted[r] = true;
    }
    for (const RequestId id : step.finished) finish[to_number(id)] = step.index;
  }
  for (std::size_t r = 0; r < log.requests.size(); ++r) {
    const std::string where = "request " + std::to_string(r);
    c.equal(where + ", first token's step", s.at("first_token_step")[r].get<std::int64_t>(), first[r]);
    c.equal(where + ", last token's step", s.at("finish_step")[r].get<std::int64_t>(), finish[r]);
  }
  c.equal("cached tokens at first admissions", s.at("cached_tokens_first_admission").get<std::int64_t>(),
          cached_first);
  c.equal("cached tokens at readmissions", s.at("cached_tokens_readmission").get<std::int64_t>(),
          cached_again);
}

/// The run as a whole: what the summary line says.
std::optional<LogDifference> compare_summary(const Log& log, const Capture& capture) {
  const Json& s = log.summary;
  const RunRecord& record = capture.record;
  Comparison c;
  c.equal("stuck", s.at("stuck").get<bool>() ? 1 : 0, record.stuck ? 1 : 0);
  if (endless(log)) return c.difference();
  c.equal("preemptions", s.at("preemptions").get<std::int64_t>(), record.preemptions);
  c.equal("unfinished requests", static_cast<std::int64_t>(s.at("unfinished").size()), record.unfinished);
  c.equal("rejected requests", static_cast<std::int64_t>(s.at("rejected").size()), record.rejected_too_long);
  c.equal("least free blocks", s.at("min_free_blocks").get<std::int64_t>(),
          log.header.at("usable_blocks").get<std::int64_t>() - record.blocks_used_max);
  std::int64_t prompt_tokens = 0;
  std::int64_t output_tokens = 0;
  std::int64_t preempted = 0;
  for (std::size_t r = 0; r < log.requests.size(); ++r) {
    const auto found = capture.rows.find(r);
    const RequestRow row = found == capture.rows.end() ? RequestRow{} : found->second;
    const auto at = [&](const char* key) { return s.at(key)[r].get<std::int64_t>(); };
    const std::string where = "request " + std::to_string(r) + ", ";
    c.equal(where + "first token", at("first_token_time"), unit(row.first_token));
    c.equal(where + "finish", at("finish_time"), unit(row.last_token));
    c.equal(where + "preemptions", at("num_preemptions"), row.preemptions);
    c.equal(where + "output tokens", at("num_output"), row.output.value);
    c.equal(where + "cached tokens", at("cached_tokens"), row.scheduled == kNever ? -1 : row.cached.value);
    output_tokens += row.output.value;
    preempted += row.preemptions > 0 ? 1 : 0;
    prompt_tokens += log.requests[r].at("in").get<std::int64_t>();
  }
  c.equal("prompt tokens", s.at("prompt_tokens").get<std::int64_t>(), prompt_tokens);
  c.equal("output tokens", s.at("output_tokens").get<std::int64_t>(), output_tokens);
  c.equal("preempted requests", s.at("preempted_requests").get<std::int64_t>(), preempted);
  if (record.unfinished == 0)
    c.equal("end time", s.at("end_time").get<std::int64_t>(), unit(record.last_token));
  if (!capture.steps.empty()) compare_step_numbers(log, capture, c);
  return c.difference();
}

}  // namespace

LogCheck check_vllm_log(const std::string& path) {
  const Log log = read_log(path);
  LogCheck check;
  check.name = log.header.at("case");
  check.engine = "vLLM " + log.header.at("vllm_version").get<std::string>();
  check.requests = static_cast<std::int64_t>(log.requests.size());
  check.difference = compare_header(log);
  if (check.difference) return check;
  const Capture stepped = replay(log, StepPath::step_by_step);
  check.steps = static_cast<std::int64_t>(stepped.steps.size());
  check.difference = compare_steps(log, stepped);
  if (!check.difference) check.difference = compare_summary(log, stepped);
  const Capture closed = replay(log, StepPath::closed_form);
  check.steps_grouped = closed.record.steps.grouped;
  if (!check.difference) {
    check.difference = compare_summary(log, closed);
    if (check.difference) check.difference->where += " (closed form)";
  }
  if (stepped.record.stuck)
    check.note = "the engine hangs: request " + std::to_string(to_number(stepped.record.stuck_request)) +
                 " blocks the queue";
  return check;
}

}  // namespace kvcast
