// Result files for programs. Key names are those of `vllm bench serve`; nlohmann prints the shortest text
// that reads back to the same double, so equal runs give equal bytes. No wall-clock time, no host, no command
// line.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "reports/elasticity_text.h"
#include "reports/explain_report.h"
#include "reports/format.h"
#include "reports/pools_text.h"
#include "reports/report.h"
#include "reports/timeline_view.h"

namespace kvcast {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;

/// Unknown is null, never 0.
Json known_if(bool known, double value) { return known ? Json(value) : Json(nullptr); }

void add_latencies(Json& json, const Metrics& metrics) {
  for (const LatencyText& text : kLatencies) {
    const LatencySummary& summary = metrics.*text.summary;
    const std::string suffix = std::string("_") + text.key + "_ms";
    const bool measured = summary.count > 0;
    json["mean" + suffix] = known_if(measured, summary.mean);
    json["median" + suffix] = known_if(measured, summary.median);
    json["std" + suffix] = known_if(measured, summary.std);
    json["p50" + suffix] = known_if(measured, summary.p50);
    json["p90" + suffix] = known_if(measured, summary.p90);
    json["p95" + suffix] = known_if(measured, summary.p95);
    json["p99" + suffix] = known_if(measured, summary.p99);
  }
  Json errors = Json::object();
  for (const LatencyText& text : kLatencies) {
    if ((metrics.*text.summary).relative_error_max > 0)
      errors[text.key] = (metrics.*text.summary).relative_error_max;
  }
  json["percentile_relative_error_max"] = std::move(errors);
}

double fine_seconds(Int128 fine) {
  return static_cast<double>(fine) / (1e9 * static_cast<double>(std::int64_t{1} << kFineBits));
}

/// What each tier below the GPU's memory did, fastest first.
Json tiers_of(const Forecast& forecast) {
  Json tiers = Json::array();
  if (forecast.record == nullptr) return tiers;
  for (const TierTotals& tier : forecast.record->tiers) {
    tiers.push_back({{"name", tier.name},
                     {"loads", tier.loads},
                     {"loads_lost", tier.loads_lost},
                     {"hit_tokens", tier.blocks_read * forecast.facts.tokens_per_block()},
                     {"blocks_total", tier.blocks_total},
                     {"blocks_used_peak", tier.blocks_used_max},
                     {"blocks_read", tier.blocks_read},
                     {"blocks_written", tier.blocks_written},
                     {"blocks_evicted", tier.blocks_evicted},
                     {"blocks_expired", tier.blocks_expired},
                     {"blocks_lost", tier.blocks_lost},
                     {"bytes_read", tier.blocks_read * tier.block_bytes},
                     {"bytes_written", tier.blocks_written * tier.block_bytes},
                     {"read_busy_s", fine_seconds(tier.read_busy_fine)},
                     {"write_busy_s", fine_seconds(tier.write_busy_fine)}});
  }
  return tiers;
}

Json kv_of(const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  const DeploymentFacts& facts = forecast.facts;
  const bool sampled = metrics.scrapes > 0;
  Json kv;
  kv["bytes_per_token"] = facts.kv_bytes_per_token;
  const bool alike = facts.pools.empty();  // else each pool says its own
  kv["blocks_total"] = alike ? Json(facts.blocks_total) : Json(nullptr);
  kv["block_size"] = alike ? Json(facts.tokens_per_block()) : Json(nullptr);
  kv["tokens_total"] = alike ? Json(facts.tokens_total()) : Json(nullptr);
  kv["usage_mean"] = known_if(sampled, metrics.kv_usage_mean);
  kv["usage_peak"] = metrics.kv_usage_peak;
  kv["waste_mean"] = known_if(sampled, metrics.kv_waste_mean);
  kv["external_fragmentation_mean"] = known_if(sampled, metrics.kv_external_fragmentation_mean);
  kv["preemptions"] = metrics.preemptions;
  if (metrics.preemptions_swapped > 0) kv["preemptions_swapped"] = metrics.preemptions_swapped;
  kv["recomputed_tokens"] = metrics.recomputed_tokens;
  kv["prefix_hit_rate_tokens"] = metrics.prefix_hit_rate_tokens;
  if (metrics.branched_requests > 0) {
    kv["several_answers"] = {{"requests", metrics.branched_requests},
                             {"blocks_copied", metrics.blocks_copied},
                             {"copy_on_write_saving", metrics.branch_saving}};
  }
  kv["tiers"] = tiers_of(forecast);
  return kv;
}

Json gpu_of(const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  Json gpu;
  gpu["count"] = forecast.facts.gpus;
  gpu["busy_fraction"] = metrics.gpu_busy_fraction;
  gpu["hbm_fraction"] = known_if(forecast.facts.hbm_bytes_per_s > 0, metrics.gpu_hbm_fraction);
  gpu["flop_fraction"] = known_if(forecast.facts.flop_per_s > 0, metrics.gpu_flop_fraction);
  return gpu;
}

Json speculative_of(const Forecast& forecast) {
  const SpeculationFacts& facts = *forecast.speculation;
  Json json = {{"method", facts.method}, {"num_speculative_tokens", facts.num_speculative_tokens}};
  if (forecast.record != nullptr) {
    const SpeculationTotals& totals = forecast.record->speculation;
    const auto drafts = static_cast<double>(totals.drafts);
    json["num_drafts"] = totals.drafts;
    json["num_draft_tokens"] = totals.draft_tokens;
    json["num_accepted_tokens"] = totals.accepted_tokens;
    json["acceptance_rate"] = known_if(
        totals.draft_tokens > 0, static_cast<double>(totals.accepted_tokens) /
                                     static_cast<double>(std::max<std::int64_t>(1, totals.draft_tokens)));
    json["mean_acceptance_length"] =
        known_if(totals.drafts > 0, 1 + static_cast<double>(totals.accepted_tokens) / std::max(1.0, drafts));
  }
  json["expected_tokens_per_verification"] = facts.expected_tokens;
  json["context"] = facts.context;
  json["speedup_of_one_sequence"] = facts.speedup_alone;
  json["largest_paying_batch"] = facts.paying_batch;
  json["largest_batch_tried"] = facts.batch_max;
  return json;
}

/// Replicas that come and go. Times are seconds from the first arrival; replicas over time as [time, ready,
/// held].
Json elasticity_of(const Forecast& forecast) {
  constexpr std::size_t kEventsMax = 1000;
  const Metrics& metrics = forecast.metrics;
  const RunRecord& record = *forecast.record;
  Json json = {{"gpu_seconds", metrics.gpu_seconds},
               {"gpu_seconds_ready", metrics.gpu_seconds_ready},
               {"replicas_ready_mean", metrics.replicas_ready_mean},
               {"replicas_ready_min", metrics.replicas_ready_min},
               {"replicas_ready_max", metrics.replicas_ready_max},
               {"retried_requests", metrics.retried_requests},
               {"retries", metrics.retries},
               {"failed_with_replica", metrics.failed_with_replica},
               {"recomputed_tokens", metrics.retry_recomputed_tokens}};
  Json replicas = Json::array(), events = Json::array();
  for (const FleetStep& step : fleet_steps(forecast)) replicas.push_back({step.at_s, step.ready, step.held});
  for (const FleetEventNote& note : record.fleet.events) {
    if (events.size() == kEventsMax) break;
    events.push_back({{"at_s", static_cast<double>((note.at - record.first_arrival).count()) / 1e9},
                      {"replica", note.replica},
                      {"event", name_of(note.kind)}});
  }
  json["events_total"] = record.fleet.events.size();
  json["replicas"] = std::move(replicas);
  json["events"] = std::move(events);
  return json;
}

Json slo_of(const Forecast& forecast) {
  Json terms = Json::array();
  for (const SloTerm& term : forecast.slo) {
    terms.push_back({{"metric", term.metric},
                     {"statistic", term.statistic},
                     {"limit_ms", term.limit_ms},
                     {"value_ms", term.value_ms},
                     {"met", term.met}});
  }
  return {{"met", slo_met(forecast)}, {"terms", std::move(terms)}};
}

Json cost_of(const Price& price, const Forecast& forecast) {
  const Cost cost = cost_of_run(price, forecast);
  Json json;
  json["currency"] = price.currency;
  json["price_per_gpu_hour"] = price.per_gpu_hour;
  json["per_hour"] = cost.per_hour;
  json["total"] = cost.total;
  json["per_million_output_tokens"] =
      known_if(forecast.metrics.total_output_tokens > 0, cost.per_million_output_tokens);
  json["source"] = price.source;
  return json;
}

Json budget_of(const std::vector<BudgetLine>& budget) {
  Json list = Json::array();
  for (const BudgetLine& line : budget) {
    list.push_back({{"item", line.item}, {"bytes", line.bytes}, {"source", line.source}});
  }
  return list;
}

Json latency_of(const LatencySummary& summary) {
  if (summary.count == 0) return nullptr;
  return {{"mean", summary.mean}, {"p50", summary.p50}, {"p90", summary.p90}, {"p99", summary.p99}};
}

Json pool_of(const PoolForecast& pool, const Forecast& forecast) {
  const Metrics& metrics = pool.metrics;
  const DeploymentFacts& facts = pool.facts;
  const bool sampled = metrics.scrapes > 0;
  Json json = {{"name", pool.name}, {"replicas", facts.replicas}, {"gpus", facts.gpus}, {"gpu", pool.gpu}};
  json["engine"] = pool.engine;
  json["timer"] = pool.timer;
  json["completed"] = metrics.completed;
  json["failed"] = metrics.failed;
  json["total_input_tokens"] = metrics.total_input_tokens;
  json["total_output_tokens"] = metrics.total_output_tokens;
  json["output_throughput"] = metrics.output_throughput;
  json["scheduled_tokens"] = metrics.scheduled_tokens;
  json["ttft_ms"] = latency_of(metrics.ttft);
  json["tpot_ms"] = latency_of(metrics.tpot);
  json["e2el_ms"] = latency_of(metrics.e2el);
  json["kv"] = {{"bytes_per_token", facts.kv_bytes_per_token},
                {"blocks_total", facts.blocks_total},
                {"block_size", facts.tokens_per_block()},
                {"tokens_total", facts.tokens_total()},
                {"usage_mean", known_if(sampled, metrics.kv_usage_mean)},
                {"usage_peak", metrics.kv_usage_peak},
                {"preemptions", metrics.preemptions},
                {"prefix_hit_rate_tokens", metrics.prefix_hit_rate_tokens}};
  json["busy_fraction"] = metrics.gpu_busy_fraction;
  json["hbm_fraction"] = known_if(facts.hbm_bytes_per_s > 0, metrics.gpu_hbm_fraction);
  json["flop_fraction"] = known_if(facts.flop_per_s > 0, metrics.gpu_flop_fraction);
  json["steps"] = {{"count", metrics.steps}, {"mean_tokens", metrics.mean_batch_tokens}};
  if (pool.price) {
    json["price_per_gpu_hour"] = pool.price->per_gpu_hour;
    json["cost"] = cost_of_pool(pool, forecast).total;
  }
  if (const auto fraction = kv_link_fraction(pool, forecast)) json["kv_link_fraction"] = *fraction;
  if (!pool.budget.empty()) json["budget"] = budget_of(pool.budget);
  return json;
}

/// KV that went from replicas that computed prompts to those that went on.
Json disaggregation_of(const Metrics& metrics) {
  return {{"transfers", metrics.kv_transfers},
          {"local_requests", metrics.local_requests},
          {"tokens", metrics.kv_transfer_tokens},
          {"bytes", metrics.kv_transfer_bytes},
          {"prompt_to_first_byte_ms", latency_of(metrics.kv_wait)},
          {"first_byte_to_last_ms", latency_of(metrics.kv_time)},
          {"prompt_to_last_byte_ms", latency_of(metrics.kv_behind)}};
}

Json pools_of(const Forecast& forecast) {
  Json list = Json::array();
  for (const PoolForecast& pool : forecast.pools) list.push_back(pool_of(pool, forecast));
  return list;
}

Json assumptions_of(const std::vector<Assumption>& assumptions) {
  Json list = Json::array();
  for (const Assumption& assumption : assumptions) {
    list.push_back({{"text", assumption.text}, {"source", assumption.source}});
  }
  return list;
}

Json inputs_of(const std::vector<InputHash>& inputs) {
  Json map = Json::object();
  for (const InputHash& input : inputs) map[input.path] = input.hash;
  return map;
}

/// Keys as the statistics themselves have them: "mean_ttft_ms", "request_throughput".
Json uncertainty_of(const Uncertainty& uncertainty) {
  Json json = {{"known", uncertainty.unknown.empty()}};
  if (!uncertainty.unknown.empty()) {
    json["reason"] = uncertainty.unknown;
    return json;
  }
  json["confidence"] = Uncertainty::kConfidence;
  json["step_time_relative_error"] = uncertainty.step_error;
  json["frontend_relative_error"] = uncertainty.frontend_error;
  json["requests"] = uncertainty.requests;
  Json intervals = Json::object();
  for (const UncertainValue& value : uncertainty.values) {
    const std::string key =
        value.statistic.empty() ? value.metric : value.statistic + "_" + value.metric + "_ms";
    intervals[key] = {value.low, value.high};
  }
  json["intervals"] = std::move(intervals);
  return json;
}

bool asked_for(const Uncertainty& uncertainty) {
  return !uncertainty.unknown.empty() || !uncertainty.values.empty();
}

/// The distributions of latencies in milliseconds: entry i is the value that i % of the requests stay at or
/// below.
Json distributions_of(const RunRecord& record) {
  std::vector<double> percents;
  for (int percent = 0; percent <= 100; ++percent) percents.push_back(percent);
  Json json = Json::object();
  for (const auto& [name, samples] : {std::pair{"ttft", &record.ttft},
                                      {"tpot", &record.tpot},
                                      {"e2el", &record.e2el},
                                      {"queue", &record.queue}}) {
    if (samples->count() == 0) continue;
    std::vector<double> values = samples->percentiles_ns(percents);
    for (double& value : values) value /= 1e6;
    json[name] = std::move(values);
  }
  return json;
}

/// State over time, at most kPoints moments that are equally far apart.
Json timeline_of(const Forecast& forecast) {
  constexpr std::size_t kPoints = 200;
  const TimelineView view = timeline_of(forecast, kPoints);
  Json usage = Json::array(), running = Json::array(), waiting = Json::array(), preemptions = Json::array();
  for (const TimelinePoint& point : view.points) {
    if (view.blocks > 0) usage.push_back(static_cast<double>(point.blocks_used) / view.blocks);
    running.push_back(point.running);
    waiting.push_back(point.waiting);
    preemptions.push_back(point.preemptions);
  }
  Json json = {{"first_s", view.first_s}, {"spacing_s", view.spacing_s}};
  if (view.blocks > 0) json["kv_usage"] = std::move(usage);
  json["running"] = std::move(running);
  json["waiting"] = std::move(waiting);
  json["preemptions"] = std::move(preemptions);
  return json;
}

// Bytes that are not UTF-8 (a path may hold any) become U+FFFD instead of an exception.
constexpr auto kReplace = Json::error_handler_t::replace;

/// As dump(2), but long lists of numbers stand on one line.
void print(const Json& json, std::size_t indent, std::string& text) {
  constexpr std::size_t kLong = 8;
  const bool numbers = json.is_array() && json.size() > kLong &&
                       std::all_of(json.begin(), json.end(), [](const Json& one) { return one.is_number(); });
  if (!json.is_structured() || json.empty() || numbers) {
    text += json.dump(-1, ' ', false, kReplace);
    return;
  }
  text += json.is_object() ? "{\n" : "[\n";
  bool first = true;
  for (const auto& [key, value] : json.items()) {
    if (!first) text += ",\n";
    first = false;
    text.append(indent + 2, ' ');
    if (json.is_object()) text += Json(key).dump(-1, ' ', false, kReplace) + ": ";
    print(value, indent + 2, text);
  }
  text += "\n" + std::string(indent, ' ') + (json.is_object() ? "}" : "]");
}

std::string text_of(const Json& json) {
  std::string text;
  print(json, 0, text);
  return text + "\n";
}

}  // namespace

