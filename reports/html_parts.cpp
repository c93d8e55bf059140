#include "reports/html_parts.h"

#include <fmt/format.h>

#include "reports/charts.h"
#include "reports/definitions.h"
#include "reports/format.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

/// ` class="x"`, or nothing.
std::string class_attribute(const char* css_class) {
  return *css_class == '\0' ? "" : fmt::format(" class=\"{}\"", css_class);
}

/// Always the same unit, so that sizes compare at a glance; a true minus sign.
std::string gib(std::int64_t value) {
  const double size = static_cast<double>(value) / 0x1p30;
  return (value < 0 ? "\xE2\x88\x92" : "") + fixed(size < 0 ? -size : size, 2) + " GiB";
}

/// "cuda_graphs" as words, which may break over lines.
std::string words(std::string item) {
  for (char& c : item) c = c == '_' ? ' ' : c;
  return item;
}

/// The text of an element's content, without its tags.
std::string without_tags(const std::string& html) {
  std::string text;
  bool inside = false;
  for (const char c : html) {
    if (c == '<') inside = true;
    if (!inside) text += c;
    if (c == '>') inside = false;
  }
  return text;
}

std::string pair(const std::string& name, const std::string& html) {
  return fmt::format("<dt>{}</dt><dd>{}</dd>\n", escaped(name), html);
}

}  // namespace

std::string html_section(const char* id, const std::string& title, const std::string& lead,
                         const std::string& body) {
  return fmt::format("<section aria-labelledby=\"{0}\">\n<h2 id=\"{0}\">{1}</h2>\n{2}{3}</section>\n", id,
                     title, lead.empty() ? "" : "<p class=\"lead\">" + lead + "</p>\n", body);
}

HtmlTable::HtmlTable(const char* css_class, std::vector<Column> columns) : columns_(std::move(columns)) {
  named_cells_ = std::string_view(css_class).find("many") != std::string_view::npos;
  html_ = fmt::format("<table{}>\n<thead><tr>", class_attribute(css_class));
  for (const Column& column : columns_) {
    html_ += fmt::format("<th scope=\"col\"{}>{}</th>", class_attribute(column.css_class), column.name);
  }
  html_ += "</tr></thead>\n<tbody>\n";
}

void HtmlTable::row(const std::vector<std::string>& cells, const char* css_class) {
  KVCAST_CHECK(cells.size() == columns_.size());
  ++rows_;
  html_ += fmt::format("<tr{}>", class_attribute(css_class));
  for (std::size_t i = 0; i < cells.size(); ++i) {
    std::string attribute = class_attribute(columns_[i].css_class);
    if (named_cells_ && i > 0) attribute += " data-name=\"" + without_tags(columns_[i].name) + "\"";
    html_ += i == 0 ? fmt::format("<th scope=\"row\"{}>{}</th>", attribute, cells[i])
                    : fmt::format("<td{}>{}</td>", attribute, cells[i]);
  }
  html_ += "</tr>\n";
}

std::string HtmlTable::take() {
  // Where a table is wider than the window the keyboard scrolls it, from a term in it or from the table
  // itself.
  const bool focusable = html_.find("tabindex=\"0\"") != std::string::npos;
  return fmt::format("<div class=\"scroll\"{}>", focusable ? "" : " tabindex=\"0\"") + std::move(html_) +
         "</tbody></table></div>\n";
}

std::string html_card(const char* term, const char* name, const std::string& value,
                      const std::string& remark) {
  const std::size_t space = std::min(value.find(' '), value.size());
  const std::string unit = space == value.size() ? "" : value.substr(space + 1);
  return fmt::format(
      "<div class=\"card\"><div class=\"name\">{}</div><div class=\"value\">{}{}</div><div "
      "class=\"def\">{}</div></div>\n",
      html_term(term, name), escaped(value.substr(0, space)),
      unit.empty() ? "" : " <small>" + escaped(unit) + "</small>", escaped(remark));
}

std::string html_cards(const std::string& cards) { return "<div class=\"cards\">\n" + cards + "</div>\n"; }

std::string html_warning(const std::string& html) { return "<p class=\"warn\">" + html + "</p>\n"; }

std::string html_met(bool met) {
  return met ? "<span class=\"met\">&#10003; met</span>" : "<span class=\"missed\">&#10007; missed</span>";
}

