// The HTML report and the CSV of a timing comparison.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "reports/charts.h"
#include "reports/csv_text.h"
#include "reports/definitions.h"
#include "reports/format.h"
#include "reports/html_page.h"
#include "reports/html_parts.h"
#include "reports/regression.h"

namespace kvcast {
namespace {

constexpr std::size_t kRowsMax = 200;  // in a table; a page stays below 1 MB
constexpr std::size_t kPointsMax = 2000;

std::string label_of(const KernelChange& change) {
  return change.verdict != TimingVerdict::slower && change.below_efficiency()
             ? "inefficient"
             : std::string(to_string(change.verdict));
}

std::string verdict_html(const KernelChange& change) {
  const std::string label = escaped(label_of(change));
  if (change.fails()) return "<span class=\"missed\">&#10007; " + label + "</span>";
  return change.verdict == TimingVerdict::faster ? "<span class=\"met\">&#10003; " + label + "</span>"
                                                 : label;
}

std::string cards(const Regression& regression) {
  const auto failing = std::count_if(regression.kernels.begin(), regression.kernels.end(),
                                     [](const KernelChange& change) { return change.fails(); });
  const auto card = [](const std::string& name, std::int64_t value, const char* definition) {
    return fmt::format(
        "<div class=\"card\"><div class=\"name\">{}</div><div class=\"value\">{}</div><div "
        "class=\"def\">{}</div></div>\n",
        escaped(name), grouped(value), definition);
  };
  std::string html = card("Failing", failing, "slower beyond doubt, or below the efficiency asked for");
  html +=
      card("Suspect", regression.count(TimingVerdict::suspect), "slower by more than half of the threshold");
  html += card("Unchanged", regression.count(TimingVerdict::unchanged), "no change that counts");
  html += card("Faster", regression.count(TimingVerdict::faster), "faster beyond doubt");
  html += card("Undecided", regression.count(TimingVerdict::undecided), "too few samples, or no spread");
  return html_cards(html);
}

/// From the lowest to the highest end of the rows' intervals, zero and thresholds among them.
WhiskerScale scale_of(const std::vector<const KernelChange*>& rows) {
  WhiskerScale scale{-0.01, 0.01, 0};
  for (const KernelChange* change : rows) {
    scale.low = std::min({scale.low, change->low, change->change});
    scale.high = std::max({scale.high, change->high, change->change, change->threshold});
  }
  return scale;
}

std::string forest(const std::vector<const KernelChange*>& rows, bool judged) {
  const bool efficient = std::any_of(
      rows.begin(), rows.end(), [](const KernelChange* change) { return change->efficiency.has_value(); });
  std::vector<HtmlTable::Column> columns = {{"Kernel"},
                                            {"Change and interval", "pic"},
                                            {judged ? "Verdict" : "Role"},
                                            {"Change", "num"},
                                            {html_term("interval95"), "num"},
                                            {html_term("noise_floor", "Threshold"), "num"},
                                            {"Base to new", "num"}};
  if (efficient) columns.push_back({html_term("efficiency"), "num"});
  HtmlTable table("bars many", columns);
  const WhiskerScale scale = scale_of(rows);
  for (const KernelChange* change : rows) {
    Whisker whisker{change->change, change->low, change->high, change->verdict != TimingVerdict::unchanged};
    if (judged) whisker.limit = change->threshold;
    std::vector<std::string> cells = {
        escaped(change->name) + (change->quantity == TimedQuantity::cycles ? " (cycles)" : ""),
        draw(whisker, scale),
        judged ? verdict_html(*change) : html_term("sentinel"),
        change_text(change->change),
        fmt::format("{} to {}", change_text(change->low), change_text(change->high)),
        judged ? fmt::format("{:.1f} %", 100 * change->threshold) : "-",
        fmt::format("{} to {}", time_text(change->base_ns), time_text(change->new_ns))};
    if (efficient) cells.push_back(change->efficiency ? percent(*change->efficiency) : "-");
    table.row(cells);
  }
  return table.take();
}

std::string listed(std::vector<const KernelChange*> rows) {
  std::string more;
  if (rows.size() > kRowsMax) {
    more = fmt::format("<p class=\"lead\">and {} more; --json and --csv have all.</p>\n",
                       grouped(static_cast<std::int64_t>(rows.size() - kRowsMax)));
    rows.resize(kRowsMax);
  }
  return forest(rows, true) + more;
}

std::string changes(const Regression& regression) {
  std::vector<const KernelChange*> changed, same;
  for (const KernelChange* change : by_urgency(regression))
    (change->verdict == TimingVerdict::unchanged && !change->fails() ? same : changed).push_back(change);
  std::string body = changed.empty() ? "<p>None changed.</p>\n" : listed(changed);
  if (!same.empty())
    body += fmt::format("<details><summary>{} unchanged</summary>\n{}</details>\n",
                        grouped(static_cast<std::int64_t>(same.size())), listed(same));
  return html_section(
      "changes", "Kernels that changed",
      "The worst first. A kernel is slower where its whole interval lies beyond the threshold (the "
      "mark): the noise that is allowed for kernels of its length.",
      body);
}

std::string sentinels(const Regression& regression) {
  std::vector<const KernelChange*> rows;
  for (const KernelChange& sentinel : regression.sentinels) rows.push_back(&sentinel);
  const std::vector<std::string> notes = device_notes(regression);
  if (rows.empty() && notes.empty()) return "";
  return html_section("device", "Did the device change?",
                      "Sentinels do the same work in every build: what changes in them is the device's.",
                      html_list(notes) + (rows.empty() ? "" : forest(rows, false)));
}

/// The floor of the noise as a line over time: a step where it changes.
ChartSeries floor_line(double low_us, double high_us) {
  ChartSeries line{"threshold", "grey", ChartSeries::Form::line, {}};
  constexpr double kNudge = 1e-6;
  std::vector<double> places{low_us};
  for (const double edge : {20.0, 100.0}) {
    if (edge > low_us && edge < high_us) places.insert(places.end(), {edge * (1 - kNudge), edge});
  }
  places.push_back(high_us);
  for (const double us : places) line.points.push_back({us, noise_floor(1e3 * us), ""});
  return line;
}

std::string changes_over_time(const Regression& regression) {
  std::array<ChartSeries, 3> series{{{"unchanged or faster", "blue", ChartSeries::Form::dots, {}},
                                     {"suspect or undecided", "purple", ChartSeries::Form::rings, {}},
                                     {"failing", "orange", ChartSeries::Form::dots, {}}}};
  double low = 1e300, high = 0;
  std::size_t drawn = 0;
  for (const KernelChange* change : by_urgency(regression)) {
    if (change->base_ns <= 0 || ++drawn > kPointsMax) continue;
    const double us = change->base_ns / 1e3;
    low = std::min(low, us);
    high = std::max(high, us);
    const bool open =
        change->verdict == TimingVerdict::suspect || change->verdict == TimingVerdict::undecided;
    series[change->fails() ? 2
           : open          ? 1
                           : 0]
        .points.push_back({us, change->change,
                           fmt::format("{}: {}, {} to {}", change->name, change_with_interval(*change),
                                       time_text(change->base_ns), time_text(change->new_ns))});
  }
  if (drawn == 0) return "";
  XyChart chart;
  chart.id = "changes-chart";
  chart.title = "Change over the time that a kernel takes";
  chart.description = "Above zero is slower. The grey line is the threshold for kernels of that length.";
  chart.x = {"time of the base, us"};
  chart.y = {"change", Quantity::share, ChartAxis::Scale::tight};
  chart.series.push_back(floor_line(low, high));
  for (ChartSeries& one : series) chart.series.push_back(std::move(one));
  return html_section("all", "All kernels", "Point at one to see its name.", draw(chart));
}

std::string reasons(const Regression& regression) {
  std::vector<std::string> list;
  for (const KernelChange* change : by_urgency(regression)) {
    const std::string reason = reason_of(*change);
    if (!reason.empty() && list.size() < kRowsMax) list.push_back(change->name + ": " + reason);
  }
  return list.empty() ? "" : html_section("why", "Why they fail or stay undecided", "", html_list(list));
}

std::string names(const char* id, const char* title, const char* lead, std::vector<std::string> list) {
  if (list.empty()) return "";
  if (list.size() > kRowsMax) {
    const std::size_t more = list.size() - kRowsMax;
    list.resize(kRowsMax);
    list.push_back(fmt::format("and {} more", more));
  }
  return html_section(id, title, lead, html_list(list));
}

std::vector<InputHash> inputs_of(const Regression& regression) {
  std::vector<InputHash> inputs;
  if (!regression.base_hash.empty()) inputs.push_back({regression.base_name, regression.base_hash});
  if (!regression.new_hash.empty()) inputs.push_back({regression.new_name, regression.new_hash});
  return inputs;
}

}  // namespace

std::string to_html(const Regression& regression) {
  HtmlPage page;
  page.title = "Kernel timings: " + std::string(regression.fails() ? "regression" : "no regression");
  page.sub = regression.base_name + " \xE2\x86\x92 " + regression.new_name;
  page.verdict = verdict_of(regression);
  page.bad = regression.fails();
  for (const std::string& warning : regression.warnings) page.warnings.push_back(escaped(warning));
  page.body = cards(regression) + changes_over_time(regression) + changes(regression) + reasons(regression) +
              sentinels(regression) +
              names("missing", "Missing", "Measured in the base, not in the new file.", regression.missing) +
              names("added", "New", "Not measured in the base.", regression.added) +
              html_origin({.facts = {{"Base", regression.base_name + ", " + regression.base_device},
                                     {"New", regression.new_name + ", " + regression.new_device}},
                           .version = regression.version,
                           .command = regression.command,
                           .seed = regression.seed,
                           .inputs = inputs_of(regression),
                           .resolved = ""});
  return to_html(page);
}

std::string to_csv(const Regression& regression) {
  std::string text;
  add_csv_row(text, {"kernel", "verdict", "quantity", "base_ns", "new_ns", "change", "low", "high",
                     "threshold", "p", "n_base", "n_new", "efficiency", "fails"});
  const auto add = [&](const KernelChange& change, const std::string& verdict) {
    add_csv_row(text,
                {change.name, verdict, std::string(to_string(change.quantity)), csv_number(change.base_ns),
                 csv_number(change.new_ns), csv_number(change.change), csv_number(change.low),
                 csv_number(change.high), csv_number(change.threshold), csv_number(change.p),
                 fmt::format("{}", change.n_base), fmt::format("{}", change.n_new),
                 change.efficiency ? csv_number(*change.efficiency) : "", change.fails() ? "true" : "false"});
  };
  for (const KernelChange& change : regression.kernels) add(change, label_of(change));
  for (const KernelChange& change : regression.sentinels) add(change, "sentinel");
  return text;
}

}  // namespace kvcast
