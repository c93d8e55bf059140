// kvcast validate --decisions LOG...: is what kvcast decides what the engine decided?
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <cstdio>
#include <memory>

#include "sim/app/commands.h"
#include "sim/app/vllm_decisions.h"
#include "sim/sglang/replay_log.h"
#include "workloads/lines.h"

namespace kvcast {
namespace {

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  LineReader reader(file_on_disk(path));
  while (reader.next()) lines.emplace_back(reader.text());
  return lines;
}

LogCheck check_sglang_log(const std::vector<std::string>& lines, const std::string& path) {
  LogCheck check;
  for (const StepPath way : {StepPath::step_by_step, StepPath::closed_form}) {
    const DecisionReplay replay = replay_sglang_log(lines, path, way);
    check.name = replay.log_case;
    check.engine = "SGLang " + replay.version;
    check.steps = replay.steps;
    check.steps_grouped = replay.steps_in_runs;
    if (!replay.difference) continue;
    const auto& d = *replay.difference;
    check.difference = LogDifference{fmt::format("line {}{}{}", d.line, d.field.empty() ? "" : ", ", d.field),
                                     d.expected, d.made, d.context};
    if (way == StepPath::closed_form) check.difference->where += " (closed form)";
    break;
  }
  return check;
}

/// The header names its engine: vLLM's logs have a "type", SGLang's a "k".
LogCheck check_log(const std::string& path) {
  const std::vector<std::string> lines = lines_of(path);
  if (lines.empty())
    throw InputError(path + ":1:1: the file is empty; a decision log begins with a header",
                     ExitCode::bad_data);
  const bool sglang = lines.front().find("\"sglang_version\"") != std::string::npos ||
                      lines.front().find("\"k\"") != std::string::npos;
  return sglang ? check_sglang_log(lines, path) : check_vllm_log(path);
}

void print(const std::string& path, const LogCheck& check) {
  if (!check.difference) {
    fmt::print("equal    {} {}: {} steps; the closed form took {}{}{}\n", check.engine, check.name,
               check.steps, check.steps_grouped, check.note.empty() ? "" : "; ", check.note);
    return;
  }
  const LogDifference& d = *check.difference;
  fmt::print("DIFFERS  {} {} ({}): {}\n", check.engine, check.name, path, d.where);
  for (const std::string& line : d.context) fmt::print("  both:    {}\n", line);
  fmt::print("  engine:  {}\n  kvcast:  {}\n", d.expected, d.made);
}

}  // namespace

Command add_validate(CLI::App& root) {
  CLI::App* app = root.add_subcommand(
      "validate", "Compare with a real engine: replay its decision logs, step by step and in closed form");
  auto logs = std::make_shared<std::vector<std::string>>();
  app->add_option("--decisions", *logs, "Decision logs of vLLM or SGLang, JSON lines, plain or compressed")
      ->type_name("LOG...")
      ->expected(1, -1);
  return {app,
          [logs] {
            if (logs->empty())
              throw InputError("kvcast validate needs --decisions LOG...; see kvcast validate --help");
            std::size_t equal = 0;
            for (const std::string& path : *logs) {
              const LogCheck check = check_log(path);
              print(path, check);
              if (!check.difference) ++equal;
            }
            fmt::print("{} of {} logs equal in every decision\n", equal, logs->size());
            return equal == logs->size() ? ExitCode::fine : ExitCode::gate_not_met;
          },
          {}};
}

}  // namespace kvcast
