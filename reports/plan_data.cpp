// A plan for programs: JSON and CSV.
#include <cmath>
#include <nlohmann/json.hpp>

#include "reports/plan_report.h"

namespace kvcast {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;

/// Unknown is null, never 0.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json term_json(const PlanTerm& term) {
  const SloTerm& slo = term.term;
  Json json = {{"metric", slo.metric},     {"statistic", slo.statistic},
               {"limit_ms", slo.limit_ms}, {"value_ms", slo.value_ms},
               {"met", slo.met},           {"head_room", number(1 - slo.value_ms / slo.limit_ms)}};
  json["interval_ms"] = term.interval_ms
                            ? Json::array({number(term.interval_ms->low), number(term.interval_ms->high)})
                            : Json(nullptr);
  if (term.mean_ms && term.mean_interval_ms) {
    json["mean_ms"] = number(*term.mean_ms);
    json["mean_interval_ms"] = {number(term.mean_interval_ms->low), number(term.mean_interval_ms->high)};
  }
  return json;
}

Json point_json(const PlanPoint& point) {
  const Metrics& metrics = point.forecast.metrics;
  Json json;
  json["label"] = point.label;
  Json choices = Json::object();
  for (const PlanChoice& choice : point.choices) choices[choice.key] = choice.value;
  json["choices"] = std::move(choices);
  json["replicas"] = point.replicas;
  json["gpus"] = point.gpus;
  json["cost_per_hour"] = point.cost_per_hour;
  json["rate_factor"] = point.rate_factor;
  json["slo_met"] = point.score.met;
  json["strain"] = number(point.score.strain);
  json["forecast"] = {
      {"request_throughput", metrics.request_throughput},
      {"request_goodput", metrics.request_goodput},
      {"output_throughput", metrics.output_throughput},
      {"output_throughput_per_gpu", metrics.output_throughput / static_cast<double>(point.gpus)},
      {"p99_ttft_ms", metrics.ttft.p99},
      {"p99_tpot_ms", metrics.tpot.p99},
      {"p99_e2el_ms", metrics.e2el.p99},
      {"kv_usage_peak", metrics.kv_usage_peak},
      {"preemptions", metrics.preemptions},
      {"gpu_busy_fraction", metrics.gpu_busy_fraction}};
  Json terms = Json::array();
  for (const PlanTerm& term : point.terms) terms.push_back(term_json(term));
  json["slo"] = terms;
  json["uncertainty"] = {
      {"interval", 0.9},
      {"meets_probability", point.meets_probability ? Json(*point.meets_probability) : Json(nullptr)},
      {"includes_step_time_error", point.forecast.calibrated}};
  for (const PlanFigure& figure : point.figures)
    json["uncertainty"][figure.key] = {number(figure.interval.low), number(figure.interval.high)};
  return json;
}

Json front_json(const FrontPoint& point) {
  return {{"label", point.label},
          {"output_throughput_per_gpu", point.output_per_gpu},
          {"output_throughput_per_user", point.output_per_user},
          {"cost_per_hour", point.cost_per_hour},
          {"p99_ttft_ms", point.p99_ttft_ms},
          {"slo_met", point.met},
          {"on_speed_front", point.on_speed_front},
          {"on_cost_front", point.on_cost_front}};
}

Json search_json(const PlanResult& plan) {
  return {{"candidates", plan.candidates},
          {"candidates_unfit", plan.candidates_unfit},
          {"candidates_hopeless", plan.candidates_hopeless},
          {"points", plan.points_total},
          {"points_excluded_by_bounds", plan.points_bounded},
          {"runs", plan.runs},
          {"work_share", plan.work_share},
          {"unfit", plan.unfit}};
}

