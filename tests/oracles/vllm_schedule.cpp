// Every decision of vLLM 0.32's own scheduler, on the logs of $KVCAST_DATA/oracles/vllm_schedule that this version of kvcast can express: synchronous, one
// full-attention group, no prefix cache, no speculation. Step by step all of it is compared; in closed form each request's times and preemptions.
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "sim/base/config.h"
#include "sim/cluster/cluster.h"
#include "sim/kv/allocators.h"
#include "tests/support/data.h"
#include "tests/support/sources.h"

namespace kvcast {
namespace {

using Json = nlohmann::json;

/// The logs' clock: a tick a step, or whole microseconds by formula. Rounding to microseconds makes it affine for one step at a time only.
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
    const std::int64_t us = ticks_ ? 1 : base_us_ + us_per_token_ * shape.tokens + (ns_per_context_token_ * context + 500) / 1000;
    return {FineDuration{(us * 1000) << kFineBits}, 0, 0};
  }
  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override {
    DecodeLine line;
    StepShape shape;
    shape.tokens = shape.sampled = shape.decode_seqs = seqs;
    shape.decode_context = context;
    line.base = step(shape);
    if (!ticks_) line.context_max = context;
    return line;
  }

 private:
  bool ticks_;
  std::int64_t base_us_ = 0, us_per_token_ = 0, ns_per_context_token_ = 0;
};

struct Log {
  Json header;
  std::vector<Json> requests;
  std::vector<Json> steps;
  Json summary;
};

Log read_log(const std::filesystem::path& path) {
  Log log;
  for (const std::string& line : test::gzip_lines(path)) {
    Json json = Json::parse(line);
    if (json.value("type", "") == "header") {
      log.header = std::move(json);
    } else if (json.value("type", "") == "summary") {
      log.summary = std::move(json);
    } else {
      (json.contains("arr") ? log.requests : log.steps).push_back(std::move(json));
    }
  }
  return log;
}

/// Why this version cannot express the log; empty: it can.
std::string beyond(const Json& header) {
  if (header.at("async_scheduling")) return "asynchronous scheduling";
  if (header.at("enable_prefix_caching")) return "prefix caching";
  if (!header.at("spec_method").is_null()) return "speculation";
  if (header.at("kv_groups").size() != 1 || header.at("kv_groups")[0].at("kind") != "full") return "sliding windows";
  return {};
}

class Capture final : public StepObserver, public RequestObserver {
 public:
  void on_step(const StepRecord& step) override { steps.push_back(step); }
  void on_request(const RequestRow& row) override { rows[to_number(row.id)] = row; }
  std::vector<StepRecord> steps;
  std::map<std::uint64_t, RequestRow> rows;
};

Capture replay(const Log& log, StepPath path, RunRecord& record) {
  const Json& h = log.header;
  std::string yaml;
  for (const char* key : {"max_num_seqs", "max_num_batched_tokens", "long_prefill_token_threshold", "enable_chunked_prefill",
                          "scheduler_reserve_full_isl", "watermark", "max_num_active_seqs", "long_prefill_token_threshold_adaptive"}) {
    if (h.at(key).is_null()) continue;
    yaml += std::string(key) + ": " + h.at(key).dump() + "\n";
  }
  Config engine = Config::from_text(yaml, "header");
  ClusterSetup setup;
  setup.engine.max_model_len = Tokens{h.at("max_model_len").get<std::int64_t>()};
  EngineDefaults defaults;
  defaults.max_model_len = setup.engine.max_model_len;
  setup.engine.scheduler = make_vllm_v1(engine, defaults);
  setup.engine.order = queue_order_catalog().find(h.at("policy").get<std::string>(), "header").make(engine);
  setup.engine.allocator = make_paged(engine);
  setup.engine.pool = {Blocks{h.at("usable_blocks").get<std::int64_t>()}, Tokens{h.at("block_size").get<std::int64_t>()}};
  setup.engine.path = path;
  Config cluster = Config::empty("cluster");
  setup.router = make_round_robin(cluster);

  const std::int64_t unit_ns = 1000;
  std::vector<Request> requests;
  for (const Json& r : log.requests) {
    Request request;
    request.arrival = kStart + Duration{r.at("arr").get<std::int64_t>() * unit_ns};
    request.id = static_cast<RequestId>(r.at("r").get<std::uint64_t>());
    request.input = Tokens{r.at("in").get<std::int64_t>()};
    request.output = Tokens{r.at("out").get<std::int64_t>()};
    request.priority = r.value("prio", 0);
    requests.push_back(std::move(request));
  }
  std::stable_sort(requests.begin(), requests.end(), [](const Request& a, const Request& b) { return a.arrival < b.arrival; });

  Capture capture;
  RunHooks hooks;
  hooks.requests = &capture;
  if (path == StepPath::step_by_step) hooks.steps = &capture;
  const LogTimer timer(h.at("clock"));
  record = run(setup, test::list_source(requests), timer, hooks);
  return capture;
}

