// `kvcast memory`: one number a line, each with its source.
#include <fmt/format.h>

#include "reports/format.h"
#include "reports/report.h"
#include "reports/text_table.h"

namespace kvcast {
namespace {

std::string gib(std::int64_t value) { return fixed(static_cast<double>(value) / 0x1p30, 3); }

void add_head(TextTable& table, const MemoryForecast& report) {
  if (!report.title.empty()) table.paragraph(report.title, TextTable::kBold);
  for (const std::string* text : {&report.model, &report.gpu, &report.engine, &report.cluster}) {
    if (!text->empty()) table.paragraph(*text, TextTable::kPlain, 2);
  }
}

void add_budget(TextTable& table, const MemoryForecast& report) {
  if (report.budget.empty()) return;
  table.section(" Memory per Rank (GiB) ", '=');
  std::int64_t left = 0;
  for (const BudgetLine& line : report.budget) {
    table.line(line.item, fmt::format("{:>10}", gib(line.bytes)), line.source);
    left += line.bytes;
  }
  table.line("= KV cache", fmt::format("{:>10}", gib(left)), "what remains");
}

/// Bytes as people read them, the exact count beside.
void add_bytes(TextTable& table, const std::string& label, std::int64_t value,
               const std::string& remark = "") {
  table.line(label, bytes(value), grouped(value) + " B" + (remark.empty() ? "" : ", " + remark));
}

void add_weights(TextTable& table, const MemoryForecast::Weights& weights) {
  table.section("Weights", '-', "per rank");
  table.line("Parameters of the model (billion):", fixed(static_cast<double>(weights.parameters) / 1e9, 3),
             grouped(weights.parameters));
  add_bytes(table, "Parameters on this rank:", weights.bytes_per_rank);
  if (weights.buffer_bytes > 0)
    add_bytes(table, "Buffers:", weights.buffer_bytes, "rotary tables, index maps");
  if (weights.mla_absorbed_bytes > 0) {
    add_bytes(table, "Absorbed MLA:", weights.mla_absorbed_bytes, "copies of kv_b_proj made after loading");
  }
  if (weights.draft_bytes > 0) add_bytes(table, "Draft model:", weights.draft_bytes);
  add_bytes(table, "Loaded:", weights.loaded_bytes, "the sum");
}

void add_kv(TextTable& table, const MemoryForecast& report) {
  const MemoryForecast::Kv& kv = report.kv;
  table.section("KV Cache", '-', kv.dtype.empty() ? "per rank" : "per rank, " + kv.dtype);
  add_bytes(table, "Per token:", kv.bytes_per_token);
  if (kv.state_bytes_per_sequence > 0) {
    add_bytes(table, "State per sequence:", kv.state_bytes_per_sequence,
              "recurrent layers, whatever the length");
  }
  add_bytes(table, "Per block:", kv.bytes_per_block);
  for (const KvGroupLine& group : kv.groups) {
    add_bytes(table, fmt::format("  {} layers, {}:", grouped(group.layers), group.kind), group.page_bytes,
              fmt::format("a page of {} tokens", grouped(group.block_size)));
  }
  table.line("Blocks:", grouped(kv.blocks_total),
             grouped(kv.blocks_usable) + " usable, without the null block");
  table.line("Tokens:", grouped(kv.tokens_total), "as the engine reports it");
  table.line("Tokens that fit:", grouped(kv.tokens_capacity), "in requests of max_model_len");
  table.line("Maximum concurrency:", fixed(kv.max_concurrency, 2),
             fmt::format("requests of {} tokens (max_model_len)", grouped(report.max_model_len)));
  for (const MemoryForecast::Line& line : report.lines) {
    table.line(line.label + ":", line.value + (line.unit.empty() ? "" : " " + line.unit), line.source);
  }
}

void add_verdict(TextTable& table, const MemoryForecast& report) {
  if (report.fits) {
    table.paragraph(fmt::format("Fits: {} tokens of KV cache, {} requests of {} tokens at once.",
                                grouped(report.kv.tokens_total), fixed(report.kv.max_concurrency, 2),
                                grouped(report.max_model_len)),
                    TextTable::kGood);
  } else {
    table.paragraph("Does not fit: " + report.message, TextTable::kBad, 2);
  }
  for (const std::string& warning : report.warnings)
    table.paragraph("warning: " + warning, TextTable::kWarn, 2);
  for (const Assumption& assumption : report.assumptions) {
    const std::string source = assumption.source.empty() ? "" : " (" + assumption.source + ")";
    table.paragraph("assumed: " + assumption.text + source, TextTable::kPlain, 2);
  }
}

}  // namespace

std::string to_table(const MemoryForecast& report, bool color) {
  TextTable table(color);
  add_head(table, report);
  add_budget(table, report);
  add_weights(table, report.weights);
  add_kv(table, report);
  table.rule();
  add_verdict(table, report);
  return table.take();
}

void write_table(std::FILE* out, const MemoryForecast& report, bool color) {
  std::fputs(to_table(report, color).c_str(), out);
}

}  // namespace kvcast
