// kvcast completion SHELL: a script that completes commands, options and names.
#include <cstdio>
#include <memory>

#include "sim/app/commands.h"
#include "sim/app/completion_script.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

ExitCode completion(const CommandParser& root, const std::string& shell) {
  const CommandTree tree = command_tree(root);
  std::string script;
  if (shell == "bash") {
    script = bash_completion(tree);
  } else if (shell == "zsh") {
    script = zsh_completion(tree);
  } else if (shell == "fish") {
    script = fish_completion(tree);
  } else if (shell.empty()) {
    throw InputError("kvcast completion needs a shell: bash, zsh or fish");
  } else {
    throw InputError("kvcast completion: unknown shell " + quoted(shell) +
                     known_names(shell, {"bash", "zsh", "fish"}));
  }
  std::fputs(script.c_str(), stdout);
  return ExitCode::fine;
}

}  // namespace

Command add_completion(CommandParser root) {
  auto shell = std::make_shared<std::string>();
  const CommandParser app =
      root.add_subcommand("completion", "Print a script that completes kvcast's commands in your shell");
  app.add_option("shell", *shell, "bash, zsh or fish").type_name("SHELL");
  app.footer(
      "bash: source <(kvcast completion bash)\nzsh:  source <(kvcast completion zsh)\nfish: kvcast "
      "completion fish | "
      "source\nPut the line into ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish.");
  return {app, [root, shell] { return completion(root, *shell); }, {}};
}

}  // namespace kvcast