std::string to_json(const Forecast& forecast) {
  const Metrics& metrics = forecast.metrics;
  Json json;
  json["schema_version"] = kSchemaVersion;
  json["completed"] = metrics.completed;
  json["failed"] = metrics.failed;
  json["duration"] = metrics.duration_s;
  json["total_input_tokens"] = metrics.total_input_tokens;
  json["total_output_tokens"] = metrics.total_output_tokens;
  json["request_throughput"] = metrics.request_throughput;
  json["output_throughput"] = metrics.output_throughput;
  json["total_token_throughput"] = metrics.total_token_throughput;
  json["request_goodput"] = known_if(metrics.has_slo, metrics.request_goodput);
  add_latencies(json, metrics);
  json["max_concurrent_requests"] =
      metrics.scrapes > 0 ? Json(metrics.max_concurrent_requests) : Json(nullptr);
  json["rejected_too_long"] = metrics.rejected_too_long;
  json["rejected_never_fits"] = metrics.rejected_never_fits;
  if (forecast.facts.admission) {
    json["rejected_rate_limit"] = metrics.rejected_rate_limit;
    json["rejected_overload"] = metrics.rejected_overload;
  }
  json["unfinished"] = metrics.unfinished;
  json["stuck_request"] = metrics.stuck ? Json(metrics.stuck_request) : Json(nullptr);
  json["kv"] = kv_of(forecast);
  json["gpu"] = gpu_of(forecast);
  if (forecast.speculation) json["speculative"] = speculative_of(forecast);
  json["steps"] = {{"count", metrics.steps}, {"mean_tokens", metrics.mean_batch_tokens}};
  if (metrics.elastic && forecast.record != nullptr && metrics.duration_s > 0)
    json["elasticity"] = elasticity_of(forecast);
  if (!forecast.pools.empty()) json["pools"] = pools_of(forecast);
  if (metrics.kv_transfers + metrics.local_requests > 0) json["disaggregation"] = disaggregation_of(metrics);
  if (!forecast.slo.empty()) json["slo"] = slo_of(forecast);
  if (forecast.price) json["cost"] = cost_of(*forecast.price, forecast);
  json["verdict"] = verdict_of(forecast);
  json["notes"] = forecast.notes;
  json["timer"] = {{"description", forecast.timer}, {"calibrated", forecast.calibrated}};
  if (forecast.explanation != nullptr) json["explain"] = Json::parse(explain_json(*forecast.explanation));
  if (asked_for(forecast.uncertainty)) json["uncertainty"] = uncertainty_of(forecast.uncertainty);
  if (!forecast.budget.empty()) json["budget"] = budget_of(forecast.budget);
  if (forecast.record != nullptr && metrics.completed > 0)
    json["distributions_ms"] = distributions_of(*forecast.record);
  if (forecast.record != nullptr && metrics.scrapes > 0) json["timeline"] = timeline_of(forecast);
  json["assumptions"] = assumptions_of(forecast.assumptions);
  json["seed"] = forecast.seed;
  json["version"] = forecast.version;
  json["inputs"] = inputs_of(forecast.inputs);
  return text_of(json);
}

