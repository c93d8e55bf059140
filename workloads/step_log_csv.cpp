#include "workloads/step_log_csv.h"

#include <algorithm>
#include <map>
#include <optional>

#include "sim/base/error.h"
#include "sim/base/text.h"
#include "workloads/csv.h"
#include "workloads/numbers.h"

namespace kvcast {
namespace {

constexpr double kTimeMaxUs = 1e15;
constexpr std::int64_t kCountMax = std::int64_t{1} << 53;

/// vLLM's step tracing as published with BLIS: the start of a step is on the engine's own clock.
StepColumns known_layout() {
  StepColumns columns;
  columns.step = "step.id";
  columns.start = "step.ts_start_ns";
  columns.start_unit_us = 1e-3;
  columns.decode_seqs = "batch.num_decode_reqs";
  columns.prefill_seqs = "batch.num_prefill_reqs";
  columns.prefill_tokens = "batch.prefill_tokens";
  columns.blocks_total = "kv.blocks_total_gpu";
  columns.blocks_free = "kv.blocks_free_gpu";
  columns.block_size = 16;
  columns.run = "experiment_id";
  columns.group = {"model", "tp"};
  columns.rename = {{"llama-2-70b-hf", "llama-2-70b"}};
  return columns;
}

double unit_us(Config& map, const std::string& key, double fallback) {
  const std::string unit = map.get_choice(key, {"ns", "us", "ms", "s"}, fallback == 1 ? "us" : "ns");
  return unit == "ns" ? 1e-3 : unit == "us" ? 1 : unit == "ms" ? 1e3 : 1e6;
}

/// A row as read, before times are known.
struct Row {
  LoggedStep step;
  std::int64_t number = 0;
  std::optional<double> time_us;
};

class CsvStepReader {
 public:
  CsvStepReader(const TraceFile& file, const StepColumns& columns)
      : columns_(columns), names_(used(columns)), csv_(file, names_), file_(file) {}

  [[nodiscard]] std::vector<Row> read(StepLog& log) {
    std::vector<Row> rows;
    while (csv_.next()) {
      Row row;
      row.step.shape = shape();
      row.step.run = index_of(log.runs, columns_.run.empty() ? file_.name : text(columns_.run));
      std::string group;
      for (const std::string& column : columns_.group)
        group += (group.empty() ? "" : " ") + renamed(text(column));
      row.step.group = index_of(log.groups, group);
      if (!columns_.start.empty()) row.step.start_us = real(columns_.start) * columns_.start_unit_us;
      if (!columns_.step.empty()) row.number = count(columns_.step);
      if (!columns_.time.empty() && !field(columns_.time).empty())
        row.time_us = real(columns_.time) * columns_.time_unit_us;
      rows.push_back(row);
    }
    return rows;
  }

 private:
  static std::vector<std::string> used(const StepColumns& c) {
    std::vector<std::string> names;
    for (const std::string* name :
         {&c.step, &c.start, &c.time, &c.decode_seqs, &c.prefill_seqs, &c.prefill_tokens, &c.decode_context,
          &c.blocks_total, &c.blocks_free, &c.run}) {
      if (!name->empty()) names.push_back(*name);
    }
    names.insert(names.end(), c.group.begin(), c.group.end());
    return names;
  }

  [[nodiscard]] std::size_t index(const std::string& column) const {
    return static_cast<std::size_t>(std::find(names_.begin(), names_.end(), column) - names_.begin());
  }
  [[nodiscard]] std::string_view field(const std::string& column) const { return csv_.field(index(column)); }
  [[nodiscard]] std::string text(const std::string& column) const { return std::string(field(column)); }
  [[nodiscard]] std::int64_t count(const std::string& column) const {
    const auto parsed = parse_count(field(column));
    if (!parsed || *parsed > kCountMax)
      csv_.fail(index(column), quoted(field(column)) + " is given, a whole number of 0 or more is needed");
    return *parsed;
  }
  [[nodiscard]] double real(const std::string& column) const {
    const auto parsed = parse_real(field(column));
    if (!parsed || *parsed < 0)
      csv_.fail(index(column), quoted(field(column)) + " is given, a number of 0 or more is needed");
    return *parsed;
  }
  [[nodiscard]] std::string renamed(const std::string& value) const {
    for (const auto& [from, to] : columns_.rename) {
      if (from == value) return to;
    }
    return value;
  }

  [[nodiscard]] StepShape shape() const {
    StepShape shape;
    shape.decode_seqs = csv_.tokens(index(columns_.decode_seqs));
    if (!columns_.prefill_seqs.empty()) shape.prefill_seqs = csv_.tokens(index(columns_.prefill_seqs));
    const std::int64_t prompt =
        columns_.prefill_tokens.empty() ? 0 : csv_.tokens(index(columns_.prefill_tokens));
    shape.tokens = shape.decode_seqs + prompt;
    shape.sampled = shape.decode_seqs + shape.prefill_seqs;
    shape.prefill_context = prompt;
    if (prompt > 0) {
      const std::int64_t each = ceil_div(prompt, std::max<std::int64_t>(shape.prefill_seqs, 1));
      shape.prefill_pairs = prompt * (each + 1) / 2;
    }
    shape.decode_context = context(shape.decode_seqs + shape.prefill_seqs, prompt);
    return shape;
  }

