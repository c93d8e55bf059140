#include "reports/validation_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "reports/csv_text.h"
#include "reports/markdown_text.h"
#include "reports/text_table.h"
#include "reports/validation_text.h"

namespace kvcast {
namespace {

using Json = nlohmann::ordered_json;

std::string unsigned_percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

void add_rows(std::string& text, const ValidatedLoad& load) {
  text += fmt::format("{}\n", title_of(load));
  for (const ValidatedValue& value : load.values) {
    text += fmt::format("  {:<26}{:>12}{:>12}{:>10}   {}{}\n", label_of(value.metric, value.statistic),
                        number_of(value, value.measured), number_of(value, value.forecast),
                        signed_percent(value.error()), interval_of(value),
                        value.interval && !value.covered() ? "  outside" : "");
  }
}

Json json_of(const ValidatedValue& value) {
  Json json = {{"metric", value.metric}};
  if (!value.statistic.empty()) json["statistic"] = value.statistic;
  json["measured"] = value.measured;
  json["forecast"] = value.forecast;
  json["error"] = value.error();
  if (value.interval) {
    json["interval"] = {value.interval->low, value.interval->high};
    json["inside"] = value.covered();
  }
  return json;
}

Json json_of(const ValidatedLoad& load) {
  Json values = Json::array();
  for (const ValidatedValue& value : load.values) values.push_back(json_of(value));
  const ValidatedValue& worst = load.values[load.worst];
  return {{"run", load.run},
          {"load", load.load},
          {"values", std::move(values)},
          {"largest", {{"metric", worst.metric}, {"statistic", worst.statistic}, {"error", worst.error()}}},
          {"cause", name_of(load.cause)},
          {"parts", load.why}};
}

}  // namespace

std::string to_table(const Validation& validation, bool color) {
  TextTable head(color);
  head.paragraph(validation.title, TextTable::kBold);
  head.paragraph("step times: " + validation.timer, TextTable::kPlain, 2);
  std::string text = head.take();
  text +=
      fmt::format("{:<28}{:>12}{:>12}{:>10}   {}\n", "", "measured", "forecast", "error", "90 % interval");
  for (const ValidatedLoad& load : validation.loads) {
    add_rows(text, load);
    TextTable cause(false);
    cause.paragraph(cause_text(load), TextTable::kPlain, 2);
    cause.paragraph(load.why, TextTable::kPlain, 2);
    text += cause.take();
  }
  text += fmt::format("{:<28}{:>12}{:>12}{:>10}\n", "absolute errors", "loads", "median", "largest");
  for (const ErrorSummary& summary : summarize_errors(validation)) {
    text += fmt::format("  {:<26}{:>12}{:>12}{:>10}\n", label_of(summary.metric, summary.statistic),
                        summary.count, unsigned_percent(summary.median), unsigned_percent(summary.largest));
  }
  TextTable tail(color);
  tail.paragraph(coverage_text(validation), TextTable::kPlain);
  for (const std::string& skipped : validation.skipped)
    tail.paragraph("not compared: " + skipped, TextTable::kWarn, 2);
  for (const std::string& note : validation.notes) tail.paragraph("note: " + note, TextTable::kPlain, 2);
  return text + tail.take();
}

std::string to_json(const Validation& validation) {
  constexpr int kSchemaVersion = 1;
  Json json = {{"schema_version", kSchemaVersion}, {"title", validation.title}, {"timer", validation.timer}};
  json["loads"] = Json::array();
  for (const ValidatedLoad& load : validation.loads) json["loads"].push_back(json_of(load));
  json["errors"] = Json::array();
  for (const ErrorSummary& summary : summarize_errors(validation)) {
    json["errors"].push_back({{"metric", summary.metric},
                              {"statistic", summary.statistic},
                              {"count", summary.count},
                              {"median", summary.median},
                              {"largest", summary.largest}});
  }
  const Coverage coverage = coverage_of(validation);
  json["coverage"] = {
      {"confidence", validation.confidence}, {"inside", coverage.inside}, {"of", coverage.of}};
  json["skipped"] = validation.skipped;
  json["notes"] = validation.notes;
  json["assumptions"] = Json::array();
  for (const Assumption& assumption : validation.assumptions)
    json["assumptions"].push_back({{"text", assumption.text}, {"source", assumption.source}});
  if (!validation.seed.empty()) json["seed"] = validation.seed;
  json["version"] = validation.version;
  json["inputs"] = Json::object();
  for (const InputHash& input : validation.inputs) json["inputs"][input.path] = input.hash;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_markdown(const Validation& validation) {
  std::string text = fmt::format("**{}**: step times from {}.\n\n", markdown_cell(validation.title),
                                 markdown_cell(validation.timer));
  text += "| load | | measured | forecast | error | 90 % interval | |\n|---|---|---|---|---|---|---|\n";
  for (const ValidatedLoad& load : validation.loads) {
    std::string title = markdown_cell(title_of(load));
    for (std::size_t i = 0; i < load.values.size(); ++i) {
      const ValidatedValue& value = load.values[i];
      std::string remark = value.interval && !value.covered() ? "outside" : "";
      if (i == load.worst)
        remark += fmt::format("{}largest: {}", remark.empty() ? "" : "; ", name_of(load.cause));
      text += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", title,
                          label_of(value.metric, value.statistic), number_of(value, value.measured),
                          number_of(value, value.forecast), signed_percent(value.error()), interval_of(value),
                          remark);
      title.clear();
    }
  }
  text += "\n| absolute errors | loads | median | largest |\n|---|---|---|---|\n";
  for (const ErrorSummary& summary : summarize_errors(validation)) {
    text += fmt::format("| {} | {} | {} | {} |\n", label_of(summary.metric, summary.statistic), summary.count,
                        unsigned_percent(summary.median), unsigned_percent(summary.largest));
  }
  text += "\n" + coverage_text(validation) + ".\n";
  for (const std::string& skipped : validation.skipped)
    text += "\nNot compared: " + markdown_cell(skipped) + "\n";
  for (const std::string& note : validation.notes) text += "\nNote: " + markdown_cell(note) + "\n";
  return text;
}

std::string to_csv(const Validation& validation) {
  std::string text;
  add_csv_row(text, {"run", "load", "metric", "statistic", "measured", "forecast", "error", "low", "high",
                     "inside", "cause"});
  for (const ValidatedLoad& load : validation.loads) {
    for (const ValidatedValue& value : load.values)
      add_csv_row(text, {load.run, load.load, value.metric, value.statistic, csv_number(value.measured),
                         csv_number(value.forecast), csv_number(value.error()),
                         value.interval ? csv_number(value.interval->low) : "",
                         value.interval ? csv_number(value.interval->high) : "",
                         value.interval ? (value.covered() ? "true" : "false") : "", name_of(load.cause)});
  }
  return text;
}

}  // namespace kvcast
