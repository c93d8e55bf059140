#include "measured/run_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "measured/readers.h"
#include "sim/base/error.h"
#include "sim/base/text.h"
#include "workloads/csv.h"
#include "workloads/numbers.h"

namespace kvcast {
namespace {

constexpr std::size_t kWorkloadBytesMax = std::size_t{64} << 20;
constexpr std::size_t kHeadBytes = 4096;
enum Column : std::size_t { kName, kModel, kHardware, kTp, kStage, kFirstValue };
constexpr std::array<const char*, 12> kColumns = {"exp",         "model",     "hardware", "tp",
                                                  "stage_index", "e2e_mean",  "e2e_p90",  "e2e_p99",
                                                  "itl_mean",    "ttft_mean", "ttft_p90", "ttft_p99"};
struct Statistic {
  const char* metric;
  const char* statistic;
};
constexpr std::array<Statistic, 7> kStatistics = {{{"e2el", "mean"},
                                                   {"e2el", "p90"},
                                                   {"e2el", "p99"},
                                                   {"itl", "mean"},
                                                   {"ttft", "mean"},
                                                   {"ttft", "p90"},
                                                   {"ttft", "p99"}}};

/// JSON text of a value, which YAML reads too.
std::string json_text(const JsonValue& value) {
  switch (value.type) {
    case JsonValue::Type::null:
      return "null";
    case JsonValue::Type::boolean:
      return value.boolean ? "true" : "false";
    case JsonValue::Type::integer:
      return std::to_string(value.integer);
    case JsonValue::Type::real:
      return fmt::format("{}", value.real);
    case JsonValue::Type::string:
      return yaml_scalar(value.text);
    case JsonValue::Type::array: {
      std::string text;
      for (const JsonValue& item : value.items) text += (text.empty() ? "" : ", ") + json_text(item);
      return "[" + text + "]";
    }
    case JsonValue::Type::object: {
      std::string text;
      for (const auto& [key, item] : value.members)
        text += (text.empty() ? "" : ", ") + yaml_scalar(key) + ": " + json_text(item);
      return "{" + text + "}";
    }
  }
  KVCAST_CHECK(false);
}

/// The entry whose id the run's name begins with; of several, the one with the longest id.
const JsonValue* entry_of(const JsonValue& entries, std::string_view name) {
  const JsonValue* found = nullptr;
  std::size_t longest = 0;
  for (const JsonValue& entry : entries.items) {
    const std::string id = text_of(entry, "id");
    const bool begins = name.starts_with(id) && (name.size() == id.size() || name[id.size()] == '-');
    if (id.empty() || !begins || id.size() < longest) continue;
    found = &entry;
    longest = id.size();
  }
  return found;
}

std::vector<std::pair<std::string, std::string>> settings_of(const JsonValue& entry,
                                                             const std::string& file) {
  constexpr std::array<std::pair<const char*, const char*>, 4> kKeys = {
      {{"tp", "cluster.tensor_parallel_size"},
       {"max_num_seqs", "engine.max_num_seqs"},
       {"max_num_batched_tokens", "engine.max_num_batched_tokens"},
       {"total_kv_blocks", "engine.num_gpu_blocks_override"}}};
  std::vector<std::pair<std::string, std::string>> settings;
  for (const auto& [key, path] : kKeys) {
    if (const auto count = count_of(entry, key, file)) settings.emplace_back(path, std::to_string(*count));
  }
  const JsonValue* workload = entry.find("workload");
  const JsonValue* load = workload == nullptr ? nullptr : workload->find("inference_perf");
  if (load == nullptr) fail_at(entry, file, "workload.inference_perf is missing: the run's load");
  settings.emplace_back("workload.inference_perf", json_text(*load));
  return settings;
}

MeasuredLoad read_row(const CsvReader& csv, std::int64_t stage) {
  MeasuredLoad load;
  load.stage = static_cast<std::size_t>(stage);
  load.name = fmt::format("stage {}", stage);
  for (std::size_t i = 0; i < kStatistics.size(); ++i) {
    const std::size_t column = kFirstValue + i;
    if (csv.field(column).empty()) continue;
    const auto value = parse_real(csv.field(column));
    if (!value || *value <= 0) csv.fail(column, "a time above 0 in milliseconds is needed");
    add_value(load, kStatistics[i].metric, kStatistics[i].statistic, value);
  }
  if (load.values.empty()) csv.fail(kName, "the row holds no time");
  return load;
}

}  // namespace

bool is_run_table(const TraceFile& file) {
  const std::string head = head_of(file, kHeadBytes);
  const std::vector<std::string_view> names = csv_header(head);
  const auto has = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  return has("exp") && has("stage_index");
}

std::vector<TableRun> read_run_table(const TraceFile& table, const TraceFile& workloads) {
  const JsonValue entries = parse_json(content_of(workloads, kWorkloadBytesMax), workloads.name);
  if (entries.type != JsonValue::Type::array)
    fail_at(entries, workloads.name, "a list of runs, [...], is needed");
  std::vector<TableRun> runs;
  CsvReader csv(table, {kColumns.begin(), kColumns.end()});
  while (csv.next()) {
    const auto stage = parse_real(csv.field(kStage));
    if (!stage || *stage != static_cast<double>(static_cast<std::int64_t>(*stage)) || *stage < -1 ||
        *stage > 1e6)
      csv.fail(kStage, "a stage from 0 on, or -1, is needed");
    if (*stage < 0) continue;
    const std::string name(csv.field(kName));
    auto run = std::find_if(runs.begin(), runs.end(), [&](const TableRun& r) { return r.name == name; });
    if (run == runs.end()) {
      const JsonValue* entry = entry_of(entries, name);
      if (entry == nullptr)
        csv.fail(kName, quoted(name) + ": no entry of " + workloads.name + " has an id that it begins with");
      TableRun made;
      made.name = name;
      made.model = std::string(csv.field(kModel));
      made.hardware = std::string(csv.field(kHardware));
      made.settings = settings_of(*entry, workloads.name);
      run = runs.insert(runs.end(), std::move(made));
    }
    run->loads.push_back(read_row(csv, static_cast<std::int64_t>(*stage)));
  }
  if (runs.empty()) throw InputError(table.name + ": no run in it", ExitCode::bad_data);
  return runs;
}

}  // namespace kvcast
