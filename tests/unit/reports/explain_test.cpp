#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "reports/explain_report.h"

using namespace kvcast;
using Json = nlohmann::json;

namespace {

/// Steps of the length of their tokens.
class LengthTimer final : public StepTimer {
 public:
  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    return {FineDuration{shape.tokens << kFineBits}, 0, 0};
  }
  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t /*context*/) const override {
    DecodeLine line;
    line.base = step({.tokens = seqs});
    return line;
  }
  [[nodiscard]] StepParts parts(const StepShape& shape) const override {
    StepParts parts;
    const std::int64_t time = step(shape).time.count();
    parts.time_of(StepPart::communication) = time / 4;
    parts.time_of(StepPart::weights) = time - time / 4;
    return parts;
  }
};

Instant at(std::int64_t ns) { return kStart + Duration{ns}; }

StepRecord step_of(std::int64_t index, std::int64_t begin, std::int64_t end,
                   std::vector<StepRecord::Entry> scheduled) {
  StepRecord step;
  step.replica = ReplicaId{0};
  step.index = index;
  step.begin = step.device_begin = at(begin);
  step.device_end = at(end);
  step.scheduled = std::move(scheduled);
  step.shape.tokens = end - begin;
  return step;
}

RequestRow row_of(std::uint64_t id, std::int64_t arrival, std::int64_t received, std::int64_t scheduled) {
  RequestRow row;
  row.id = static_cast<RequestId>(id);
  row.arrival = at(arrival);
  row.received = at(received);
  row.scheduled = at(scheduled);
  return row;
}

/// Two requests: one preempted between its steps, one with a gap.
StepTrace traced(const StepTimer& timer, const TraceWindow& window) {
  StepTrace trace(timer, window);
  const RequestId one{1}, two{2};
  trace.on_step(step_of(0, 1000, 2500, {{one, 40, 0, true, 0, true}}));
  trace.on_step(step_of(1, 2500, 3000, {{one, 1, 40, false, 0, true}, {two, 10, 0, true, 0, true}}));
  StepRecord preempting = step_of(2, 3000, 3500, {{two, 1, 10, false, 0, true}});
  preempting.preempted = {one};
  trace.on_step(preempting);
  trace.on_load(ReplicaId{0}, one, at(3100), at(3400));
  trace.on_load(ReplicaId{0}, two, at(3200), at(3600));
  trace.on_step(step_of(3, 3500, 5000, {{one, 41, 0, true, 0, true}}));
  trace.on_request(row_of(1, 100, 400, 1000));
  trace.on_request(row_of(2, 2000, 2000, 2500));
  return trace;
}

/// The rules of the trace-event format that viewers depend on; what is broken, or nothing.
std::string problem_of(const Json& trace) {
  if (!trace.contains("traceEvents") || !trace["traceEvents"].is_array()) return "no traceEvents";
  using Track = std::pair<std::int64_t, std::int64_t>;
  std::map<Track, std::vector<std::pair<double, double>>> slices;
  std::map<std::pair<std::string, std::int64_t>, int> open;
  std::map<std::int64_t, std::string> processes;
  for (const Json& event : trace["traceEvents"]) {
    for (const char* key : {"ph", "name", "pid", "tid"}) {
      if (!event.contains(key)) return std::string("an event without ") + key;
    }
    const std::string phase = event["ph"];
    const std::int64_t pid = event["pid"], tid = event["tid"];
    if (phase == "M") {
      if (event["name"] == "process_name") processes[pid] = event["args"]["name"];
      continue;
    }
    if (!event.contains("ts") || !event["ts"].is_number()) return "an event without ts";
    if (phase == "X") {
      if (!event.contains("dur") || event["dur"] < 0) return "a slice without a duration";
      slices[{pid, tid}].emplace_back(event["ts"], event["ts"].get<double>() + event["dur"].get<double>());
    } else if (phase == "b" || phase == "e") {
      if (!event.contains("id") || !event.contains("cat")) return "an async event without id or cat";
      int& depth = open[{event["cat"], event["id"].get<std::int64_t>()}];
      depth += phase == "b" ? 1 : -1;
      if (depth < 0 || depth > 1) return "async events do not pair up";
    } else if (phase == "C") {
      for (const auto& [name, value] : event["args"].items())
        if (!value.is_number()) return "a counter that is no number: " + name;
    } else {
      return "unknown phase " + phase;
    }
  }
  for (const auto& [id, depth] : open) {
    if (depth != 0) return "an async event that never ends";
  }
  for (auto& [track, spans] : slices) {
    if (processes.count(track.first) == 0) return "a process without a name";
    std::sort(spans.begin(), spans.end());
    for (std::size_t i = 1; i < spans.size(); ++i) {
      const bool apart = spans[i].first >= spans[i - 1].second - 1e-6;
      const bool nested = spans[i].second <= spans[i - 1].second;
      if (!apart && !nested) return "slices of one track overlap";
    }
  }
  return "";
}