/// One step in the logs' own words, with the short form of continued requests written out.
std::string words(const Json& step, std::map<std::int64_t, std::int64_t>& computed) {
  std::string text = "t=" + std::to_string(step.at("t").get<std::int64_t>()) + " s=";
  for (const Json& entry : step.at("s")) {
    const bool is_short = entry.is_number();
    const std::int64_t r = is_short ? entry.get<std::int64_t>() : entry[0].get<std::int64_t>();
    const std::int64_t n = is_short ? 1 : entry[1].get<std::int64_t>();
    const std::int64_t held = is_short ? computed[r] : entry[2].get<std::int64_t>();
    computed[r] = held + n;
    text += std::to_string(r) + ":" + std::to_string(n) + "@" + std::to_string(held) + (!is_short && entry.size() > 3 ? "+ " : " ");
  }
  text += "p=" + (step.contains("p") ? step.at("p").dump() : "[]") + " fs=" + step.at("fs").dump() + " R=" + step.at("R").dump() +
          " W=" + step.at("W").dump() + " f=" + (step.contains("f") ? step.at("f").dump() : "[]") + " fu=" + step.at("fu").dump();
  return text;
}

std::string ids(const std::vector<RequestId>& list) {
  Json json = Json::array();
  for (const RequestId id : list) json.push_back(to_number(id));
  return json.dump();
}

std::string words(const StepRecord& step) {
  std::string text = "t=" + std::to_string(step.begin.time_since_epoch().count() / 1000) + " s=";
  for (const StepRecord::Entry& e : step.scheduled) {
    text += std::to_string(to_number(e.id)) + ":" + std::to_string(e.n) + "@" + std::to_string(e.computed) + (e.admitted ? "+ " : " ");
  }
  return text + "p=" + ids(step.preempted) + " fs=" + std::to_string(step.free_scheduled.value) + " R=" + std::to_string(step.running) +
         " W=" + std::to_string(step.waiting) + " f=" + ids(step.finished) + " fu=" + std::to_string(step.free_updated.value);
}

void compare_steps(const Log& log, const Capture& capture) {
  std::map<std::int64_t, std::int64_t> computed;
  for (std::size_t i = 0; i < log.steps.size(); ++i) {
    // A log that was cut shows an engine that repeats itself for ever; kvcast stops at the first repetition and says so.
    if (!log.header.at("cut_after_steps").is_null() && i == capture.steps.size()) return;
    BOOST_REQUIRE_MESSAGE(i < capture.steps.size(), "kvcast made only " << capture.steps.size() << " of " << log.steps.size() << " steps");
    const std::string expected = words(log.steps[i], computed);
    const std::string made = words(capture.steps[i]);
    BOOST_REQUIRE_MESSAGE(expected == made, "step " << i << "\n  vLLM:   " << expected << "\n  kvcast: " << made);
  }
  BOOST_TEST(capture.steps.size() == log.steps.size());
}

void compare_requests(const Log& log, const Capture& capture, const RunRecord& record) {
  const Json& s = log.summary;
  if (!log.header.at("cut_after_steps").is_null()) {
    BOOST_TEST(record.stuck);
    BOOST_TEST(to_number(record.stuck_request) == s.at("unfinished")[0].get<std::uint64_t>());
    return;
  }
  BOOST_TEST(record.preemptions == s.at("preemptions").get<std::int64_t>());
  BOOST_TEST(record.unfinished == static_cast<std::int64_t>(s.at("unfinished").size()));
  BOOST_TEST(record.rejected_too_long == static_cast<std::int64_t>(s.at("rejected").size()));
  BOOST_TEST(record.stuck == s.at("stuck").get<bool>());
  const auto at = [](Instant t) { return t == kNever ? -1 : t.time_since_epoch().count() / 1000; };
  for (std::size_t r = 0; r < log.requests.size(); ++r) {
    const RequestRow& row = capture.rows.at(r);
    BOOST_REQUIRE_EQUAL(at(row.first_token), s.at("first_token_time")[r].get<std::int64_t>());
    BOOST_REQUIRE_EQUAL(at(row.last_token), s.at("finish_time")[r].get<std::int64_t>());
    BOOST_REQUIRE_EQUAL(row.preemptions, s.at("num_preemptions")[r].get<std::int64_t>());
    BOOST_REQUIRE_EQUAL(row.output.value, s.at("num_output")[r].get<std::int64_t>());
  }
}

BOOST_AUTO_TEST_SUITE(vllm_schedule)

BOOST_AUTO_TEST_CASE(every_decision_of_the_plain_logs) {
  const auto folder = test::data_folder("oracles/vllm_schedule");
  if (!folder) return;
  int replayed = 0;
  std::map<std::string, int> left_out;
  for (const auto& path : test::files_in(*folder, ".jsonl.gz")) {
    const Log log = read_log(path);
    if (const std::string why = beyond(log.header); !why.empty()) {
      ++left_out[why];
      continue;
    }
    BOOST_TEST_CONTEXT(log.header.at("case").get<std::string>()) {
      RunRecord record;
      const Capture stepped = replay(log, StepPath::step_by_step, record);
      compare_steps(log, stepped);
      compare_requests(log, stepped, record);
      const Capture closed = replay(log, StepPath::closed_form, record);
      compare_requests(log, closed, record);
    }
    ++replayed;
  }
  BOOST_TEST_MESSAGE("replayed " << replayed << " logs");
  for (const auto& [why, count] : left_out) BOOST_TEST_MESSAGE("left out " << count << ": " << why);
  BOOST_TEST(replayed >= 26);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
