#include "sim/app/trace_workload.h"

#include <filesystem>
#include <fstream>
#include <iostream>

#include "sim/app/options.h"
#include "sim/app/outputs.h"
#include "sim/app/scenario.h"
#include "sim/base/text.h"
#include "workloads/trace_format.h"

namespace kvcast {
namespace {

bool is_yaml(const std::string& path) { return path.ends_with(".yaml") || path.ends_with(".yml"); }

std::uint64_t seed_of(const TraceChoice& choice) {
  if (choice.seed.empty()) return 1;
  return static_cast<std::uint64_t>(
      parse_integer("--seed", choice.seed, 0, std::numeric_limits<std::int64_t>::max()));
}

}  // namespace

void add_trace_options(CommandParser app, const std::shared_ptr<TraceChoice>& choice) {
  std::string formats;
  for (const std::string& name : trace_formats().names()) formats += (formats.empty() ? "" : ", ") + name;
  app.add_option("--format", choice->format, "One of " + formats + " (default: told by the content)")
      .type_name("NAME");
  app.add_option("--set", choice->settings,
                 "A key of workload.trace as path=value: --set limit=1000 (repeatable)")
      .type_name("KEY=VALUE")
      .expected(1)
      .take_all();
  app.add_option("--seed", choice->seed, "Seed of what a format has to draw (default: 1)").type_name("N");
}

WorkloadSetup open_trace(const TraceChoice& choice) {
  Config root = Config::empty("command line");
  root.set("workload.trace.path", yaml_scalar(choice.file));
  if (!choice.format.empty()) {
    (void)trace_formats().find(choice.format, "--format");
    root.set("workload.trace.format", yaml_scalar(choice.format));
  }
  for (const Setting& setting : parse_settings(choice.settings))
    root.set("workload.trace." + setting.path, setting.value);
  Config workload = root.child("workload");
  WorkloadSetup setup = make_workload(workload, seed_of(choice), "");
  root.finish();
  return setup;
}

WorkloadSetup open_section(const TraceChoice& choice) {
  ScenarioText text = open_scenario(choice.file, parse_settings(choice.settings));
  if (!text.config.has("workload")) throw InputError(text.path + ": there is no workload: section in it");
  const auto seed = text.config.get_int("seed", {0, std::numeric_limits<std::int64_t>::max()}, 1);
  Config workload = text.config.child("workload");
  WorkloadSetup setup = make_workload(
      workload, choice.seed.empty() ? static_cast<std::uint64_t>(seed) : seed_of(choice), text.folder);
  workload.finish();
  return setup;
}

WorkloadSetup open_workload(const TraceChoice& choice) {
  return is_yaml(choice.file) && choice.format.empty() ? open_section(choice) : open_trace(choice);
}

std::string name_of(const TraceChoice& choice) {
  return std::filesystem::path(choice.file).filename().string();
}

void write_to(const std::string& path, const std::function<void(std::ostream&)>& write) {
  OutputFile out(path);
  if (path == "-") {
    write(std::cout);
    std::cout.flush();
    if (!std::cout) throw InputError("standard output: cannot be written");
    return;
  }
  std::ofstream file(out.write_path(), std::ios::binary);
  write(file);
  file.close();
  if (!file) throw InputError(path + ": cannot be written");
  out.commit();
}

}  // namespace kvcast
