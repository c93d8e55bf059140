#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "reports/format.h"
#include "reports/report.h"
#include "sim/app/commands.h"
#include "sim/app/describe.h"
#include "sim/app/options.h"
#include "sim/app/result_files.h"
#include "sim/app/scenario_parallel.h"

namespace kvcast {
namespace {

constexpr std::int64_t kBytesMax = std::int64_t{1} << 60;

/// An option that stands for a key of the scenario file.
struct KeyOption {
  const char* option;
  const char* key;
  const char* type;
  const char* help;
};

constexpr KeyOption kKeyOptions[] = {
    {"--model", "model", "MODEL",
     "A Hugging Face config.json, a folder that holds one, or a name of kvcast list models"},
    {"--gpu", "cluster.gpu", "GPU", "A name of kvcast list gpus (default: h100-sxm)"},
    {"--tensor-parallel-size", "cluster.tensor_parallel_size", "N",
     "GPUs that share each layer (default: 1)"},
    {"--pipeline-parallel-size", "cluster.pipeline_parallel_size", "N",
     "Stages of consecutive layers (default: 1)"},
    {"--engine-profile", "engine.profile", "NAME", "A name of kvcast list engines (default: vllm-0.32)"},
    {"--dtype", "engine.dtype", "DTYPE", "Of weights and activations: auto, bfloat16, float16, float32"},
    {"--kv-cache-dtype", "engine.kv_cache_dtype", "DTYPE",
     "Of the KV cache: auto, fp8, int8_per_token_head, int4, ..."},
    {"--block-size", "engine.block_size", "TOKENS", "Tokens a block (default: the engine's choice)"},
    {"--gpu-memory-utilization", "engine.gpu_memory_utilization", "SHARE",
     "Share of the GPU's memory that the engine may use"},
    {"--max-model-len", "engine.max_model_len", "TOKENS", "Longest request (default: the model's)"},
    {"--max-num-seqs", "engine.max_num_seqs", "N", "Most requests in one step"},
    {"--max-num-batched-tokens", "engine.max_num_batched_tokens", "TOKENS", "Most tokens in one step"},
};

struct Options {
  std::vector<std::string> values = std::vector<std::string>(std::size(kKeyOptions));
  std::vector<std::string> settings;
  std::string available_kv_bytes;
  ResultPaths results;
  std::string command;
  bool quiet = false;
};

/// Messages name "--set a.b=c"; what was given as an option is named as that.
std::string in_option_words(std::string message, const Options& options) {
  for (std::size_t i = 0; i < std::size(kKeyOptions); ++i) {
    const std::string setting = fmt::format("--set {}={}", kKeyOptions[i].key, options.values[i]);
    if (!options.values[i].empty() && message.starts_with(setting)) {
      return fmt::format("{} {}{}", kKeyOptions[i].option, options.values[i], message.substr(setting.size()));
    }
  }
  return message;
}

Config command_line_config(const Options& options) {
  Config config = Config::empty("command line");
  for (const Setting& setting : parse_settings(options.settings)) config.set(setting.path, setting.value);
  for (std::size_t i = 0; i < std::size(kKeyOptions); ++i) {
    if (!options.values[i].empty()) config.set(kKeyOptions[i].key, options.values[i]);
  }
  if (!config.has("model"))
    throw InputError(
        "kvcast memory needs --model: a Hugging Face config.json, a folder that holds one, or a name of "
        "kvcast list models");
  return config;
}

void fill_lines(const MemoryReport& report, MemoryForecast& forecast) {
  const KvReport& kv = report.kv;
  const auto add = [&](const char* label, std::string value, const char* unit, std::string source) {
    forecast.lines.push_back({label, std::move(value), unit, std::move(source)});
  };
  std::int64_t layers = 0;  // that keep every token
  for (const KvGroupReport& group : kv.groups)
    layers += group.window == 0 && group.kind != "recurrent" ? group.layers : 0;
  if (layers > 0 && kv.bytes_per_token % layers == 0) {
    add("Per token and layer", grouped(kv.bytes_per_token / layers), "B",
        fmt::format("formula: per token / {} layers that keep every token", layers));
  }
  add("Blocks per request", grouped(kv.blocks_per_request), "",
      "formula: of max_model_len tokens, over all groups of layers");
  for (const KvPool& pool : kv.pools) {
    add(pool.bounded ? "Pool of the other layers" : "Pool of layers that keep all",
        grouped(pool.blocks_usable), "blocks",
        fmt::format(
            "{}; {} of them for a request of max_model_len, {:.2f} at once",
            pool.bounded ? fmt::format("formula: {:.4g} of all", kv.bounded_share) : "formula: the rest",
            grouped(pool.blocks_per_request), pool.max_concurrency));
  }
  add("Longest request (tokens)", grouped(report.fits_max_model_len), "",
      "formula: largest max_model_len that passes the engine's check");
}

/// What each stage of a pipeline holds on one rank: embedding and LM head make the ends heavier.
void fill_stages(const Deployment& deployment, MemoryForecast& forecast) {
  if (deployment.memory.pipeline_parallel_size == 1 || !deployment.model->weights_refused.empty()) return;
  std::int64_t number = 0;
  for (const StageReport& stage : stage_reports(*deployment.model, *deployment.gpu, deployment.memory)) {
    forecast.lines.push_back(
        {fmt::format("Stage {}", ++number), bytes(stage.weight_bytes), "",
         fmt::format("formula: layers {} to {}; {} of KV per token", stage.first_layer + 1,
                     stage.first_layer + stage.layers, bytes(stage.kv_bytes_per_token))});
  }
}

void fill_kv(const KvReport& kv, MemoryForecast::Kv& out) {
  out.bytes_per_token = kv.bytes_per_token;
  out.bytes_per_block = kv.bytes_per_block;
  out.state_bytes_per_sequence = kv.state_bytes_per_sequence;
  out.blocks_total = kv.blocks_total;
  out.blocks_usable = kv.blocks_usable;
  out.tokens_total = kv.tokens_total;
  out.tokens_capacity = kv.tokens_capacity;
  out.max_concurrency = kv.max_concurrency;
  for (const KvGroupReport& group : kv.groups)
    out.groups.push_back({group.kind, group.layers, group.block_size, group.page_bytes});
  for (const KvPool& pool : kv.pools)
    out.pools.push_back({pool.bounded, pool.blocks_usable, pool.blocks_per_request, pool.max_concurrency});
}

void fill_weights(const WeightsReport& weights, MemoryForecast::Weights& out) {
  out.parameters = weights.parameters;
  out.bytes_per_rank = weights.bytes_per_rank;
  out.buffer_bytes = weights.buffer_bytes;
  out.mla_absorbed_bytes = weights.mla_absorbed_bytes;
  out.draft_bytes = weights.draft_bytes;
  out.loaded_bytes = weights.loaded_bytes;
}

std::string joined_sources(const std::vector<std::string>& sources, const std::string& otherwise) {
  std::string text;
  for (const std::string& source : sources) text += (text.empty() ? "" : "; ") + source;
  return text.empty() ? otherwise : text;
}

/// Data-, context- and expert-parallel ranks, where there are several.
std::string further_ranks(const Deployment& deployment) {
  const MemoryOptions& memory = deployment.memory;
  std::string text;
  if (memory.data_parallel_size > 1) text += fmt::format(", DP {}", memory.data_parallel_size);
  if (memory.context_parallel_size > 1) text += fmt::format(", CP {}", memory.context_parallel_size);
  if (memory.decode_context_parallel_size > 1)
    text += fmt::format(", DCP {}", memory.decode_context_parallel_size);
  if (memory.enable_expert_parallel)
    text += fmt::format(", EP {}", deployment.spread.expert_ranks(memory.tensor_parallel_size));
  return text;
}

MemoryForecast to_forecast(const Deployment& deployment, const MemoryReport& report) {
  const MemoryOptions& memory = deployment.memory;
  const std::int64_t gpus = shape_of(memory).gpus();
  MemoryForecast forecast;
  forecast.title = describe_title(*deployment.model, *deployment.gpu, gpus);
  forecast.model = describe_model(*deployment.model);
  forecast.gpu = describe_gpu(*deployment.gpu, deployment.model->dtype);
  forecast.engine = fmt::format("{}, KV in {}, max_num_seqs {}, max_num_batched_tokens {}",
                                memory.profile.name, describe_kv_dtype(*deployment.model, report.kv),
                                grouped(report.max_num_seqs), grouped(report.max_num_batched_tokens));
  forecast.cluster = fmt::format("TP {}, PP {}{}", memory.tensor_parallel_size, memory.pipeline_parallel_size,
                                 further_ranks(deployment));
  forecast.fits = report.status == MemoryStatus::ok;
  forecast.warnings = report.warnings;
  forecast.max_model_len = report.max_model_len;
  forecast.fits_max_model_len = report.fits_max_model_len;
  forecast.message = report.message;
  fill_weights(report.weights, forecast.weights);
  fill_kv(report.kv, forecast.kv);
  forecast.kv.dtype = describe_kv_dtype(*deployment.model, report.kv);
  forecast.budget = budget_lines(report);
  fill_lines(report, forecast);
  fill_stages(deployment, forecast);
  if (!report.kv.scheme.empty())
    forecast.assumptions.push_back({"KV cache: " + report.kv.scheme, memory.profile.name});
  forecast.assumptions.push_back(
      {"What is not given is as " + memory.profile.name + " sets it",
       joined_sources(memory.profile.sources, "configs/engines/" + memory.profile.name + ".yaml")});
  forecast.version = KVCAST_VERSION;
  return forecast;
}

ExitCode memory(const Options& options) {
  try {
    ResultFiles files(options.results);
    Config root = command_line_config(options);
    Deployment deployment = read_deployment(root, "", ReadFor::memory);
    root.finish();
    if (!options.available_kv_bytes.empty()) {
      deployment.memory.available_kv_bytes =
          parse_integer("--available-kv-bytes", options.available_kv_bytes, 0, kBytesMax);
    }
    const MemoryReport report = memory_report(*deployment.model, *deployment.gpu, deployment.memory);
    MemoryForecast forecast = to_forecast(deployment, report);
    forecast.command = options.command;
    files.write(forecast);
    if (!options.quiet && !files.to_stdout()) write_table(stdout, forecast, color_wanted(stdout));
    if (forecast.fits) return ExitCode::fine;
    throw InputError(fmt::format("{} does not fit: {}", forecast.title, forecast.message),
                     ExitCode::infeasible);
  } catch (const InputError& error) {
    throw InputError(in_option_words(error.what(), options), error.code());
  }
}

}  // namespace

Command add_memory(CommandParser root, const std::string& command) {
  auto options = std::make_shared<Options>();
  options->command = command;
  const CommandParser app = root.add_subcommand(
      "memory", "Size weights and KV cache on a GPU: blocks, tokens, concurrency, and what would fit");
  for (std::size_t i = 0; i < std::size(kKeyOptions); ++i) {
    app.add_option(kKeyOptions[i].option, options->values[i], kKeyOptions[i].help)
        .type_name(kKeyOptions[i].type);
  }
  app.add_option("--available-kv-bytes", options->available_kv_bytes,
                 "Skip the budget: how many blocks do N bytes a rank give?")
      .type_name("N");
  app.add_option("--set", options->settings,
                 "Any other value, as path=value: --set engine.enforce_eager=true (repeatable)")
      .type_name("A.B=C")
      .expected(1)
      .take_all();
  declare_results(app, options->results, "the result", "a header and one row");
  app.add_flag("--quiet", options->quiet, "No table: only the files asked for and the exit code");
  return {app, [options] { return memory(*options); }, {}};
}

}  // namespace kvcast