std::string html_list(const std::vector<std::string>& texts) {
  if (texts.empty()) return "";
  std::string list;
  for (const std::string& text : texts) list += "<li>" + escaped(text) + "</li>\n";
  return "<ul>\n" + list + "</ul>\n";
}

std::string html_pairs(const std::vector<NamedText>& pairs) {
  std::string list;
  for (const auto& [name, text] : pairs) {
    if (!text.empty()) list += pair(name, escaped(text));
  }
  return "<dl>\n" + list + "</dl>\n";
}

std::string html_budget(const std::vector<BudgetLine>& budget, const std::string& room,
                        const std::string& pool) {
  if (budget.empty()) return "";
  Waterfall waterfall;
  std::int64_t level = 0;
  for (const BudgetLine& line : budget) {
    waterfall.rows.push_back(
        {words(line.item), static_cast<double>(line.bytes), gib(line.bytes), line.source});
    level += line.bytes;
  }
  waterfall.total = {"KV cache", static_cast<double>(level), gib(level), room};
  const std::string id = pool.empty() ? "memory" : "memory-" + pool;
  return html_section(
      id.c_str(), html_term("budget") + " of a GPU" + (pool.empty() ? "" : " of " + escaped(pool)),
      "What the GPU holds before the first request, and what remains for the KV cache.", draw(waterfall));
}

std::string html_budget(const Forecast& forecast) {
  const DeploymentFacts& facts = forecast.facts;
  std::string room;
  if (facts.kv_bytes_per_token > 0) {
    room = fmt::format("room for {} tokens of {} each{}", grouped(facts.tokens_total()),
                       bytes(facts.kv_bytes_per_token), facts.replicas > 1 ? ", in every replica" : "");
  }
  return html_budget(forecast.budget, room);
}

std::string html_uncertainty(const Forecast& forecast) {
  const std::string why = uncertainty_text(forecast);
  if (why.empty()) return "";
  HtmlTable table("compact",
                  {{"Latency"}, {"Statistic"}, {"Forecast", "num"}, {html_term("interval"), "num"}});
  for (const LatencyText& text : kLatencies) {
    const LatencySummary& summary = forecast.metrics.*text.summary;
    for (const auto& [statistic, value] : {std::pair{"mean", summary.mean}, {"p99", summary.p99}}) {
      const UncertainValue* interval = forecast.uncertainty.find(text.key, statistic);
      if (interval == nullptr) continue;
      table.row({html_term(text.key, text.name), statistic, latency(value),
                 latency(interval->low) + " to " + latency(interval->high)});
    }
  }
  const std::string rows = table.empty() ? "" : table.take();
  return html_section("uncertainty", "Calibration error",
                      "How well step times are known, and what follows for users.",
                      "<p>" + escaped(why) + "</p>\n" + rows);
}

std::string html_assumptions(const std::vector<Assumption>& assumptions) {
  if (assumptions.empty()) return "";
  std::string list;
  for (const Assumption& assumption : assumptions) {
    list += "<li>" + escaped(assumption.text);
    if (!assumption.source.empty())
      list += " <span class=\"source\">(" + escaped(assumption.source) + ")</span>";
    list += "</li>\n";
  }
  return html_section("assumptions", "Assumptions", "What the forecast rests on and nobody measured here.",
                      "<ul>\n" + list + "</ul>\n");
}

std::string html_origin(const Origin& origin) {
  std::string list;
  for (const auto& [name, text] : origin.facts) {
    if (!text.empty()) list += pair(name, escaped(text));
  }
  if (!origin.command.empty()) list += pair("Command", "<code>" + escaped(origin.command) + "</code>");
  if (!origin.seed.empty()) list += pair("Seed", escaped(origin.seed));
  list += pair("Version", "kvcast " + escaped(origin.version));
  for (const InputHash& input : origin.inputs)
    list += pair("Input", escaped(input.path) + " <code>" + escaped(input.hash) + "</code>");
  std::string body = "<dl>\n" + list + "</dl>\n";
  if (!origin.resolved.empty()) {
    body +=
        "<details><summary>Every setting in force, and where it came from</summary>\n<pre tabindex=\"0\">" +
        escaped(origin.resolved) + "</pre></details>\n";
  }
  return html_section("origin", "How to repeat it", "Equal inputs, seed and version give an equal report.",
                      body);
}

}  // namespace kvcast
