// kvcast memory as CSV, Markdown and HTML.
#include <fmt/format.h>

#include "reports/charts.h"
#include "reports/csv_text.h"
#include "reports/definitions.h"
#include "reports/format.h"
#include "reports/html_page.h"
#include "reports/html_parts.h"
#include "reports/markdown_text.h"
#include "reports/report.h"

namespace kvcast {
namespace {

std::string verdict(const MemoryForecast& report) {
  if (!report.fits) return "Does not fit: " + report.message;
  return fmt::format("Fits: {} tokens of KV cache, {} requests of {} tokens at once.",
                     grouped(report.kv.tokens_total), fixed(report.kv.max_concurrency, 2),
                     grouped(report.max_model_len));
}

struct Fact {
  std::string name, value, note;
};

std::vector<Fact> weight_facts(const MemoryForecast::Weights& weights) {
  std::vector<Fact> facts = {
      {"Parameters of the model", grouped(weights.parameters), "the whole model"},
      {"Parameters on this rank", bytes(weights.bytes_per_rank), grouped(weights.bytes_per_rank) + " B"}};
  if (weights.buffer_bytes > 0)
    facts.push_back({"Buffers", bytes(weights.buffer_bytes), "rotary tables, index maps"});
  if (weights.mla_absorbed_bytes > 0)
    facts.push_back(
        {"Absorbed MLA", bytes(weights.mla_absorbed_bytes), "copies of kv_b_proj made after loading"});
  if (weights.draft_bytes > 0) facts.push_back({"Draft model", bytes(weights.draft_bytes), ""});
  facts.push_back(
      {"Loaded", bytes(weights.loaded_bytes), "the sum, " + grouped(weights.loaded_bytes) + " B"});
  return facts;
}

std::vector<Fact> kv_facts(const MemoryForecast& report) {
  const MemoryForecast::Kv& kv = report.kv;
  std::vector<Fact> facts = {{"Type", kv.dtype, ""},
                             {"Bytes a token", grouped(kv.bytes_per_token), "of all layers, on one rank"}};
  if (kv.state_bytes_per_sequence > 0)
    facts.push_back(
        {"State a sequence", bytes(kv.state_bytes_per_sequence), "recurrent layers, whatever the length"});
  facts.push_back({"Bytes a block", grouped(kv.bytes_per_block), ""});
  facts.push_back(
      {"Blocks", grouped(kv.blocks_total), grouped(kv.blocks_usable) + " usable, without the null block"});
  facts.push_back({"Tokens", grouped(kv.tokens_total), "as the engine reports it"});
  facts.push_back({"Tokens that fit", grouped(kv.tokens_capacity), "in requests of max_model_len"});
  facts.push_back({"Maximum concurrency", fixed(kv.max_concurrency, 2),
                   fmt::format("requests of {} tokens (max_model_len)", grouped(report.max_model_len))});
  for (const MemoryForecast::Line& line : report.lines)
    facts.push_back({line.label, line.value + (line.unit.empty() ? "" : " " + line.unit), line.source});
  return facts;
}

std::string table_of(const std::vector<Fact>& facts) {
  HtmlTable table("roomy", {{"What"}, {"Value", "num"}, {"Note", "source"}});
  for (const Fact& fact : facts) {
    if (!fact.value.empty()) table.row({escaped(fact.name), escaped(fact.value), escaped(fact.note)});
  }
  return table.take();
}

std::string groups_of(const MemoryForecast::Kv& kv) {
  if (kv.groups.empty()) return "";
  HtmlTable table("compact", {{"Layers"}, {"Kind"}, {"Tokens a block", "num"}, {"Page, B", "num"}});
  for (const KvGroupLine& group : kv.groups)
    table.row(
        {grouped(group.layers), escaped(group.kind), grouped(group.block_size), grouped(group.page_bytes)});
  return html_section("groups", "Groups of layers", "Layers that share one kind of KV cache.", table.take());
}

}  // namespace

std::string to_csv(const MemoryForecast& report) { return csv_of_json(to_json(report)); }

std::string to_markdown(const MemoryForecast& report) {
  std::string text =
      fmt::format("## Memory: {}\n\n**{}**\n\n", markdown_cell(report.title), markdown_cell(verdict(report)));
  for (const std::string& warning : report.warnings) text += "> " + markdown_cell(warning) + "\n\n";
  std::int64_t left = 0;
  if (!report.budget.empty()) text += "| memory per rank | GiB | source |\n|---|---:|---|\n";
  for (const BudgetLine& line : report.budget) {
    text += fmt::format("| {} | {} | {} |\n", markdown_cell(line.item),
                        fixed(static_cast<double>(line.bytes) / 0x1p30, 3), markdown_cell(line.source));
    left += line.bytes;
  }
  if (!report.budget.empty())
    text += fmt::format("| **KV cache** | **{}** | what remains |\n\n",
                        fixed(static_cast<double>(left) / 0x1p30, 3));
  text += "| what | value | note |\n|---|---:|---|\n";
  for (const std::vector<Fact>& facts : {weight_facts(report.weights), kv_facts(report)}) {
    for (const Fact& fact : facts) {
      if (!fact.value.empty())
        text += fmt::format("| {} | {} | {} |\n", markdown_cell(fact.name), markdown_cell(fact.value),
                            markdown_cell(fact.note));
    }
  }
  text += "\n";
  for (const Assumption& assumption : report.assumptions)
    text += "- " + markdown_cell(assumption.text) +
            (assumption.source.empty() ? "" : " (" + markdown_cell(assumption.source) + ")") + "\n";
  return text + fmt::format("\nkvcast {}\n", markdown_cell(report.version));
}

std::string to_html(const MemoryForecast& report) {
  HtmlPage page;
  page.title = "Memory: " + report.title;
  page.sub = report.cluster;
  page.verdict = verdict(report);
  page.bad = !report.fits;
  for (const std::string& warning : report.warnings) page.warnings.push_back(escaped(warning));
  page.body =
      html_cards(html_card("kv_tokens", "KV cache", grouped(report.kv.tokens_total) + " tokens",
                           bytes(report.kv.bytes_per_token) + " a token, on one rank") +
                 html_card("kv_concurrency", "At once", fixed(report.kv.max_concurrency, 1) + " requests",
                           "of " + grouped(report.max_model_len) + " tokens (max_model_len)") +
                 html_card("kv_longest", "Longest request", grouped(report.fits_max_model_len) + " tokens",
                           "that passes the engine's check") +
                 html_card("weights", "Weights", bytes(report.weights.loaded_bytes), "loaded, on one rank")) +
      html_budget(report.budget, fmt::format("room for {} tokens of {} each", grouped(report.kv.tokens_total),
                                             bytes(report.kv.bytes_per_token))) +
      html_section("weights", "Weights", "On one rank.", table_of(weight_facts(report.weights))) +
      html_section("kv", "KV cache", "On one rank.", table_of(kv_facts(report))) + groups_of(report.kv) +
      html_section("setup", "What was sized", "",
                   html_pairs({{"Model", report.model},
                               {"GPU", report.gpu},
                               {"Engine", report.engine},
                               {"Cluster", report.cluster}})) +
      html_assumptions(report.assumptions) +
      html_origin({.facts = {},
                   .version = report.version,
                   .command = report.command,
                   .seed = "",
                   .inputs = report.inputs,
                   .resolved = ""});
  return to_html(page);
}

}  // namespace kvcast
