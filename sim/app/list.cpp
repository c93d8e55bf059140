#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "hwmodels/engine_profile.h"
#include "hwmodels/gpu_spec.h"
#include "hwmodels/link_catalog.h"
#include "hwmodels/model_spec.h"
#include "hwmodels/node_spec.h"
#include "reports/csv_text.h"
#include "reports/format.h"
#include "sim/app/commands.h"
#include "sim/app/describe.h"
#include "sim/app/outputs.h"
#include "sim/app/scheduler_features.h"
#include "sim/base/embedded.h"
#include "sim/cluster/router.h"
#include "sim/kv/allocators.h"
#include "sim/kv/eviction.h"
#include "sim/sched/queue_order.h"
#include "workloads/trace_format.h"

namespace kvcast {
namespace {

struct Row {
  std::string name;
  std::string summary;
};

void print(const std::vector<Row>& rows) {
  std::size_t width = 0;
  for (const Row& row : rows) width = std::max(width, row.name.size());
  for (const Row& row : rows) fmt::print("{:<{}}  {}\n", row.name, width, row.summary);
}

template <class Catalogue>
std::vector<Row> catalogue_rows(const Catalogue& catalogue) {
  std::vector<Row> rows;
  for (const auto& entry : catalogue.entries()) rows.push_back({entry.name, entry.summary});
  return rows;
}

std::vector<Row> model_rows() {
  std::vector<Row> rows;
  for (const std::string& name : list_models()) {
    const std::string text = describe_model(load_model(name));
    rows.push_back({name, text.substr(text.find(": ") + 2)});
  }
  return rows;
}

std::vector<Row> gpu_rows() {
  std::vector<Row> rows;
  for (const GpuSpec& gpu : list_gpus()) rows.push_back({gpu.name, describe_gpu(gpu, "bfloat16")});
  return rows;
}

std::vector<Row> link_rows() {
  std::vector<Row> rows;
  for (const LinkDatasheet& link : list_links()) {
    const std::string rate =
        link.write_gb_per_s == link.gb_per_s
            ? fmt::format("{:g} GB/s each way", link.gb_per_s)
            : fmt::format("{:g} GB/s read, {:g} GB/s written", link.gb_per_s, link.write_gb_per_s);
    rows.push_back({link.name, fmt::format("{}, {}, {:g} us", link.title, rate, link.latency_us)});
  }
  return rows;
}

std::vector<Row> node_rows() {
  std::vector<Row> rows;
  for (const NodeSpec& node : list_nodes()) rows.push_back({node.name, node.title});
  return rows;
}

std::vector<Row> engine_rows() {
  std::vector<Row> rows;
  for (const EngineProfileName& profile : list_engine_profiles())
    rows.push_back({profile.name, profile.summary});
  return rows;
}

/// The first line of an embedded file where that is a comment.
std::string first_comment(std::string_view text) {
  if (!text.starts_with("# ")) return "";
  return std::string(text.substr(2, text.find('\n') - 2));
}

std::vector<Row> embedded_rows(std::string_view folder) {
  std::vector<Row> rows;
  for (const EmbeddedFile& file : embedded_files()) {
    if (!file.path.starts_with(folder)) continue;
    const std::string_view name = file.path.substr(folder.size());
    rows.push_back({std::string(name.substr(0, name.rfind('.'))), first_comment(file.text)});
  }
  return rows;
}

struct Kind {
  const char* name;
  const char* what;
  std::vector<Row> (*rows)();
};

constexpr Kind kKinds[] = {
    {"models", "models that --model and `model:` take by name", model_rows},
    {"gpus", "GPUs for --gpu and cluster.gpu", gpu_rows},
    {"links", "links for engine.kv_offload", link_rows},
    {"nodes", "nodes for cluster.node", node_rows},
    {"engines", "engine profiles for engine.profile", engine_rows},
    {"schedulers", "engine.scheduler", [] { return catalogue_rows(schedulers()); }},
    {"policies", "engine.scheduling_policy", [] { return catalogue_rows(queue_order_catalog()); }},
    {"allocators", "engine.allocator", [] { return catalogue_rows(allocator_catalog()); }},
    {"evictions", "engine.prefix_cache_eviction, kvcast trace cache --eviction",
     [] { return catalogue_rows(eviction_catalog()); }},
    {"routers", "cluster.router", [] { return catalogue_rows(router_catalog()); }},
    {"traces", "trace formats for workload.trace.format", [] { return catalogue_rows(trace_formats()); }},
    {"workloads", "built-in workloads", [] { return embedded_rows("configs/workloads/"); }},
    {"scenarios", "built-in scenarios for kvcast simulate",
     [] { return embedded_rows("configs/scenarios/"); }},
};

struct Options {
  std::string kind;  // empty: all
  std::string csv;
};

/// Every row with its kind.
void write_csv(const Options& options) {
  std::string text;
  add_csv_row(text, {"kind", "name", "summary"});
  for (const Kind& kind : kKinds) {
    if (!options.kind.empty() && options.kind != kind.name) continue;
    for (const Row& row : kind.rows()) add_csv_row(text, {kind.name, row.name, row.summary});
  }
  OutputFile out(options.csv);
  out.write(text);
  out.commit();
}

ExitCode list(const Options& options) {
  const std::string& wanted = options.kind;
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) {
    names.emplace_back(kind.name);
    if (wanted != kind.name) continue;
    options.csv.empty() ? print(kind.rows()) : write_csv(options);
    return ExitCode::fine;
  }
  if (!wanted.empty())
    throw InputError("kvcast list: unknown kind \"" + wanted + "\"" + known_names(wanted, names));
  if (!options.csv.empty()) {
    write_csv(options);
    return ExitCode::fine;
  }
  for (const Kind& kind : kKinds) {
    fmt::print("{}kvcast list {}: {}\n", &kind == std::begin(kKinds) ? "" : "\n", kind.name, kind.what);
    print(kind.rows());
  }
  return ExitCode::fine;
}

}  // namespace

Command add_list(CommandParser root) {
  auto options = std::make_shared<Options>();
  const CommandParser app = root.add_subcommand("list", "Print the names that scenarios and options take");
  std::string kinds;
  for (const Kind& kind : kKinds) kinds += (kinds.empty() ? "" : ", ") + std::string(kind.name);
  app.add_option("kind", options->kind, "One of " + kinds + " (default: all)").type_name("KIND");
  app.add_option("--csv", options->csv, "Write kind, name and summary as CSV (-: standard output)")
      .type_name("FILE");
  return {app, [options] { return list(*options); }, {}};
}

}  // namespace kvcast
