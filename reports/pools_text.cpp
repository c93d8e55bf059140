#include "reports/pools_text.h"

#include <fmt/format.h>

#include "reports/format.h"
#include "reports/html_page.h"
#include "reports/html_parts.h"
#include "reports/markdown_text.h"
#include "reports/svg.h"

namespace kvcast {
namespace {

/// One column of a table of pools.
struct Figure {
  std::string name;
  std::string value;
};

std::vector<Figure> figures_of(const PoolForecast& pool, const Forecast& forecast) {
  const Metrics& metrics = pool.metrics;
  std::vector<Figure> figures = {{"Replicas", grouped(pool.facts.replicas)},
                                 {"GPUs", grouped(pool.facts.gpus)},
                                 {"Requests completed", grouped(metrics.completed)},
                                 {"Tokens in steps", grouped(metrics.scheduled_tokens)},
                                 {"Tokens generated", grouped(metrics.total_output_tokens)},
                                 {"Busy", percent(metrics.gpu_busy_fraction)}};
  if (pool.facts.blocks_total > 0) {
    figures.push_back({"KV tokens a replica", grouped(pool.facts.tokens_total())});
    figures.push_back({"KV mean", metrics.scrapes > 0 ? percent(metrics.kv_usage_mean) : "-"});
    figures.push_back({"KV peak", percent(metrics.kv_usage_peak)});
  }
  figures.push_back({"TTFT p99", metrics.ttft.count > 0 ? latency(metrics.ttft.p99) : "-"});
  figures.push_back({"TPOT p99", metrics.tpot.count > 0 ? latency(metrics.tpot.p99) : "-"});
  if (const auto fraction = kv_link_fraction(pool, forecast))
    figures.push_back({"KV links busy", percent(*fraction)});
  if (pool.price)
    figures.push_back(
        {"Cost of the run", fixed(cost_of_pool(pool, forecast).total, 2) + " " + pool.price->currency});
  return figures;
}

/// What went from one pool to the other.
std::vector<Figure> transfer_figures(const Metrics& metrics) {
  if (metrics.kv_transfers + metrics.local_requests == 0) return {};
  std::vector<Figure> figures = {{"Prompts moved", grouped(metrics.kv_transfers)},
                                 {"Requests served whole", grouped(metrics.local_requests)},
                                 {"Tokens moved", grouped(metrics.kv_transfer_tokens)},
                                 {"KV moved", bytes(metrics.kv_transfer_bytes)}};
  if (metrics.kv_transfers == 0) return figures;
  const auto add = [&](const char* name, const LatencySummary& summary) {
    figures.push_back({std::string("Mean ") + name, latency(summary.mean)});
    figures.push_back({std::string("P99 ") + name, latency(summary.p99)});
  };
  add("prompt to first byte", metrics.kv_wait);
  add("first byte to last", metrics.kv_time);
  add("prompt to last byte", metrics.kv_behind);
  return figures;
}

}  // namespace

std::optional<double> kv_link_fraction(const PoolForecast& pool, const Forecast& forecast) {
  const double carried = pool.kv_bytes_per_s * forecast.metrics.duration_s;
  if (!(carried > 0)) return std::nullopt;
  return static_cast<double>(forecast.metrics.kv_transfer_bytes) / carried;
}

void add_pools(TextTable& table, const Forecast& forecast) {
  for (const PoolForecast& pool : forecast.pools) {
    table.section("Pool " + pool.name, '-', pool.gpu.substr(0, pool.gpu.find(": ")));
    for (const Figure& figure : figures_of(pool, forecast)) table.line(figure.name + ":", figure.value);
  }
  const std::vector<Figure> moved = transfer_figures(forecast.metrics);
  if (!moved.empty()) table.section("KV between Pools", '-');
  for (const Figure& figure : moved) table.line(figure.name + ":", figure.value);
}

std::string pools_markdown(const Forecast& forecast) {
  if (forecast.pools.empty()) return "";
  std::string text = "| pool |";
  std::string rule = "|---|";
  for (const Figure& figure : figures_of(forecast.pools.front(), forecast)) {
    text += " " + figure.name + " |";
    rule += "---:|";
  }
  text += "\n" + rule + "\n";
  for (const PoolForecast& pool : forecast.pools) {
    text += "| " + markdown_cell(pool.name) + " |";
    for (const Figure& figure : figures_of(pool, forecast)) text += " " + markdown_cell(figure.value) + " |";
    text += "\n";
  }
  const std::vector<Figure> moved = transfer_figures(forecast.metrics);
  if (!moved.empty()) text += "\n| KV between pools | |\n|---|---:|\n";
  for (const Figure& figure : moved)
    text += "| " + figure.name + " | " + markdown_cell(figure.value) + " |\n";
  return text + "\n";
}

std::string pools_html(const Forecast& forecast) {
  if (forecast.pools.empty()) return "";
  std::vector<HtmlTable::Column> columns = {{"Pool"}};
  for (const PoolForecast& pool : forecast.pools) columns.push_back({escaped(pool.name), "num"});
  HtmlTable table("compact", std::move(columns));
  std::vector<std::vector<Figure>> all;
  for (const PoolForecast& pool : forecast.pools) all.push_back(figures_of(pool, forecast));
  for (const Figure& row : all.front()) {
    std::vector<std::string> cells = {escaped(row.name)};
    for (const std::vector<Figure>& pool : all) {
      std::string value = "-";
      for (const Figure& figure : pool) value = figure.name == row.name ? figure.value : value;
      cells.push_back(escaped(value));
    }
    table.row(cells);
  }
  std::string html = html_section(
      "pools", "Pools", "Replicas of several shapes behind one router, over the whole run.", table.take());
  HtmlTable moved("compact", {{"KV between pools"}, {"", "num"}});
  for (const Figure& figure : transfer_figures(forecast.metrics))
    moved.row({escaped(figure.name), escaped(figure.value)});
  if (!moved.empty())
    html += html_section("kv-moved", "KV between pools",
                         "From the replicas that compute prompts to those that go on.", moved.take());
  for (const PoolForecast& pool : forecast.pools) {
    if (pool.budget.empty()) continue;
    const std::string room =
        fmt::format("room for {} tokens in every replica", grouped(pool.facts.tokens_total()));
    html += html_budget(pool.budget, room, pool.name);
  }
  return html;
}

}  // namespace kvcast
