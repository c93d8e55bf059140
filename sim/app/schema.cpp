// kvcast schema: the JSON Schema of the scenario file.
#include <cstdio>
#include <memory>

#include "sim/app/commands.h"
#include "sim/app/outputs.h"
#include "sim/app/scenario_schema.h"

namespace kvcast {
namespace {

ExitCode schema(const std::string& path) {
  OutputFile out(path);
  out.write(scenario_schema_json());
  out.commit();
  return ExitCode::fine;
}

}  // namespace

Command add_schema(CommandParser root) {
  auto path = std::make_shared<std::string>("-");
  const CommandParser app = root.add_subcommand(
      "schema", "Print the JSON Schema (draft-07) of the scenario file, for editors and checkers");
  app.add_option("--out", *path, "Where to (default: standard output)").type_name("FILE");
  app.footer(
      "In a scenario's first line, editors with a YAML language server find it by\n  # yaml-language-server: "
      "$schema=kvcast.schema.json\nIt holds what a scenario may say; which keys go together kvcast checks "
      "when it reads "
      "one.");
  return {app, [path] { return schema(*path); }, {}};
}

}  // namespace kvcast