std::string to_json(const MemoryForecast& report) {
  Json json;
  json["schema_version"] = kSchemaVersion;
  json["status"] = report.fits ? "ok" : "refused";
  json["message"] = report.message;
  json["warnings"] = report.warnings;
  json["max_model_len"] = report.max_model_len;
  json["fits_max_model_len"] = report.fits_max_model_len;
  const MemoryForecast::Weights& weights = report.weights;
  json["weights"] = {
      {"parameters", weights.parameters},     {"bytes_per_rank", weights.bytes_per_rank},
      {"buffer_bytes", weights.buffer_bytes}, {"mla_absorbed_bytes", weights.mla_absorbed_bytes},
      {"draft_bytes", weights.draft_bytes},   {"loaded_bytes", weights.loaded_bytes}};
  const MemoryForecast::Kv& kv = report.kv;
  Json groups = Json::array();
  for (const KvGroupLine& group : kv.groups) {
    groups.push_back({{"kind", group.kind},
                      {"layers", group.layers},
                      {"block_size", group.block_size},
                      {"page_bytes", group.page_bytes}});
  }
  json["kv"] = {{"dtype", kv.dtype},
                {"bytes_per_token", kv.bytes_per_token},
                {"bytes_per_block", kv.bytes_per_block},
                {"state_bytes_per_sequence", kv.state_bytes_per_sequence},
                {"blocks_total", kv.blocks_total},
                {"blocks_usable", kv.blocks_usable},
                {"tokens_total", kv.tokens_total},
                {"tokens_capacity", kv.tokens_capacity},
                {"max_concurrency", kv.max_concurrency},
                {"groups", std::move(groups)}};
  for (const MemoryForecast::Kv::Pool& pool : kv.pools) {
    json["kv"]["pools"].push_back({{"layers", pool.bounded ? "bounded" : "keep_all"},
                                   {"blocks_usable", pool.blocks_usable},
                                   {"blocks_per_request", pool.blocks_per_request},
                                   {"max_concurrency", pool.max_concurrency}});
  }
  json["budget"] = budget_of(report.budget);
  json["assumptions"] = assumptions_of(report.assumptions);
  json["version"] = report.version;
  json["inputs"] = inputs_of(report.inputs);
  return text_of(json);
}

}  // namespace kvcast
