#include "sim/app/completion_script.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvcast {
namespace {

/// Quoted for a POSIX shell (and fish, which reads '\'' differently but has no quotes in these words).
std::string quote(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string fish_quote(const std::string& text) {
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') word += '\\';
    word += c;
  }
  return word + "'";
}

/// A description that fits beside a completion: the first clause, on one line.
std::string brief(const std::string& help) {
  constexpr std::size_t kMax = 72;
  std::string text = help.substr(0, help.find_first_of(";(\n"));
  if (const std::size_t colon = text.find(": "); colon != std::string::npos) text.resize(colon);
  while (!text.empty() && text.back() == ' ') text.pop_back();
  if (text.size() > kMax) text = text.substr(0, text.rfind(' ', kMax));
  return text;
}

std::string joined_words(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

/// Every command of the tree, parents first.
std::vector<const CommandTree*> flat(const CommandTree& root) {
  std::vector<const CommandTree*> all{&root};
  for (const CommandTree& child : root.children) {
    for (const CommandTree* command : flat(child)) all.push_back(command);
  }
  return all;
}

/// `A|B|C)` of a case that walks down the commands.
std::string path_patterns(const CommandTree& root) {
  std::string text;
  for (const CommandTree* command : flat(root)) {
    if (command != &root) text += (text.empty() ? "" : "|") + quote(command->path);
  }
  return text;
}

std::vector<std::string> option_names(const CommandTree& command) {
  std::vector<std::string> names;
  for (const OptionFacts& option : command.options) {
    if (!option.argument) names.push_back(option.name);
  }
  return names;
}

std::string last_word(const std::string& path) { return path.substr(path.rfind(' ') + 1); }

/// What completes the arguments of a command.
ValueWords argument_words(const CommandTree& command) {
  ValueWords all;
  for (const OptionFacts& option : command.options) {
    if (!option.argument) continue;
    const ValueWords words = value_words(command.path, option);
    all.words.insert(all.words.end(), words.words.begin(), words.words.end());
    if (!words.list.empty()) all.list = words.list;
    all.files = all.files || words.files;
  }
  for (const CommandTree& child : command.children) all.words.push_back(last_word(child.path));
  return all;
}

std::string bash_reply(const ValueWords& words) {
  std::string text;
  if (!words.words.empty()) text += fmt::format("words+=({}); ", joined_words(words.words));
  if (!words.list.empty()) text += fmt::format("words+=($(_kvcast_names {})); ", words.list);
  if (words.files) text += "files=1; ";
  return text + ";;\n";
}

std::string zsh_reply(const ValueWords& words) {
  std::string text;
  if (!words.words.empty()) text += fmt::format("compadd -- {}; ", joined_words(words.words));
  if (!words.list.empty()) text += fmt::format("compadd -- $(_kvcast_names {}); ", words.list);
  if (words.files) text += "_files; ";
  return text;
}

}  // namespace

CommandTree command_tree(const CommandParser& root) {
  CommandTree tree{root.full_name(), root.description(), root.options(), {}};
  for (const CommandParser& child : root.commands()) tree.children.push_back(command_tree(child));
  return tree;
}

ValueWords value_words(const std::string& path, const OptionFacts& option) {
  const std::string& value = option.value;
  const std::string& name = option.name;
  if (name == "kind" && path == "kvcast list")
    return {{"models", "gpus", "links", "engines", "schedulers", "policies", "allocators", "evictions",
             "routers", "traces", "workloads", "scenarios"},
            "",
            false};
  if (name == "shell") return {{"bash", "zsh", "fish"}, "", false};
  if (value == "MODE") return {{"auto", "on", "off"}, "", false};
  if (value == "MODEL") return {{}, "models", true};
  if (value.starts_with("GPU")) return {{}, "gpus", false};
  if (name == "--engine-profile") return {{}, "engines", false};
  if (name == "--format") return {{}, "traces", false};
  if (name == "--eviction") return {{}, "evictions", false};
  if (name == "--suite") return {{"quick", "full"}, "", false};
  if (name == "--device")
    return path == "kvcast calibrate" || path == "kvcast regress" ? ValueWords{{"cpu", "cuda"}, "", false}
                                                                  : ValueWords{{}, "gpus", false};
  if (name == "--dtype") return {{"auto", "bfloat16", "float16", "float32"}, "", false};
  if (name == "--kv-cache-dtype")
    return {{"auto", "bfloat16", "float16", "fp8", "fp8_e5m2", "int8", "int8_per_token_head",
             "fp8_per_token_head", "int4", "int4_per_token_head", "nf4"},
            "",
            false};
  if (name == "scenario" || name == "scenarios") return {{}, "scenarios", true};
  const bool path_like =
      value.find("FILE") != std::string::npos || value.find("LOG") != std::string::npos ||
      value.find("TABLES") != std::string::npos || value.find("PATH") != std::string::npos ||
      value.find("TRACE") != std::string::npos || value.find("FOLDER") != std::string::npos ||
      value.find("MANIFEST") != std::string::npos || value.find("BASE") != std::string::npos ||
      value.find("SCENARIO") != std::string::npos;
  return {{}, "", path_like};
}

std::string bash_completion(const CommandTree& root) {
  std::string text =
      "# kvcast completion bash: source <(kvcast completion bash)\n"
      "_kvcast_names() { kvcast list \"$1\" 2>/dev/null | while read -r name _; do printf '%s\\n' \"$name\"; "
      "done; }\n"
      "_kvcast() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at=kvcast files= i\n"
      "  local -a words=()\n"
      "  COMPREPLY=()\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    case \"$at ${COMP_WORDS[i]}\" in\n"
      "      " +
      path_patterns(root) +
      ") at=\"$at ${COMP_WORDS[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  if [[ $cur == -* ]]; then\n"
      "    case \"$at\" in\n";
  for (const CommandTree* command : flat(root))
    text +=
        fmt::format("      {}) words=({}) ;;\n", quote(command->path), joined_words(option_names(*command)));
  text += "    esac\n  else\n    case \"$at:$prev\" in\n";
  for (const CommandTree* command : flat(root)) {
    for (const OptionFacts& option : command->options) {
      if (!option.argument && !option.value.empty())
        text += "      " + quote(command->path + ":" + option.name) + ") " +
                bash_reply(value_words(command->path, option));
    }
  }
  text += "      *)\n        case \"$at\" in\n";
  for (const CommandTree* command : flat(root))
    text += "          " + quote(command->path) + ") " + bash_reply(argument_words(*command));
  return text +
         "        esac ;;\n    esac\n  fi\n"
         "  COMPREPLY=($(compgen -W \"${words[*]}\" -- \"$cur\"))\n"
         "  if [[ -n $files ]]; then\n"
         "    compopt -o filenames 2>/dev/null\n"
         "    while IFS= read -r i; do COMPREPLY+=(\"$i\"); done < <(compgen -f -- \"$cur\")\n"
         "  fi\n"
         "}\n"
         "complete -F _kvcast kvcast\n";
}

std::string zsh_completion(const CommandTree& root) {
  std::string text =
      "#compdef kvcast\n"
      "# kvcast completion zsh: source <(kvcast completion zsh), or a file _kvcast in a folder of $fpath\n"
      "_kvcast_names() { kvcast list \"$1\" 2>/dev/null | while read -r name _; do print -r -- \"$name\"; "
      "done }\n"
      "_kvcast() {\n"
      "  local cur=${words[CURRENT]} prev=${words[CURRENT-1]} at=kvcast i\n"
      "  local -a items\n"
      "  for ((i = 2; i < CURRENT; ++i)); do\n"
      "    case \"$at ${words[i]}\" in\n"
      "      (" +
      path_patterns(root) +
      ") at=\"$at ${words[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  if [[ $cur == -* ]]; then\n"
      "    case $at in\n";
  const auto described = [](const std::string& word, const std::string& help) {
    std::string escaped;
    for (const char c : brief(help)) escaped += c == ':' ? std::string("\\:") : std::string(1, c);
    return " " + quote(word + ":" + escaped);
  };
  for (const CommandTree* command : flat(root)) {
    text += "      (" + quote(command->path) + ") items=(";
    for (const OptionFacts& option : command->options)
      if (!option.argument) text += described(option.name, option.help);
    text += " ) ;;\n";
  }
  text += "    esac\n    _describe -o option items\n    return\n  fi\n  case \"$at:$prev\" in\n";
  for (const CommandTree* command : flat(root)) {
    for (const OptionFacts& option : command->options) {
      if (!option.argument && !option.value.empty())
        text += "    (" + quote(command->path + ":" + option.name) + ") " +
                zsh_reply(value_words(command->path, option)) + "return ;;\n";
    }
  }
  text += "  esac\n  case $at in\n";
  for (const CommandTree* command : flat(root)) {
    text += "    (" + quote(command->path) + ") ";
    if (!command->children.empty()) {
      text += "items=(";
      for (const CommandTree& child : command->children)
        text += described(last_word(child.path), child.description);
      text += " ); _describe command items; ";
    }
    ValueWords words = argument_words(*command);
    if (!command->children.empty()) words.words.clear();  // described above
    text += zsh_reply(words) + ";;\n";
  }
  return text +
         "  esac\n}\n"
         "if [[ ${funcstack[1]} == _kvcast ]]; then _kvcast \"$@\"; else compdef _kvcast kvcast; fi\n";
}

std::string fish_completion(const CommandTree& root) {
  std::string text =
      "# kvcast completion fish | source\n"
      "function __kvcast_names\n"
      "    kvcast list $argv[1] 2>/dev/null | string match -rg '^(\\S+)'\n"
      "end\n"
      "function __kvcast_at\n"
      "    set -l at kvcast\n"
      "    for word in (commandline -opc)[2..]\n"
      "        switch \"$at $word\"\n"
      "            case";
  for (const CommandTree* command : flat(root)) {
    if (command != &root) text += " " + fish_quote(command->path);
  }
  text +=
      "\n                set at \"$at $word\"\n        end\n    end\n"
      "    test \"$at\" = \"$argv[1]\"\nend\n"
      "complete -c kvcast -f\n";
  const auto values = [](const ValueWords& words) {
    std::string list = joined_words(words.words);
    if (!words.list.empty())
      list += (list.empty() ? "" : " ") + fmt::format("(__kvcast_names {})", words.list);
    return (list.empty() ? "" : " -a " + fish_quote(list)) + (words.files ? " -F" : "");
  };
  for (const CommandTree* command : flat(root)) {
    const std::string at = "complete -c kvcast -n " + fish_quote("__kvcast_at '" + command->path + "'");
    for (const CommandTree& child : command->children)
      text += at + " -a " + last_word(child.path) + " -d " + fish_quote(brief(child.description)) + "\n";
    for (const OptionFacts& option : command->options) {
      if (option.argument) continue;
      text += at + " -l " + option.name.substr(2);
      if (!option.value.empty()) text += " -r" + values(value_words(command->path, option));
      text += " -d " + fish_quote(brief(option.help)) + "\n";
    }
    ValueWords words = argument_words(*command);
    words.words.clear();
    for (const OptionFacts& option : command->options)
      if (option.argument && !option.value.empty())
        for (const std::string& word : value_words(command->path, option).words) words.words.push_back(word);
    if (const std::string list = values(words); !list.empty()) text += at + list + "\n";
  }
  return text;
}

}  // namespace kvcast
