// A calibration's errors as text, JSON, CSV and Markdown.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "reports/csv_text.h"
#include "reports/fit_report.h"
#include "reports/format.h"
#include "reports/markdown_text.h"

namespace kvcast {
namespace {

using Json = nlohmann::ordered_json;

std::string error_text(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string decade_text(int decade) {
  constexpr std::array<const char*, 8> kEnds = {"1 us",  "10 us",  "100 us", "1 ms",
                                                "10 ms", "100 ms", "1 s",    "10 s"};
  if (decade < 0) return "below 1 us";
  const auto at = static_cast<std::size_t>(decade);
  return at + 1 < kEnds.size() ? std::string(kEnds[at]) + " to " + kEnds[at + 1]
                               : std::string("above ") + kEnds.back();
}

/// \param values not empty
double quantile(std::vector<double>& values, double share) {
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

struct Errors {
  std::vector<double> held_out, seen;
};

FitRow row_of(const std::string& kernel, const std::string& decade, Errors errors) {
  FitRow row{.kernel = kernel, .decade = decade};
  row.points = static_cast<std::int64_t>(errors.held_out.size());
  if (row.points > 0) {
    row.median = quantile(errors.held_out, 0.5);
    row.p90 = quantile(errors.held_out, 0.9);
    row.p99 = quantile(errors.held_out, 0.99);
  }
  row.seen_points = static_cast<std::int64_t>(errors.seen.size());
  if (row.seen_points > 0) {
    row.seen_median = quantile(errors.seen, 0.5);
    row.seen_p90 = quantile(errors.seen, 0.9);
  }
  return row;
}

Json row_json(const FitRow& row) {
  Json json = {
      {"kernel", row.kernel},
      {"time", row.decade},
      {"held_out", {{"points", row.points}, {"median", row.median}, {"p90", row.p90}, {"p99", row.p99}}}};
  if (row.points == 0) json["held_out"] = {{"points", 0}};
  if (row.seen_points > 0)
    json["fit"] = {{"points", row.seen_points}, {"median", row.seen_median}, {"p90", row.seen_p90}};
  return json;
}

const char* error_definition(const FitReport& report) {
  return report.log_errors ? "|log(forecast / measured)|" : "|forecast / measured - 1|";
}

}  // namespace

std::vector<FitRow> fit_rows(const std::vector<FitPoint>& points) {
  std::vector<std::string> order;
  std::map<std::string, std::map<int, Errors>> by_kernel;
  for (const FitPoint& point : points) {
    if (point.us <= 0) continue;
    if (by_kernel.count(point.kernel) == 0) order.push_back(point.kernel);
    Errors& errors = by_kernel[point.kernel][static_cast<int>(std::floor(std::log10(point.us)))];
    (point.held_out ? errors.held_out : errors.seen).push_back(std::abs(point.forecast / point.us - 1));
  }
  std::vector<FitRow> rows;
  for (const std::string& kernel : order) {
    Errors all;
    for (const auto& [decade, errors] : by_kernel[kernel]) {
      rows.push_back(row_of(kernel, decade_text(decade), errors));
      all.held_out.insert(all.held_out.end(), errors.held_out.begin(), errors.held_out.end());
      all.seen.insert(all.seen.end(), errors.seen.begin(), errors.seen.end());
    }
    rows.push_back(row_of(kernel, "all", std::move(all)));
  }
  return rows;
}

std::string hold_out_text(const std::vector<FitRow>& rows) {
  std::string text = fmt::format("{:<20} {:<16} {:>7} {:>9} {:>8} {:>8}\n", "Held-out points",
                                 "measured time", "points", "median", "p90", "p99");
  for (const FitRow& row : rows)
    text += fmt::format("{:<20} {:<16} {:>7} {:>9} {:>8} {:>8}\n", row.kernel, row.decade, row.points,
                        error_text(row.median), error_text(row.p90), error_text(row.p99));
  return text;
}

std::string to_json(const FitReport& report) {
  Json json = {{"schema_version", 1},         {"title", report.title},
               {"description", report.sub},   {"verdict", report.verdict},
               {"held_out", report.held_out}, {"error", error_definition(report)}};
  json["rows"] = Json::array();
  for (const FitRow& row : report.rows) json["rows"].push_back(row_json(row));
  if (!report.terms.empty()) json["terms"] = Json::array();
  for (const FitTerm& term : report.terms)
    json["terms"].push_back(
        {{"fit", term.fit}, {"term", term.term}, {"us", term.us}, {"standard_error_us", term.us_error}});
  if (!report.runs.empty()) json["runs"] = Json::array();
  for (const FitRun& run : report.runs)
    json["runs"].push_back({{"fit", run.fit},
                            {"run", run.run},
                            {"steps", run.steps},
                            {"median", run.median},
                            {"p90", run.p90},
                            {"speed", run.speed},
                            {"median_at_speed", run.scaled_median},
                            {"p90_at_speed", run.scaled_p90}});
  json["notes"] = report.notes;
  if (!report.seed.empty()) json["seed"] = report.seed;
  json["version"] = report.version;
  json["inputs"] = Json::object();
  for (const InputHash& input : report.inputs) json["inputs"][input.path] = input.hash;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_csv(const FitReport& report) {
  std::string text;
  add_csv_row(text, {"kernel", "time", "held_out_points", "held_out_median", "held_out_p90", "held_out_p99",
                     "fit_points", "fit_median", "fit_p90"});
  for (const FitRow& row : report.rows) {
    const auto known = [](std::int64_t points, double value) { return points > 0 ? csv_number(value) : ""; };
    add_csv_row(text,
                {row.kernel, row.decade, fmt::format("{}", row.points), known(row.points, row.median),
                 known(row.points, row.p90), known(row.points, row.p99), fmt::format("{}", row.seen_points),
                 known(row.seen_points, row.seen_median), known(row.seen_points, row.seen_p90)});
  }
  return text;
}

std::string to_markdown(const FitReport& report) {
  std::string text =
      fmt::format("## {}\n\n{}\n\n**{}**\n\n{} Errors are {}.\n\n", markdown_cell(report.title),
                  markdown_cell(report.sub), markdown_cell(report.verdict), markdown_cell(report.held_out),
                  markdown_cell(error_definition(report)));
  text += fmt::format(
      "| {} | measured time | held out | median | p90 | p99 | fitted | median | p90 |\n"
      "|---|---|---:|---:|---:|---:|---:|---:|---:|\n",
      report.row_name);
  for (const FitRow& row : report.rows) {
    const auto known = [](std::int64_t points, double value) { return points > 0 ? error_text(value) : "-"; };
    text += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", markdown_cell(row.kernel),
                        row.decade, grouped(row.points), known(row.points, row.median),
                        known(row.points, row.p90), known(row.points, row.p99), grouped(row.seen_points),
                        known(row.seen_points, row.seen_median), known(row.seen_points, row.seen_p90));
  }
  if (!report.runs.empty())
    text +=
        "\n| run held out | steps | median | p90 | speed | median with it | p90 with it |\n"
        "|---|---:|---:|---:|---:|---:|---:|\n";
  for (const FitRun& run : report.runs)
    text += fmt::format("| {} | {} | {} | {} | {:.3f} | {} | {} |\n", markdown_cell(run.run),
                        grouped(run.steps), error_text(run.median), error_text(run.p90), run.speed,
                        error_text(run.scaled_median), error_text(run.scaled_p90));
  if (!report.terms.empty())
    text += "\n| a step's time is the sum of | us each | standard error |\n|---|---:|---:|\n";
  for (const FitTerm& term : report.terms)
    text +=
        fmt::format("| {}{} | {:.4g} | {:.2g} |\n", term.fit.empty() ? "" : markdown_cell(term.fit) + ": ",
                    markdown_cell(term.term), term.us, term.us_error);
  for (const std::string& note : report.notes) text += "\n> " + markdown_cell(note) + "\n";
  text += fmt::format("\nkvcast {}", markdown_cell(report.version));
  for (const InputHash& input : report.inputs)
    text += fmt::format(", {} `{}`", markdown_cell(input.path), input.hash);
  return text + "\n";
}

}  // namespace kvcast
