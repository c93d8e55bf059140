#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdio>

#include "sim/app/commands.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> command_names(const std::vector<Command>& commands) {
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const Command& command : commands) names.push_back(command.app->get_name());
  return names;
}

std::string full_name(const CLI::App& app) {
  return app.get_parent() == nullptr ? "kvcast" : full_name(*app.get_parent()) + " " + app.get_name();
}

/// What nobody took: an unknown option, an unknown command or one argument too many.
void refuse_extras(const CLI::App& app, const std::vector<Command>& commands) {
  const std::vector<std::string> extras = app.remaining();
  if (extras.empty()) return;
  const std::string& extra = extras.front();
  if (extra.size() > 1 && extra.front() == '-') {
    const std::string name = extra.substr(0, extra.find('='));
    throw InputError(fmt::format("unknown option {} of {}{}", kvcast::quoted(name), full_name(app),
                                 known_names(name, option_names(app))));
  }
  if (!commands.empty()) {
    throw InputError(fmt::format("unknown command {} of {}{}", kvcast::quoted(extra), full_name(app),
                                 known_names(extra, command_names(commands))));
  }
  throw InputError(fmt::format("{} does not take the argument {}; see {} --help", full_name(app),
                               kvcast::quoted(extra), full_name(app)));
}

ExitCode run_parsed(const CLI::App& app, const std::vector<Command>& commands) {
  refuse_extras(app, commands);
  for (const Command& command : commands) {
    if (!command.app->parsed()) continue;
    const bool by_child = std::any_of(command.children.begin(), command.children.end(),
                                      [](const Command& child) { return child.app->parsed(); });
    if (by_child || (!command.children.empty() && !command.run))
      return run_parsed(*command.app, command.children);
    refuse_extras(*command.app, {});
    return command.run();
  }
  throw InputError(fmt::format("{} needs a command (known: {}); see {} --help", full_name(app),
                               fmt::join(command_names(commands), ", "), full_name(app)));
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

void keep_extras(CLI::App& app) {
  app.allow_extras();
  for (CLI::App* child : app.get_subcommands([](CLI::App*) { return true; })) keep_extras(*child);
}

}  // namespace

ExitCode run_command_line(int argc, const char* const* argv) {
  CLI::App root(
      "kvcast forecasts what an LLM serving deployment will do: what fits, what it carries, how fast it "
      "answers.",
      "kvcast");
  root.set_version_flag("--version", std::string("kvcast ") + KVCAST_VERSION, "Print the version and exit");
  root.get_formatter()->column_width(36);
  root.footer(
      "Results go to standard output, messages to standard error.\n"
      "Exit codes: 0 fine; 1 the SLO is not met, or a validation failed; 2 wrong usage or scenario; 3 does "
      "not fit; 4 bad input "
      "data; 130 interrupted.");
  const std::vector<Command> commands = {add_simulate(root, command_text(argc, argv)),
                                         add_compare(root, command_text(argc, argv)),
                                         add_plan(root, command_text(argc, argv)),
                                         add_sweep(root),
                                         add_memory(root),
                                         add_trace(root),
                                         add_validate(root),
                                         add_calibrate(root),
                                         add_regress(root),
                                         add_list(root)};
  keep_extras(root);
  try {
    root.parse(argc, argv);
  } catch (const CLI::Success& success) {
    (void)root.exit(success);
    return ExitCode::fine;
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string text = error.what();  // "--set: 1 required A.B=C missing"
    throw InputError(text.substr(0, text.find(':')) + " needs a value; see kvcast --help");
  } catch (const CLI::ParseError& error) {
    throw InputError(std::string(error.what()) + "; see kvcast --help");
  }
  return run_parsed(root, commands);
}

}  // namespace kvcast
