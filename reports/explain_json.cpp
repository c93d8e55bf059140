// Explanations for programs: JSON and CSV, integer nanoseconds.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "reports/explain_report.h"

namespace kvcast {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, kStepParts> kStepNames = {
    "compute",         "hbm_weights", "hbm_kv",   "hbm_activations", "communication",
    "pipeline_bubble", "host",        "drafting", "unsplit"};

Json parts_of(const TimeParts& parts) {
  Json json = Json::object();
  for (std::size_t i = 0; i < kTimeParts; ++i) {
    if (parts[i] != 0) json[std::string(key_of(static_cast<TimePart>(i)))] = parts[i];
  }
  return json;
}

/// Sums to the replicas' time.
Json device_of(const Explanation& explanation) {
  const DeviceTime& device = explanation.device;
  Json parts = Json::object();
  std::int64_t idle = explanation.device_total_ns - device.copying_ns - device.awaiting_ns;
  for (std::size_t i = 0; i < kStepParts; ++i) {
    if (device.time_ns[i] != 0) parts[kStepNames[i]] = device.time_ns[i];
    idle -= device.time_ns[i];
  }
  if (device.copying_ns != 0) parts["copying"] = device.copying_ns;
  if (device.awaiting_ns != 0) parts["tier_load"] = device.awaiting_ns;
  parts["idle"] = idle;
  return {{"total_ns", explanation.device_total_ns}, {"steps", device.steps}, {"parts_ns", std::move(parts)}};
}

Json traffic_of(const DeviceTime& device) {
  Json parts = Json::object();
  Int128 total = 0;
  for (std::size_t i = 0; i < kStepParts; ++i) {
    if (device.bytes[i] != 0) parts[kStepNames[i]] = static_cast<std::int64_t>(device.bytes[i]);
    total += device.bytes[i];
  }
  return {{"total_bytes", static_cast<std::int64_t>(total)}, {"parts_bytes", std::move(parts)}};
}

Json hbm_of(const std::vector<HbmLine>& lines) {
  Json list = Json::array();
  std::int64_t total = 0;
  for (const HbmLine& line : lines) {
    total += line.bytes;
    list.push_back({{"item", line.item}, {"bytes", line.bytes}, {"source", line.source}});
  }
  return {{"total_bytes", total}, {"parts", std::move(list)}};
}

Json change_of(const WhatIf& change) {
  Json json = {{"change", change.title}, {"setting", change.setting}};
  if (!change.refusal.empty()) {
    json["refused"] = change.refusal;
    return json;
  }
  json["gpus"] = change.gpus;
  json["p99_ttft_ms"] = change.ttft_p99_ms;
  json["p99_tpot_ms"] = change.tpot_p99_ms;
  json["p99_e2el_ms"] = change.e2el_p99_ms;
  json["output_throughput"] = change.output_throughput;
  json["slo_met"] = change.slo_met;
  json["score"] = change.score;
  return json;
}

}  // namespace

std::string explain_json(const Explanation& explanation) {
  Json json = Json::object();
  for (const ExplainedStatistic& statistic : explanation.statistics) {
    json[fmt::format("{}_{}", statistic.metric, statistic.statistic)] = {
        {"requests", statistic.requests},
        {"total_ns", statistic.total_ns},
        {"parts_ns", parts_of(statistic.parts)}};
  }
  json["devices"] = device_of(explanation);
  json["hbm_traffic"] = traffic_of(explanation.device);
  if (!explanation.hbm.empty()) json["hbm"] = hbm_of(explanation.hbm);
  Json changes = Json::array();
  for (const WhatIf& change : explanation.changes) changes.push_back(change_of(change));
  json["what_if"] = {{"ranked_by", explanation.has_slo ? "largest ratio of an SLO term to its limit"
                                                       : "p99 E2EL relative to this run's"},
                     {"base", change_of(explanation.base)},
                     {"changes", std::move(changes)}};
  json["verdict"] = explain_verdict(explanation);
  return json.dump();
}

std::string explain_csv(const Explanation& explanation) {
  std::string text = "metric,statistic,requests,total_ns";
  for (std::size_t i = 0; i < kTimeParts; ++i)
    text += fmt::format(",{}_ns", key_of(static_cast<TimePart>(i)));
  text += '\n';
  for (const ExplainedStatistic& statistic : explanation.statistics) {
    text += fmt::format("{},{},{},{}", statistic.metric, statistic.statistic, statistic.requests,
                        statistic.total_ns);
    for (const std::int64_t part : statistic.parts) text += fmt::format(",{}", part);
    text += '\n';
  }
  return text;
}

std::string request_times_json(const std::vector<RequestTime>& requests) {
  std::string text;
  for (const RequestTime& time : requests) {
    Json json;
    json["id"] = to_number(time.id);
    json["replica"] = to_index(time.replica);
    json["arrival_ns"] = time.arrival.time_since_epoch().count();
    json["input_tokens"] = time.input.value;
    json["output_tokens"] = time.output.value;
    json["cached_tokens"] = time.cached.value;
    json["preemptions"] = time.preemptions;
    json["ttft"] = {{"total_ns", time.ttft_ns()}, {"parts_ns", parts_of(time.ttft)}};
    if (time.output > Tokens{1})
      json["tpot"] = {{"total_ns", time.tpot_ns()}, {"parts_ns", parts_of(time.tpot())}};
    json["e2el"] = {{"total_ns", time.e2el_ns()}, {"parts_ns", parts_of(time.e2el)}};
    text += json.dump() + "\n";
  }
  return text;
}

std::string request_times_csv(const std::vector<RequestTime>& requests) {
  std::string text =
      "id,replica,arrival_ns,input_tokens,output_tokens,cached_tokens,preemptions,ttft_ns,e2el_ns";
  for (const char* metric : {"ttft", "e2el"}) {
    for (std::size_t i = 0; i < kTimeParts; ++i)
      text += fmt::format(",{}_{}_ns", metric, key_of(static_cast<TimePart>(i)));
  }
  text += '\n';
  for (const RequestTime& time : requests) {
    text += fmt::format("{},{},{},{},{},{},{},{},{}", to_number(time.id), to_index(time.replica),
                        time.arrival.time_since_epoch().count(), time.input.value, time.output.value,
                        time.cached.value, time.preemptions, time.ttft_ns(), time.e2el_ns());
    for (const std::int64_t part : time.ttft) text += fmt::format(",{}", part);
    for (const std::int64_t part : time.e2el) text += fmt::format(",{}", part);
    text += '\n';
  }
  return text;
}

}  // namespace kvcast