Explanation example() {
  Explanation explanation;
  std::vector<RequestTime> requests;
  for (std::int64_t i = 0; i < 200; ++i) {
    RequestTime time;
    time.id = static_cast<RequestId>(i);
    time.arrival = at(0);
    time.output = Tokens{4};
    time.ttft[static_cast<std::size_t>(TimePart::queue)] = 7 * i;
    time.ttft[static_cast<std::size_t>(TimePart::prefill_compute)] = 1000 + i;
    time.e2el = time.ttft;
    time.e2el[static_cast<std::size_t>(TimePart::hbm_weights)] = 10'001 + i;
    time.first_token = at(sum_of(time.ttft));
    time.last_token = at(sum_of(time.e2el));
    requests.push_back(time);
  }
  explanation.statistics = explain_statistics(requests);
  explanation.requests = 200;
  explanation.base.ttft_p99_ms = 2;
  explanation.base.tpot_p99_ms = 1;
  explanation.base.score = 1;
  WhatIf better = explanation.base;
  better.title = "one replica more";
  better.setting = "cluster.replicas=2";
  better.score = 0.5;
  WhatIf refused;
  refused.title = "tensor parallelism doubled";
  refused.setting = "cluster.tensor_parallel_size=2";
  refused.refusal = "5 heads do not divide over 2 ranks";
  explanation.changes = {better, refused};
  return explanation;
}

BOOST_AUTO_TEST_SUITE(explain_reports)

BOOST_AUTO_TEST_CASE(perfetto_keeps_the_rules_of_the_format) {
  const LengthTimer timer;
  const StepTrace trace = traced(timer, {});
  const Json json = Json::parse(to_perfetto(trace, 1));
  BOOST_TEST(problem_of(json) == "");
  std::multiset<std::string> names;
  for (const Json& event : json["traceEvents"]) {
    if (event["ph"] == "X" && event.value("cat", "") == "request") names.insert(event["name"]);
  }
  BOOST_TEST(names.count("to the engine") == 1U);
  BOOST_TEST(names.count("queued") == 2U);
  BOOST_TEST(names.count("prefill") == 3U);
  BOOST_TEST(names.count("decode") == 2U);
  BOOST_TEST(names.count("preempted") == 1U);
}

BOOST_AUTO_TEST_CASE(perfetto_times_are_nanoseconds_in_decimals) {
  const LengthTimer timer;
  StepTrace trace(timer, {});
  trace.on_step(step_of(0, 1'234'567, 2'000'000, {{RequestId{0}, 5, 0, true, 0, true}}));
  const std::string text = to_perfetto(trace, 1);
  BOOST_TEST(text.find("\"ts\":1234.567,\"dur\":765.433") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(traces_are_bounded) {
  const LengthTimer timer;
  TraceWindow window;
  window.requests_max = 1;
  window.steps_max = 2;
  const StepTrace few = traced(timer, window);
  BOOST_TEST(few.steps().size() == 2U);
  BOOST_TEST(few.steps_left_out() == 2);
  BOOST_TEST(few.requests_left_out() == 1);
  TraceWindow late;
  late.from = at(3200);
  late.until = at(3400);
  BOOST_TEST(traced(timer, late).steps().size() == 1U);
}

BOOST_AUTO_TEST_CASE(json_parts_sum_to_their_totals) {
  const Json json = Json::parse(explain_json(example()));
  for (const char* key :
       {"ttft_mean", "ttft_p50", "ttft_p90", "ttft_p99", "tpot_mean", "tpot_p99", "e2el_p99"}) {
    std::int64_t sum = 0;
    for (const auto& [name, value] : json[key]["parts_ns"].items()) sum += value.get<std::int64_t>();
    BOOST_TEST(sum == json[key]["total_ns"].get<std::int64_t>());
  }
  BOOST_TEST(json["what_if"]["changes"][1]["refused"] == "5 heads do not divide over 2 ranks");
}

BOOST_AUTO_TEST_CASE(the_verdict_names_the_first_change) {
  Explanation explanation = example();
  BOOST_TEST(explain_verdict(explanation).find("first change: one replica more") != std::string::npos);
  explanation.changes.front().score = 0.995;
  BOOST_TEST(explain_verdict(explanation).find("none of the changes") != std::string::npos);
  BOOST_TEST(explain_verdict(Explanation{}).find("nothing completed") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
