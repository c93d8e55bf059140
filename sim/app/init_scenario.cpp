#include "sim/app/init_scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "reports/format.h"
#include "sim/app/compose.h"
#include "sim/app/describe.h"
#include "sim/app/scenario.h"
#include "sim/app/scenario_schema.h"
#include "sim/app/trace_workload.h"
#include "sim/base/error.h"
#include "sim/base/hash.h"
#include "sim/base/text.h"
#include "workloads/trace_stats.h"

namespace kvcast {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kUsualRequest = 8192;  // tokens that must fit where no trace says more

/// A path as the scenario names it: beside the file that is written.
std::string path_from(const std::string& path, const std::string& out) {
  const fs::path folder = out == "-" ? fs::path() : fs::path(out).parent_path();
  std::error_code error;
  if (folder.empty() || fs::path(path).is_absolute() || !fs::exists(path, error)) return path;
  const fs::path relative = fs::proximate(path, folder, error);
  return error ? path : relative.string();
}

struct Sized {
  std::int64_t tensor_parallel_size = 1;
  std::int64_t max_model_len = 0;  // 0: the model's own fits
  Deployment deployment;
};

/// The deployment at one tensor-parallel size. \param max_model_len 0: the model's own
Deployment deployment_of(const InitChoice& choice, std::int64_t tp, std::int64_t max_model_len) {
  Config root = Config::empty("kvcast init");
  root.set("model", yaml_scalar(choice.model));
  root.set("cluster.gpu", yaml_scalar(choice.gpu));
  root.set("cluster.tensor_parallel_size", fmt::format("{}", tp));
  root.set("engine.profile", yaml_scalar(choice.profile));
  if (max_model_len > 0) root.set("engine.max_model_len", fmt::format("{}", max_model_len));
  Deployment deployment = read_deployment(root, "", ReadFor::simulate);
  deployment.report = memory_report(*deployment.model, *deployment.gpu, deployment.memory);
  return deployment;
}

Sized size_deployment(const InitChoice& choice, std::int64_t longest) {
  std::string why;
  for (const std::int64_t tp : {1, 2, 4, 8}) {
    try {
      Sized sized{tp, 0, deployment_of(choice, tp, 0)};
      const MemoryReport& report = *sized.deployment.report;
      if (report.status == MemoryStatus::ok) return sized;
      why = report.message;
      const std::int64_t needed = longest > 0 ? longest : std::min(kUsualRequest, report.max_model_len);
      if (report.fits_max_model_len < needed) continue;
      constexpr std::int64_t kRound = 1024;
      sized.max_model_len = report.fits_max_model_len > kRound ? report.fits_max_model_len / kRound * kRound
                                                               : report.fits_max_model_len;
      sized.max_model_len = std::max(sized.max_model_len, needed);
      sized.deployment = deployment_of(choice, tp, sized.max_model_len);
      if (sized.deployment.report->status == MemoryStatus::ok) return sized;
    } catch (const InputError& error) {
      // A size that the heads of the model do not divide by is no reason to give up; anything wrong at size 1
      // is.
      if (tp == 1) throw;
      why = error.what();
    }
  }
  throw InputError(
      fmt::format("kvcast init: {} does not fit on up to 8 x {}: {}", choice.model, choice.gpu, why),
      ExitCode::infeasible);
}

/// What is said of a key: its meaning, then what else it may be.
std::string comment_of(const std::string& path, const std::string& value) {
  std::string text(key_description(path));
  std::vector<std::string> others = catalogue_names(path);
  std::erase(others, value);
  if (!others.empty()) text += fmt::format(". Or: {}", fmt::join(others, ", "));
  return text;
}

/// Writes keys with their comments above them.
class Writer {
 public:
  void comment(const std::string& text, std::size_t indent = 0) {
    constexpr std::size_t kColumns = 118;
    const std::string mark = std::string(indent, ' ') + "# ";
    const std::string lines = wrapped(text, kColumns - mark.size(), 0);
    for (std::size_t begin = 0; begin <= lines.size();) {
      const std::size_t end = std::min(lines.find('\n', begin), lines.size());
      text_ += mark + lines.substr(begin, end - begin) + "\n";
      begin = end + 1;
    }
  }
  void line(const std::string& text) { text_ += text + "\n"; }
  /// \param active false: a comment, since the value is the default
  void key(const std::string& path, const std::string& value, bool active) {
    const auto depth = static_cast<std::size_t>(std::count(path.begin(), path.end(), '.'));
    const std::string indent(2 * depth, ' ');
    const std::string name = path.substr(path.rfind('.') + 1);
    comment(comment_of(path, value), indent.size());
    text_ += indent + (active ? "" : "# ") + name + ": " + value + "\n";
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string default_of(const MappingSchema& seen, const char* section, const char* key) {
  const KeySchema* found = seen.find(section);
  if (found == nullptr || !found->mapping) return "";
  const KeySchema* inner = found->mapping->find(key);
  return inner == nullptr ? "" : inner->fallback.value_or("");
}

void write_engine(const InitChoice& choice, const Sized& sized, const MappingSchema& seen, Writer& writer) {
  const MemoryReport& report = *sized.deployment.report;
  writer.line("\nengine:");
  writer.key("engine.profile", choice.profile, true);
  if (sized.max_model_len > 0)
    writer.comment(
        fmt::format("The model's own {} tokens do not fit; this does.",
                    grouped(deployment_of(choice, sized.tensor_parallel_size, 0).report->max_model_len)),
        2);
  writer.key("engine.max_model_len", fmt::format("{}", report.max_model_len), sized.max_model_len > 0);
  for (const char* key : {"dtype", "kv_cache_dtype"}) {
    if (const std::string value = default_of(seen, "engine", key); !value.empty())
      writer.key(std::string("engine.") + key, value, false);
  }
  if (!report.kv.groups.empty())
    writer.key("engine.block_size", fmt::format("{}", report.kv.groups.front().block_size), false);
  writer.key("engine.gpu_memory_utilization", fmt::format("{}", report.gpu_memory_utilization), false);
  writer.key("engine.max_num_seqs", fmt::format("{}", report.max_num_seqs), false);
  writer.key("engine.max_num_batched_tokens", fmt::format("{}", report.max_num_batched_tokens), false);
  for (const char* key : {"enable_prefix_caching", "async_scheduling", "scheduler", "scheduling_policy",
                          "allocator", "prefix_cache_eviction", "preemption"}) {
    if (const std::string value = default_of(seen, "engine", key); !value.empty())
      writer.key(std::string("engine.") + key, value, false);
  }
}

void write_cluster(const InitChoice& choice, const Sized& sized, Writer& writer) {
  writer.line("\ncluster:");
  writer.key("cluster.gpu", choice.gpu, true);
  writer.key("cluster.tensor_parallel_size", fmt::format("{}", sized.tensor_parallel_size), true);
  writer.key("cluster.replicas", "1", true);
  writer.key("cluster.router", "round-robin", false);
}

void write_workload(const InitChoice& choice, const std::optional<TraceStats>& stats, Writer& writer) {
  writer.line("\nworkload:");
  if (!stats) {
    writer.comment(
        "A Poisson stream of chat-like requests. Of your own traffic: trace: {path: FILE}, or what "
        "`kvcast trace fit FILE` writes.",
        2);
    writer.line("  synthetic:");
    writer.key("workload.synthetic.requests", "2000", true);
    writer.comment(
        "Or {process: constant, rate: 4}, {process: gamma, rate: 4, cv: 2}, {process: closed-loop, "
        "concurrency: 32}",
        4);
    writer.line("    arrivals: {process: poisson, rate: 4}");
    writer.key("workload.synthetic.input", "{lognormal: {mean: 1000, cv: 1.2}}", true);
    writer.key("workload.synthetic.output", "{lognormal: {mean: 250, cv: 0.8}}", true);
    writer.comment("Longer ones are cut to so many tokens", 4);
    writer.line("    max: 8000");
    return;
  }
  writer.comment(
      fmt::format("{} requests, {} a second; prompts of {} tokens on average and {} at most, answers of {} "
                  "and {}.",
                  grouped(stats->requests), significant(stats->rate()), significant(stats->input.mean()),
                  grouped(stats->input.max()), significant(stats->output.mean()),
                  grouped(stats->output.max())),
      2);
  writer.line("  trace:");
  writer.key("workload.trace.path", yaml_scalar(path_from(choice.trace, choice.out)), true);
  if (!choice.format.empty()) writer.key("workload.trace.format", choice.format, true);
  writer.key("workload.trace.rate_scale", "1", true);
  writer.key("workload.trace.limit", "1000", false);
}

void write_rest(Writer& writer) {
  writer.line("");
  writer.comment(
      "Latencies asked for, in milliseconds: ttft, tpot, itl, e2el, queue, each by mean, median, p50, p90, "
      "p95 or p99. kvcast then exits with 1 where one is missed.");
  writer.line("# slo:\n#   ttft_ms: {p99: 2000}\n#   tpot_ms: {p99: 50}\n");
  writer.key("seed", "1", true);
  writer.line("");
  writer.comment("What kvcast plan may choose from; without it, it tries what is usual.");
  writer.line("# plan:\n#   gpus: [h100-sxm, h200]\n#   tensor_parallel_size: [1, 2, 4]");
}

std::string write_scenario(const InitChoice& choice, const Sized& sized,
                           const std::optional<TraceStats>& stats, const MappingSchema& seen) {
  Writer writer;
  const std::string name = choice.out == "-" ? "FILE" : choice.out;
  writer.line("# yaml-language-server: $schema=kvcast.schema.json");
  writer.comment(fmt::format(
      "{}. Written by kvcast init; lines that begin with # show the default.",
      describe_title(*sized.deployment.model, *sized.deployment.gpu, sized.tensor_parallel_size)));
  writer.comment("Forecast:  kvcast simulate " + name + " --report forecast.html");
  writer.comment("What if:   kvcast compare " + name + " --vary engine.kv_cache_dtype=auto,fp8");
  writer.comment("Cheapest:  kvcast plan " + name + "   (set slo first)");
  writer.comment("Schema for your editor:  kvcast schema --out kvcast.schema.json");
  writer.line("");
  writer.key("model", yaml_scalar(path_from(choice.model, choice.out)), true);
  write_engine(choice, sized, seen, writer);
  write_cluster(choice, sized, writer);
  write_workload(choice, stats, writer);
  write_rest(writer);
  return writer.take();
}

/// Reads and composes it as simulate would. \returns what the readers asked for
MappingSchema check(const std::string& text, const std::string& out) {
  MappingSchema seen;
  const std::string folder = out == "-" ? "" : fs::path(out).parent_path().string();
  ScenarioText scenario{.config = Config::from_text(text, "kvcast init"),
                        .path = out,
                        .hash = content_hash(text),
                        .folder = folder};
  scenario.config.observe(seen);
  (void)compose(read_scenario(scenario));
  return seen;
}

}  // namespace

std::string init_scenario(const InitChoice& choice) {
  std::optional<TraceStats> stats;
  if (!choice.trace.empty())
    stats =
        trace_stats(*open_trace({.file = choice.trace, .format = choice.format, .settings = {}, .seed = ""})
                         .make_source());
  if (stats && stats->requests == 0)
    throw InputError(choice.trace + ": the trace holds no request", ExitCode::bad_data);
  const Sized sized = size_deployment(choice, stats ? stats->context.max() : 0);
  // The first pass finds the profile's defaults, which the text then shows.
  const MappingSchema seen = check(write_scenario(choice, sized, stats, {}), choice.out);
  std::string text = write_scenario(choice, sized, stats, seen);
  (void)check(text, choice.out);
  return text;
}

}  // namespace kvcast
