#include "sim/app/command_parser.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::size_t kNamesWidth = 36;  // of the options' names in --help

void keep_extras(CLI::App& app) {
  app.allow_extras();
  for (CLI::App* child : app.get_subcommands([](CLI::App*) { return true; })) keep_extras(*child);
}

std::string full_name_of(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name()
                                     : full_name_of(*app.get_parent()) + " " + app.get_name();
}

}  // namespace

const OptionDeclaration& OptionDeclaration::type_name(const std::string& name) const {
  option_->type_name(name);
  return *this;
}

const OptionDeclaration& OptionDeclaration::expected(int count) const {
  option_->expected(count);
  return *this;
}

const OptionDeclaration& OptionDeclaration::expected(int at_least, int at_most) const {
  option_->expected(at_least, at_most);
  return *this;
}

const OptionDeclaration& OptionDeclaration::take_all() const {
  option_->take_all();
  return *this;
}

CommandParser CommandParser::add_subcommand(const std::string& name, const std::string& description) const {
  return CommandParser(*app_->add_subcommand(name, description));
}

OptionDeclaration CommandParser::add_option(const std::string& name, std::string& value,
                                            const std::string& help) const {
  return OptionDeclaration(*app_->add_option(name, value, help));
}

OptionDeclaration CommandParser::add_option(const std::string& name, std::vector<std::string>& values,
                                            const std::string& help) const {
  return OptionDeclaration(*app_->add_option(name, values, help));
}

void CommandParser::add_flag(const std::string& name, bool& value, const std::string& help) const {
  app_->add_flag(name, value, help);
}

void CommandParser::footer(const std::string& text) const { app_->footer(text); }

std::string CommandParser::name() const { return app_->get_name(); }

std::string CommandParser::full_name() const { return full_name_of(*app_); }

std::vector<std::string> CommandParser::option_names() const {
  std::vector<std::string> names;
  for (const CLI::Option* option : app_->get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string CommandParser::description() const { return app_->get_description(); }

std::vector<OptionFacts> CommandParser::options() const {
  std::vector<OptionFacts> facts;
  for (const CLI::Option* option : app_->get_options()) {
    const bool flag = option->get_items_expected_max() == 0;
    const std::string value = flag ? "" : option->get_type_name();
    if (option->get_lnames().empty()) {
      facts.push_back({option->get_name(), option->get_description(), value, true});
      continue;
    }
    for (const std::string& name : option->get_lnames())
      facts.push_back({"--" + name, option->get_description(), value, false});
  }
  return facts;
}

std::vector<CommandParser> CommandParser::commands() const {
  std::vector<CommandParser> found;
  for (CLI::App* child : app_->get_subcommands([](CLI::App*) { return true; })) found.emplace_back(*child);
  return found;
}

bool CommandParser::parsed() const { return app_->parsed(); }

std::vector<std::string> CommandParser::remaining() const { return app_->remaining(); }

RootParser::RootParser(const std::string& name, const std::string& description, const std::string& version)
    : app_(std::make_unique<CLI::App>(description, name)) {
  app_->set_version_flag("--version", version, "Print the version and exit");
  app_->get_formatter()->column_width(kNamesWidth);
}

RootParser::~RootParser() = default;

bool RootParser::parse(int argc, const char* const* argv) {
  keep_extras(*app_);
  try {
    app_->parse(argc, argv);
  } catch (const CLI::Success& success) {
    (void)app_->exit(success);
    return false;
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string text = error.what();  // "--set: 1 required A.B=C missing"
    throw InputError(text.substr(0, text.find(':')) + " needs a value; see " + app_->get_name() + " --help");
  } catch (const CLI::ParseError& error) {
    throw InputError(std::string(error.what()) + "; see " + app_->get_name() + " --help");
  }
  return true;
}

}  // namespace kvcast
