#include "reports/decisions_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "reports/csv_text.h"
#include "reports/definitions.h"
#include "reports/format.h"
#include "reports/html_page.h"
#include "reports/html_parts.h"
#include "reports/markdown_text.h"
#include "reports/svg.h"

namespace kvcast {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kDifferencesMax = 50;  // shown in full on a page
constexpr std::size_t kRowsMax = 1500;

std::int64_t steps_of(const DecisionsReport& report) {
  std::int64_t steps = 0;
  for (const ReplayedLog& log : report.logs) steps += log.steps;
  return steps;
}

/// The lines around a difference, both sides marked.
std::string sides(const ReplayDifference& difference) {
  std::string text;
  for (const std::string& line : difference.context) text += "both:    " + line + "\n";
  return text + "engine:  " + difference.expected + "\nkvcast:  " + difference.made + "\n";
}

std::string log_table(const DecisionsReport& report) {
  HtmlTable table("roomy", {{"Log"},
                            {"Engine"},
                            {"Decisions"},
                            {html_term("step", "Steps"), "num"},
                            {html_term("closed_form", "In closed form"), "num"},
                            {"Note", "source"}});
  std::vector<const ReplayedLog*> logs;
  for (const ReplayedLog& log : report.logs) logs.push_back(&log);
  // What differs comes first, in the order given.
  std::stable_sort(logs.begin(), logs.end(), [](const ReplayedLog* a, const ReplayedLog* b) {
    return a->difference.has_value() > b->difference.has_value();
  });
  const std::size_t all = logs.size();
  logs.resize(std::min(all, kRowsMax));
  for (const ReplayedLog* log : logs) {
    table.row({escaped(log->name.empty() ? log->path : log->name), escaped(log->engine),
               log->difference ? "<span class=\"missed\">&#10007; differs</span>"
                               : "<span class=\"met\">&#10003; equal</span>",
               grouped(log->steps), grouped(log->steps_grouped), escaped(log->note)});
  }
  const std::string more = all > logs.size() ? fmt::format(" {} more are in --json.", all - logs.size()) : "";
  return html_section(
      "logs", "Logs",
      "Each log's settings, requests and clock are replayed by the scheduler, cache and event loop of "
      "every simulation." +
          more,
      table.take());
}

std::string differences(const DecisionsReport& report) {
  std::string body;
  std::size_t shown = 0;
  for (const ReplayedLog& log : report.logs) {
    if (!log.difference || ++shown > kDifferencesMax) continue;
    body += fmt::format("<h3>{}, {}</h3>\n<pre class=\"wrap\" tabindex=\"0\">{}</pre>\n", escaped(log.name),
                        escaped(log.difference->where), escaped(sides(*log.difference)));
  }
  return body.empty()
             ? ""
             : html_section("differences", "First differences", "Both sides, and the steps before.", body);
}

}  // namespace

std::size_t DecisionsReport::equal() const {
  return static_cast<std::size_t>(
      std::count_if(logs.begin(), logs.end(), [](const ReplayedLog& log) { return !log.difference; }));
}

std::string verdict_of(const DecisionsReport& report) {
  return fmt::format("{} of {} logs equal in every decision", report.equal(), report.logs.size());
}

std::string to_text(const ReplayedLog& log) {
  if (!log.difference)
    return fmt::format("equal    {} {}: {} steps; the closed form took {}{}{}\n", log.engine, log.name,
                       log.steps, log.steps_grouped, log.note.empty() ? "" : "; ", log.note);
  const ReplayDifference& difference = *log.difference;
  std::string text =
      fmt::format("DIFFERS  {} {} ({}): {}\n", log.engine, log.name, log.path, difference.where);
  for (const std::string& line : difference.context) text += fmt::format("  both:    {}\n", line);
  return text + fmt::format("  engine:  {}\n  kvcast:  {}\n", difference.expected, difference.made);
}

std::string to_json(const DecisionsReport& report) {
  Json json = {{"schema_version", 1},
               {"equal", report.equal()},
               {"logs_total", report.logs.size()},
               {"steps", steps_of(report)}};
  json["logs"] = Json::array();
  for (const ReplayedLog& log : report.logs) {
    Json one = {{"path", log.path},         {"name", log.name},   {"engine", log.engine},
                {"equal", !log.difference}, {"steps", log.steps}, {"steps_closed_form", log.steps_grouped}};
    if (!log.note.empty()) one["note"] = log.note;
    if (log.difference)
      one["difference"] = {{"where", log.difference->where},
                           {"engine", log.difference->expected},
                           {"kvcast", log.difference->made},
                           {"context", log.difference->context}};
    json["logs"].push_back(std::move(one));
  }
  json["version"] = report.version;
  json["inputs"] = Json::object();
  for (const InputHash& input : report.inputs) json["inputs"][input.path] = input.hash;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_csv(const DecisionsReport& report) {
  std::string text;
  add_csv_row(text, {"path", "name", "engine", "equal", "steps", "steps_closed_form", "difference", "note"});
  for (const ReplayedLog& log : report.logs)
    add_csv_row(text, {log.path, log.name, log.engine, log.difference ? "false" : "true",
                       fmt::format("{}", log.steps), fmt::format("{}", log.steps_grouped),
                       log.difference ? log.difference->where : "", log.note});
  return text;
}

std::string to_markdown(const DecisionsReport& report) {
  std::string text = fmt::format(
      "## Decisions\n\n**{}** ({} steps)\n\n| log | engine | decisions | steps | in closed form |\n"
      "|---|---|---|---:|---:|\n",
      verdict_of(report), grouped(steps_of(report)));
  for (const ReplayedLog& log : report.logs)
    text += fmt::format("| {} | {} | {} | {} | {} |\n", markdown_cell(log.name), markdown_cell(log.engine),
                        log.difference ? "**differs**: " + markdown_cell(log.difference->where) : "equal",
                        grouped(log.steps), grouped(log.steps_grouped));
  for (const ReplayedLog& log : report.logs) {
    if (log.difference)
      text += fmt::format("\n{}, {}:\n\n```text\n{}```\n", markdown_cell(log.name),
                          markdown_cell(log.difference->where), sides(*log.difference));
  }
  return text + fmt::format("\nkvcast {}\n", report.version);
}

std::string to_html(const DecisionsReport& report) {
  HtmlPage page;
  page.title = "Decisions beside the engine's";
  page.sub = fmt::format("{} logs, {} steps", report.logs.size(), grouped(steps_of(report)));
  page.verdict = verdict_of(report);
  page.bad = report.equal() < report.logs.size();
  page.body = differences(report) + log_table(report) +
              html_origin({.facts = {},
                           .version = report.version,
                           .command = report.command,
                           .seed = "",
                           .inputs = report.inputs,
                           .resolved = ""});
  return to_html(page);
}

}  // namespace kvcast