  [[nodiscard]] std::int64_t context(std::int64_t seqs, std::int64_t prompt) const {
    if (!columns_.decode_context.empty()) return count(columns_.decode_context);
    if (columns_.blocks_free.empty()) return 0;
    const std::int64_t blocks =
        csv_.tokens(index(columns_.blocks_total)) - csv_.tokens(index(columns_.blocks_free));
    // The last block of each sequence is half full on average.
    return std::max<std::int64_t>(blocks * columns_.block_size - seqs * columns_.block_size / 2 - prompt, 0);
  }

  const StepColumns& columns_;
  std::vector<std::string> names_;
  CsvReader csv_;
  const TraceFile& file_;
};

/// Time from start to start, where the next step of the same run is in the log.
std::size_t time_by_starts(std::vector<Row>& rows) {
  std::map<std::pair<std::size_t, std::int64_t>, std::size_t> by_number;
  for (std::size_t i = 0; i < rows.size(); ++i)
    by_number.emplace(std::pair(rows[i].step.run, rows[i].number), i);
  std::size_t timed = 0;
  for (Row& row : rows) {
    const auto next = by_number.find({row.step.run, row.number + 1});
    if (next == by_number.end()) continue;
    const double time = rows[next->second].step.start_us - row.step.start_us;
    if (!(time > 0)) continue;
    row.time_us = time;
    ++timed;
  }
  return timed;
}

}  // namespace

StepColumns read_step_columns(Config map) {
  StepColumns columns;
  columns.step = map.get_string("step", "");
  columns.start = map.get_string("start", "");
  columns.start_unit_us = unit_us(map, "start_unit", 1);
  columns.time = map.get_string("time", "");
  columns.time_unit_us = unit_us(map, "time_unit", 1);
  columns.decode_seqs = map.get_string("decode_seqs");
  columns.prefill_seqs = map.get_string("prefill_seqs", "");
  columns.prefill_tokens = map.get_string("prefill_tokens", "");
  columns.decode_context = map.get_string("decode_context", "");
  columns.blocks_total = map.get_string("kv_blocks_total", "");
  columns.blocks_free = map.get_string("kv_blocks_free", "");
  columns.run = map.get_string("run", "");
  if (map.has("group")) columns.group = map.get_strings("group");
  if (map.has("rename")) {
    Config rename = map.child("rename");
    for (const std::string& key : rename.keys()) columns.rename.emplace_back(key, rename.get_string(key));
  }
  if (columns.blocks_free.empty() != columns.blocks_total.empty())
    map.fail("", "kv_blocks_total and kv_blocks_free go together");
  if (!columns.blocks_free.empty()) columns.block_size = map.get_int("block_size", {1, 4096});
  if (columns.time.empty() && (columns.start.empty() || columns.step.empty()))
    map.fail("", "a step's time is missing: name the column time, or both step (its number) and start");
  if (!columns.time.empty() && !columns.step.empty() && !columns.start.empty())
    map.fail("", "name either time, or step and start: both would be two times for a step");
  map.finish();
  return columns;
}

void read_csv_step_log(const TraceFile& file, const StepColumns* columns, StepLog& log) {
  const StepColumns layout = columns == nullptr ? known_layout() : *columns;
  const bool by_starts = layout.time.empty();
  std::vector<Row> rows = CsvStepReader(file, layout).read(log);
  if (rows.empty()) bad_trace(file.name, 1, 1, "no row in this log");
  if (by_starts) static_cast<void>(time_by_starts(rows));
  std::size_t timed = 0;
  for (Row& row : rows) {
    if (!row.time_us || *row.time_us <= 0 || *row.time_us > kTimeMaxUs || row.step.shape.tokens == 0)
      continue;
    row.step.time_us = *row.time_us;
    log.steps.push_back(row.step);
    ++timed;
  }
  const std::string target = by_starts ? "the time from the start of a step (" + layout.start +
                                             ") to that of the step after it, where both are in the log"
                                       : "column " + layout.time;
  if (timed == 0) bad_trace(file.name, 1, 1, "no row has a time: " + target);
  log.notes.push_back(file.name + ": " + target + ": " + std::to_string(timed) + " of " +
                      std::to_string(rows.size()) + " rows");
  if (layout.decode_context.empty() && !layout.blocks_free.empty())
    log.notes.push_back(file.name +
                        ": context is approximated by the KV blocks in use (each last block half full; "
                        "shared blocks count once)");
  if (!layout.prefill_tokens.empty())
    log.notes.push_back(
        file.name +
        ": what prompt chunks find in the cache is not in the log; their pairs count the chunk alone");
}

}  // namespace kvcast
