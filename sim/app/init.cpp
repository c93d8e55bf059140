// kvcast init: a commented scenario from a model, a GPU and a trace.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <tuple>

#include "sim/app/commands.h"
#include "sim/app/init_scenario.h"
#include "sim/app/outputs.h"

namespace kvcast {
namespace {

/// Messages name "--set a.b=c"; what was given as an option is named as that.
std::string in_option_words(const std::string& message, const InitChoice& choice) {
  for (const auto& [option, path, value] : {std::tuple{"--model", "model", choice.model},
                                            {"--gpu", "cluster.gpu", choice.gpu},
                                            {"--engine-profile", "engine.profile", choice.profile}}) {
    const std::string setting = std::string("--set ") + path + "=" + value;
    if (message.starts_with(setting)) return option + (" " + value) + message.substr(setting.size());
  }
  return message;
}

std::string text_of(const InitChoice& choice) {
  try {
    return init_scenario(choice);
  } catch (const InputError& error) {
    throw InputError(in_option_words(error.what(), choice), error.code());
  }
}

ExitCode init(const InitChoice& choice) {
  if (choice.model.empty())
    throw InputError(
        "kvcast init needs --model: a Hugging Face config.json, a folder that holds one, or a name of kvcast "
        "list "
        "models");
  std::error_code error;
  if (choice.out != "-" && std::filesystem::is_regular_file(choice.out, error))
    throw InputError("--out " + choice.out +
                     ": it is there already, and may hold your edits; name another file");
  const std::string text = text_of(choice);
  OutputFile out(choice.out);
  out.write(text);
  out.commit();
  if (choice.out != "-")
    std::fprintf(stderr, "kvcast: %s written; next: kvcast simulate %s\n", choice.out.c_str(),
                 choice.out.c_str());
  return ExitCode::fine;
}

}  // namespace

Command add_init(CommandParser root) {
  auto choice = std::make_shared<InitChoice>(InitChoice{
      .model = "", .gpu = "h100-sxm", .profile = "vllm-0.32", .trace = "", .format = "", .out = "-"});
  const CommandParser app = root.add_subcommand(
      "init", "Write a scenario to begin with, in which every key says what it does and what else it may be");
  app.add_option("--model", choice->model,
                 "A Hugging Face config.json, a folder that holds one, or a name of kvcast list models")
      .type_name("MODEL");
  app.add_option("--gpu", choice->gpu, "A name of kvcast list gpus (default: h100-sxm)").type_name("GPU");
  app.add_option("--engine-profile", choice->profile, "A name of kvcast list engines (default: vllm-0.32)")
      .type_name("NAME");
  app.add_option("--trace", choice->trace, "Your traffic; without it, requests are synthetic")
      .type_name("FILE");
  app.add_option("--format", choice->format, "Of the trace (default: told by the content)").type_name("NAME");
  app.add_option("--out", choice->out, "The file to write (default: standard output)").type_name("FILE");
  return {app, [choice] { return init(*choice); }, {}};
}

}  // namespace kvcast
