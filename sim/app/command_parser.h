/// The command line while it is declared and after it was read. CLI11 does the work, in command_parser.cpp
/// alone: its headers take seconds to compile.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace kvcast {

/// An option that was just declared. The object is a handle; the parser owns the option.
class OptionDeclaration {
 public:
  explicit OptionDeclaration(CLI::Option& option) : option_(&option) {}

  /// What --help calls the value.
  const OptionDeclaration& type_name(const std::string& name) const;
  /// Values that one use of the option takes.
  const OptionDeclaration& expected(int count) const;
  const OptionDeclaration& expected(int at_least, int at_most) const;
  /// The option may be repeated; the values of all uses are kept, in order.
  const OptionDeclaration& take_all() const;

 private:
  CLI::Option* option_;
};

/// What was declared of an option, for shell completion.
struct OptionFacts {
  std::string name;   // "--json"; of an argument "scenario"
  std::string help;   // its first sentence or all of it
  std::string value;  // what --help calls its value; empty: it takes none
  bool argument = false;
};

/// A command, to which options and commands of its own are added. The object is a handle; the root owns all.
class CommandParser {
 public:
  CommandParser() = default;
  explicit CommandParser(CLI::App& app) : app_(&app) {}

  // NOLINTBEGIN(readability-make-member-function-const): they change the command behind the handle
  CommandParser add_subcommand(const std::string& name, const std::string& description) const;
  /// \param name "--name" of an option, or "name" of an argument
  /// \param value set while the command line is read; must live until then
  OptionDeclaration add_option(const std::string& name, std::string& value, const std::string& help) const;
  OptionDeclaration add_option(const std::string& name, std::vector<std::string>& values,
                               const std::string& help) const;
  void add_flag(const std::string& name, bool& value, const std::string& help) const;
  /// The text below the options in --help.
  void footer(const std::string& text) const;
  // NOLINTEND(readability-make-member-function-const)

  [[nodiscard]] std::string name() const;
  /// With the names of the commands above it: "kvcast trace stats".
  [[nodiscard]] std::string full_name() const;
  /// The options' long names: "--json", ...
  [[nodiscard]] std::vector<std::string> option_names() const;
  [[nodiscard]] std::string description() const;
  /// All that was declared on this command, in that order.
  [[nodiscard]] std::vector<OptionFacts> options() const;
  /// The commands below this one, in the order of their declaration.
  [[nodiscard]] std::vector<CommandParser> commands() const;
  /// Whether the command line named this command.
  [[nodiscard]] bool parsed() const;
  /// The words of the command line that no option took.
  [[nodiscard]] std::vector<std::string> remaining() const;

 private:
  CLI::App* app_ = nullptr;
};

/// The program's own level of the command line.
class RootParser {
 public:
  RootParser(const std::string& name, const std::string& description, const std::string& version);
  ~RootParser();
  RootParser(const RootParser&) = delete;
  RootParser& operator=(const RootParser&) = delete;

  [[nodiscard]] CommandParser parser() const { return CommandParser(*app_); }
  /// Reads the words; unknown ones are kept for remaining(). \return false where it printed help or the
  /// version and nothing is left to do \throws InputError for an option without its value and other wrong
  /// usage
  [[nodiscard]] bool parse(int argc, const char* const* argv);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace kvcast
