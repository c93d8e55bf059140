#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "sim/app/commands.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

std::vector<std::string> command_names(const std::vector<Command>& commands) {
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const Command& command : commands) names.push_back(command.app.name());
  return names;
}

/// What nobody took: an unknown option, an unknown command or one argument too many.
void refuse_extras(const CommandParser& app, const std::vector<Command>& commands) {
  const std::vector<std::string> extras = app.remaining();
  if (extras.empty()) return;
  const std::string& extra = extras.front();
  if (extra.size() > 1 && extra.front() == '-') {
    const std::string name = extra.substr(0, extra.find('='));
    throw InputError(fmt::format("unknown option {} of {}{}", kvcast::quoted(name), app.full_name(),
                                 known_names(name, app.option_names())));
  }
  if (!commands.empty()) {
    throw InputError(fmt::format("unknown command {} of {}{}", kvcast::quoted(extra), app.full_name(),
                                 known_names(extra, command_names(commands))));
  }
  throw InputError(fmt::format("{} does not take the argument {}; see {} --help", app.full_name(),
                               kvcast::quoted(extra), app.full_name()));
}

ExitCode run_parsed(const CommandParser& app, const std::vector<Command>& commands) {
  refuse_extras(app, commands);
  for (const Command& command : commands) {
    if (!command.app.parsed()) continue;
    const bool by_child = std::any_of(command.children.begin(), command.children.end(),
                                      [](const Command& child) { return child.app.parsed(); });
    if (by_child || (!command.children.empty() && !command.run))
      return run_parsed(command.app, command.children);
    refuse_extras(command.app, {});
    return command.run();
  }
  throw InputError(fmt::format("{} needs a command (known: {}); see {} --help", app.full_name(),
                               fmt::join(command_names(commands), ", "), app.full_name()));
}

/// One argument as a POSIX shell reads it back.
std::string shell_word(const std::string& text) {
  constexpr const char* kSafe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!text.empty() && text.find_first_not_of(kSafe) == std::string::npos) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string command_text(int argc, const char* const* argv) {
  std::string text = "kvcast";
  for (int i = 1; i < argc; ++i) text += " " + shell_word(argv[i]);
  return text;
}

}  // namespace

ExitCode run_command_line(int argc, const char* const* argv) {
  RootParser root(
      "kvcast",
      "kvcast forecasts what an LLM serving deployment will do: what fits, what it carries, how fast it "
      "answers.",
      std::string("kvcast ") + KVCAST_VERSION);
  const CommandParser app = root.parser();
  app.footer(
      "Results go to standard output, messages to standard error.\n"
      "Exit codes: 0 fine; 1 the SLO is not met, or a validation failed; 2 wrong usage or scenario; 3 does "
      "not fit; 4 bad input "
      "data; 130 interrupted.");
  const std::string words = command_text(argc, argv);
  const std::vector<Command> commands = {add_simulate(app, words),
                                         add_explain(app, words),
                                         add_compare(app, words),
                                         add_plan(app, words),
                                         add_sweep(app),
                                         add_memory(app, words),
                                         add_trace(app),
                                         add_validate(app, words),
                                         add_calibrate(app, words),
                                         add_regress(app, words),
                                         add_list(app),
                                         add_init(app),
                                         add_schema(app),
                                         add_completion(app)};
  if (!root.parse(argc, argv)) return ExitCode::fine;
  return run_parsed(app, commands);
}

}  // namespace kvcast
