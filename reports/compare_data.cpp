// A comparison for programs: JSON and CSV.
#include <cmath>
#include <nlohmann/json.hpp>

#include "reports/compare_report.h"
#include "reports/compare_text.h"

namespace kvcast {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;

/// Unknown is null, never 0.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json interval_json(const std::optional<Interval>& interval) {
  if (!interval || std::isnan(interval->low)) return nullptr;
  return Json::array({interval->low, interval->high});
}

Json metrics_json(const ComparedCell& cell) {
  Json metrics = Json::object();
  for (std::size_t k = 0; k < cell.values.size(); ++k) {
    Json metric;
    metric["value"] = number(cell.values[k]);
    metric["interval"] = interval_json(cell.intervals[k]);
    if (!cell.differences.empty()) {
      const Difference& difference = cell.differences[k];
      metric["difference"] = {{"absolute", number(difference.absolute)},
                              {"relative", number(difference.relative)},
                              {"interval", interval_json(difference.interval)},
                              {"relative_interval", interval_json(difference.relative_interval)},
                              {"p_value", difference.interval ? Json(difference.p_value) : Json(nullptr)},
                              {"significant", difference.significant}};
    }
    metrics[compared_metrics()[k].key] = std::move(metric);
  }
  return metrics;
}

Json cell_json(const Comparison& comparison, const ComparedCell& cell) {
  Json json;
  json["label"] = cell.label;
  json["status"] = cell.refusal.empty() ? "ok" : "refused";
  if (!cell.refusal.empty()) {
    json["message"] = cell.refusal;
    return json;
  }
  json["title"] = cell.forecast.title;
  json["engine"] = cell.forecast.engine;
  json["cluster"] = cell.forecast.cluster;
  json["timer"] = {{"description", cell.forecast.timer}, {"calibrated", cell.forecast.calibrated}};
  json["verdict"] = cell.verdict;
  json["slo_met"] = comparison.has_slo ? Json(cell.slo_met) : Json(nullptr);
  json["sentence"] = cell_sentence(comparison, cell);
  json["metrics"] = metrics_json(cell);
  return json;
}

/// A CSV field; quoted where it holds what would end it.
std::string field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

std::string csv_number(double value) { return std::isfinite(value) ? Json(value).dump() : ""; }

std::string csv_bounds(const std::optional<Interval>& interval) {
  return interval ? csv_number(interval->low) + "," + csv_number(interval->high) : ",";
}

}  // namespace

std::string to_json(const Comparison& comparison) {
  Json json;
  json["schema_version"] = kSchemaVersion;
  json["sentence"] = sentence_of(comparison);
  json["baseline"] = comparison.cells[comparison.baseline].label;
  json["paired"] = comparison.paired;
  json["requests"] = comparison.requests;
  json["workload"] = comparison.cells[comparison.baseline].forecast.workload;
  json["intervals"] = {{"interval", Comparison::kInterval},
                       {"false_discovery_rate", Comparison::kFalseDiscoveryRate}};
  if (comparison.samples > 0) {
    const bool blocks = comparison.replicating == Replicating::by_blocks;
    json["intervals"]["by"] = blocks ? "resampled traffic" : "samples";
    json["intervals"]["samples"] = comparison.samples;
    if (blocks) {
      json["intervals"]["block_length"] = comparison.blocks.length;
      json["intervals"]["period_s"] =
          comparison.blocks.period_s > 0 ? Json(comparison.blocks.period_s) : Json(nullptr);
    }
  } else {
    json["intervals"]["by"] = "blocks";
    json["intervals"]["replicates"] = comparison.resampling.replicates;
    json["intervals"]["block_length"] = comparison.resampling.block_length;
  }
  json["cells"] = Json::array();
  for (const ComparedCell& cell : comparison.cells) json["cells"].push_back(cell_json(comparison, cell));
  json["seed"] = comparison.seed;
  json["version"] = comparison.version;
  Json inputs = Json::object();
  for (const ComparedCell& cell : comparison.cells) {
    for (const InputHash& input : cell.forecast.inputs) inputs[input.path] = input.hash;
  }
  json["inputs"] = std::move(inputs);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_csv(const Comparison& comparison) {
  std::string text =
      "cell,metric,unit,value,low,high,difference,relative,difference_low,difference_high,p_value,"
      "significant\n";
  for (const ComparedCell& cell : comparison.cells) {
    for (std::size_t k = 0; k < cell.values.size(); ++k) {
      const ComparedMetric& metric = compared_metrics()[k];
      text += field(cell.label) + "," + metric.key + "," + metric.unit + "," + csv_number(cell.values[k]) +
              "," + csv_bounds(cell.intervals[k]) + ",";
      if (cell.differences.empty()) {
        text += ",,,,,\n";
        continue;
      }
      const Difference& difference = cell.differences[k];
      text += csv_number(difference.absolute) + "," + csv_number(difference.relative) + "," +
              csv_bounds(difference.interval) + "," +
              (difference.interval ? csv_number(difference.p_value) : "") + "," +
              (difference.significant ? "true" : "false") + "\n";
    }
  }
  return text;
}

}  // namespace kvcast
