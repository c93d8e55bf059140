/// Completion scripts for shells, made from the commands as they were declared: nothing in them can be
/// forgotten.
#pragma once

#include <string>
#include <vector>

#include "sim/app/command_parser.h"

namespace kvcast {

/// One command with everything below it.
struct CommandTree {
  std::string path;  // "kvcast trace stats"
  std::string description;
  std::vector<OptionFacts> options;
  std::vector<CommandTree> children;
};

[[nodiscard]] CommandTree command_tree(const CommandParser& root);

/// What completes a value.
struct ValueWords {
  std::vector<std::string> words;  // a closed set
  std::string list;                // a KIND of kvcast list, asked for when it is needed; empty: none
  bool files = false;
};
/// \param path of the command \param option its name
[[nodiscard]] ValueWords value_words(const std::string& path, const OptionFacts& option);

[[nodiscard]] std::string bash_completion(const CommandTree& root);
[[nodiscard]] std::string zsh_completion(const CommandTree& root);
[[nodiscard]] std::string fish_completion(const CommandTree& root);

}  // namespace kvcast