Json studies(const PlanResult& plan, Json json) {
  json["binding"] = {{"resource", plan.binding_resource}, {"text", plan.binding}};
  json["rate_max_factor"] = plan.rate_max_factor > 0 ? Json(plan.rate_max_factor) : Json(nullptr);
  json["knee"] = Json::array();
  for (const KneePoint& point : plan.knee)
    json["knee"].push_back(
        {{"factor", point.factor}, {"rate", point.rate}, {"goodput", point.goodput}, {"slo_met", point.met}});
  json["sensitivity"] = Json::array();
  for (const SensitivityRow& row : plan.sensitivity) {
    json["sensitivity"].push_back({{"change", row.change},
                                   {"slo_met", row.met},
                                   {"closest", term_json({row.closest})},
                                   {"goodput", row.goodput}});
  }
  json["deploy"] = {{"vllm", plan.deploy_vllm}, {"sglang", plan.deploy_sglang}, {"note", plan.deploy_note}};
  return json;
}

/// A CSV field; quoted where it holds what would end it.
std::string field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string to_json(const PlanResult& plan) {
  Json json;
  json["schema_version"] = kSchemaVersion;
  json["goal"] = plan.goal;
  json["status"] = plan.feasible ? "ok" : "infeasible";
  json["verdict"] = plan.verdict;
  json["title"] = plan.title;
  json["winner"] = plan.feasible ? point_json(plan.points.front()) : Json(nullptr);
  const char* others = plan.feasible ? "runners_up" : "nearest";
  json[others] = Json::array();
  for (std::size_t i = plan.feasible ? 1 : 0; i < plan.points.size(); ++i)
    json[others].push_back(point_json(plan.points[i]));
  json["pareto"] = Json::array();
  for (const FrontPoint& point : plan.front) json["pareto"].push_back(front_json(point));
  json = studies(plan, std::move(json));
  json["advice"] = plan.advice;
  json["search"] = search_json(plan);
  json["requests"] = plan.requests;
  json["rate"] = plan.rate;
  constexpr const char* kReplicating[] = {"seeds", "blocks of the trace", "blocks of outcomes"};
  json["replications"] = {
      {"by", kReplicating[static_cast<std::size_t>(plan.replicating)]},
      {"count", plan.replications},
      {"block_length", plan.blocks.length > 0 ? Json(plan.blocks.length) : Json(nullptr)},
      {"period_s", plan.blocks.period_s > 0 ? Json(plan.blocks.period_s) : Json(nullptr)}};
  json["notes"] = plan.notes;
  json["assumptions"] = Json::array();
  for (const Assumption& assumption : plan.assumptions)
    json["assumptions"].push_back({{"text", assumption.text}, {"source", assumption.source}});
  json["seed"] = plan.seed;
  json["version"] = plan.version;
  Json inputs = Json::object();
  for (const InputHash& input : plan.inputs) inputs[input.path] = input.hash;
  json["inputs"] = std::move(inputs);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_csv(const PlanResult& plan) {
  std::string text =
      "rank,label,replicas,gpus,cost_per_hour,rate_factor,slo_met,strain,meets_probability,request_goodput,"
      "output_throughput,"
      "p99_ttft_ms,p99_tpot_ms,p99_e2el_ms\n";
  for (std::size_t i = 0; i < plan.points.size(); ++i) {
    const PlanPoint& point = plan.points[i];
    const Metrics& metrics = point.forecast.metrics;
    text += std::to_string(i + 1) + "," + field(point.label) + "," + std::to_string(point.replicas) + "," +
            std::to_string(point.gpus);
    const double numbers[] = {point.cost_per_hour, point.rate_factor};
    for (const double value : numbers) text += "," + Json(value).dump();
    text += point.score.met ? ",true" : ",false";
    const double more[] = {point.score.strain,      point.meets_probability.value_or(NAN),
                           metrics.request_goodput, metrics.output_throughput,
                           metrics.ttft.p99,        metrics.tpot.p99,
                           metrics.e2el.p99};
    for (const double value : more) text += "," + (std::isfinite(value) ? Json(value).dump() : "");
    text += "\n";
  }
  return text;
}

}  // namespace kvcast
