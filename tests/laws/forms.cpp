// Every form of KV cache under every scheduler on three kinds of models: both step paths and any number of
// threads give the same run, nothing is lost, memory stays within the form's bound. What no engine could run
// is refused with a reason.
#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <map>

#include "sim/app/compose.h"
#include "tests/support/random_runs.h"

namespace kvcast {
namespace {

struct Form {
  std::string name;
  std::vector<Setting> settings;
};

const std::vector<Form>& forms() {
  static const std::vector<Form> all = {
      {"paged", {}},
      {"prefix cache, arc",
       {{"engine.enable_prefix_caching", "true"}, {"engine.prefix_cache_eviction", "arc"}}},
      {"ring", {{"engine.allocator", "ring"}, {"engine.ring.window", "512"}}},
      {"sinks", {{"engine.allocator", "sinks"}, {"engine.sinks.window", "508"}}},
      {"sinks in some layers",
       {{"engine.allocator", "sinks"}, {"engine.sinks.window", "508"}, {"engine.sinks.layers", "[1, 3, 5]"}}},
      {"h2o", {{"engine.allocator", "h2o"}, {"engine.h2o.budget", "256"}}},
      {"tova", {{"engine.allocator", "tova"}, {"engine.tova.budget", "256"}}},
      {"scissorhands", {{"engine.allocator", "scissorhands"}, {"engine.scissorhands.budget", "256"}}},
      {"snapkv", {{"engine.allocator", "snapkv"}, {"engine.snapkv.prompt_budget", "256"}}},
      {"pyramidkv", {{"engine.allocator", "pyramidkv"}, {"engine.pyramidkv.prompt_budget", "256"}}},
      {"quest", {{"engine.allocator", "quest"}, {"engine.quest.budget", "256"}}},
      {"kivi",
       {{"engine.block_size", "32"},
        {"engine.max_num_seqs", "64"},
        {"engine.kv_quantization",
         "{dtype: int2, keys: per_channel, group_size: 32, residual_window: 128}"}}},
      {"fp8 with skipped layers",
       {{"engine.kv_cache_dtype", "fp8"}, {"engine.kv_cache_dtype_skip_layers", "[0, 1]"}}},
      {"cross-layer sharing", {{"engine.model_overrides.cross_layer_sharing", "2"}}},
      {"yoco", {{"engine.model_overrides.yoco_window", "512"}}},
      {"one vector for K and V", {{"engine.model_overrides.key_value_sharing", "true"}}},
      {"linear attention in some layers", {{"engine.model_overrides.linear_attention_layers", "[1, 3, 5]"}}},
      {"streaming layers",
       {{"engine.model_overrides.streaming_layers", "[1, 3, 5]"},
        {"engine.model_overrides.streaming_window", "512"}}},
      {"pools apart", {{"engine.kv_pools", "split"}}},
      {"pools apart, a share given",
       {{"engine.kv_pools", "split"},
        {"engine.kv_pool_window_share", "0.4"},
        {"engine.enable_prefix_caching", "true"}}},
      {"tiers, loads on arrival",
       {{"engine.enable_prefix_caching", "true"},
        {"engine.num_gpu_blocks_override", "600"},
        {"engine.kv_offload", "{host_gib: 8, prefetch: on_arrival}"}}},
      {"swap or recompute", {{"engine.num_gpu_blocks_override", "600"}, {"engine.preemption", "cheapest"}}},
      {"gqa 4", {{"engine.model_overrides.num_key_value_heads", "4"}}},
  };
  return all;
}

struct Seen {
  std::string record;
  std::map<std::uint64_t, std::string> rows;
  RunRecord raw;
};

Seen simulated(Experiment& experiment, StepPath path) {
  test::Watcher watcher;
  RunHooks hooks;
  hooks.requests = &watcher;
  experiment.cluster.engine.path = path;
  Seen seen;
  seen.raw = run(experiment.cluster, experiment.workload.make_source, *experiment.timer, hooks);
  seen.record = test::text_of(seen.raw);
  for (const auto& [id, row] : watcher.rows) seen.rows[id] = test::text_of(row);
  return seen;
}

void check(Experiment& experiment, std::int64_t requests) {
  const Seen closed = simulated(experiment, StepPath::closed_form);
  const Seen stepped = simulated(experiment, StepPath::step_by_step);
  BOOST_TEST(closed.record == stepped.record);
  BOOST_TEST((closed.rows == stepped.rows));
  experiment.cluster.engine.path = StepPath::closed_form;
  const RunRecord threaded =
      run(experiment.cluster, experiment.workload.make_source, *experiment.timer, {}, 2);
  BOOST_TEST(closed.record == test::text_of(threaded));
  const RunRecord& r = closed.raw;
  BOOST_TEST(r.arrived == requests);
  BOOST_TEST(r.arrived == r.completed + r.rejected_too_long + r.rejected_never_fits + r.unfinished);
  if (!r.stuck) BOOST_TEST(r.unfinished == 0);
}

BOOST_AUTO_TEST_SUITE(forms_of_kv_cache)

BOOST_AUTO_TEST_CASE(every_form_under_every_scheduler) {
  constexpr std::int64_t kRequests = 40;
  int ran = 0, refused = 0;
  for (const Form& form : forms()) {
    for (const char* model : {"llama-3.1-8b", "gpt-oss-20b", "qwen3-30b-a3b"}) {
      for (const char* scheduler :
           {"vllm-v1", "vllm-v0", "sarathi", "continuous", "static", "tensorrt-llm"}) {
        std::vector<Setting> settings = {
            {"model", model},
            {"engine.scheduler", scheduler},
            {"engine.max_model_len", "8192"},
            {"cluster.replicas", "2"},
            {"workload",
             "{synthetic: {requests: 40, arrivals: {process: poisson, rate: 30}, input: {lognormal: "
             "{mean: 900, cv: 1}}, output: {lognormal: {mean: 60, cv: 1}}, max: 4096, prefix: "
             "{groups: 3, tokens: 200}}}"}};
        settings.insert(settings.end(), form.settings.begin(), form.settings.end());
        BOOST_TEST_CONTEXT(form.name << ", " << model << ", " << scheduler) {
          try {
            ScenarioText text = open_scenario("default", settings);
            Experiment experiment = compose(read_scenario(text));
            check(experiment, kRequests);
            ++ran;
          } catch (const InputError& error) {
            BOOST_TEST_MESSAGE(form.name << ", " << model << ", " << scheduler << ": " << error.what());
            BOOST_TEST(std::string(error.what()).size() > 20);
            ++refused;
          }
        }
      }
    }
  }
  BOOST_TEST_MESSAGE(ran << " combinations ran, " << refused << " were refused");
  BOOST_TEST(ran >= 60);
}

/// Blocks of one sequence do not depend on its length.
BOOST_AUTO_TEST_CASE(rings_sinks_and_budgets_are_constant_to_a_million_tokens) {
  struct Bound {
    const char* allocator;
    std::vector<Setting> settings;
    std::int64_t blocks;  // of 16
  };
  const std::vector<Bound> bounds = {
      {"ring", {{"engine.ring.window", "1024"}}, 65},    // 1,023 tokens behind the newest touch 65 blocks
      {"sinks", {{"engine.sinks.window", "1020"}}, 66},  // one of sinks, 65 of the window
      {"h2o", {{"engine.h2o.budget", "1024"}}, 64},
      {"tova", {{"engine.tova.budget", "1024"}}, 64},
      {"scissorhands", {{"engine.scissorhands.budget", "1024"}}, 64}};
  for (const Bound& bound : bounds) {
    for (const char* length : {"4000", "100000", "999000"}) {
      std::vector<Setting> settings = {
          {"engine.allocator", bound.allocator},
          {"engine.max_model_len", "1000000"},
          {"engine.scheduler", "vllm-v1"},
          {"engine.step_time", "{affine: {base_us: 5000, per_token_us: 20}}"},
          {"engine.num_gpu_blocks_override", "2000"},
          {"cluster.replicas", "1"},
          {"workload",
           std::string("{synthetic: {requests: 1, arrivals: {process: constant, rate: 1}, input: {fixed: "
                       "500}, output: {fixed: ") +
               length + "}}}"}};
      settings.insert(settings.end(), bound.settings.begin(), bound.settings.end());
      BOOST_TEST_CONTEXT(bound.allocator << ", " << length << " tokens") {
        ScenarioText text = open_scenario("default", settings);
        Experiment experiment = compose(read_scenario(text));
        const RunRecord record =
            run(experiment.cluster, experiment.workload.make_source, *experiment.timer, {});
        BOOST_TEST(record.completed == 1);
        BOOST_TEST(record.blocks_used_max == bound.blocks);
      }
    }
  }
}

/// Bytes that one sequence moves in steps far behind its window.
Int128 bytes_of(const std::vector<Setting>& form, const char* output) {
  std::vector<Setting> settings = {
      {"model", "llama-3.1-8b"},
      {"engine.max_model_len", "100000"},
      {"cluster.replicas", "1"},
      {"workload",
       std::string("{synthetic: {requests: 1, arrivals: {process: constant, rate: 1}, input: {fixed: "
                   "500}, output: {fixed: ") +
           output + "}}}"}};
  settings.insert(settings.end(), form.begin(), form.end());
  ScenarioText text = open_scenario("default", settings);
  Experiment experiment = compose(read_scenario(text));
  return run(experiment.cluster, experiment.workload.make_source, *experiment.timer, {}).steps.hbm_bytes;
}

BOOST_AUTO_TEST_CASE(steps_read_window_and_sinks_and_nothing_else) {
  constexpr std::int64_t kTokenBytes = 131'072;  // 32 layers, 8 heads of 128, K and V, 2 bytes
  constexpr std::int64_t kSteps = 10'000;
  const auto each_step = [](const std::vector<Setting>& form) {
    return (bytes_of(form, "30000") - bytes_of(form, "20000")) / kSteps;
  };
  const auto narrow = each_step({{"engine.allocator", "ring"}, {"engine.ring.window", "1024"}});
  const auto wide = each_step({{"engine.allocator", "ring"}, {"engine.ring.window", "2048"}});
  const auto sinks = each_step(
      {{"engine.allocator", "sinks"}, {"engine.sinks.sinks", "4"}, {"engine.sinks.window", "1020"}});
  BOOST_TEST(static_cast<std::int64_t>(wide - narrow) == 1024 * kTokenBytes);
  BOOST_TEST(static_cast<std::int64_t>(sinks) == static_cast<std::int64_t>(narrow));
}

/// What one request of Llama 4 Scout on eight GPUs moves and computes: 36 of its 48 layers attend in chunks,
/// on a rank each with a KV head of 128 (512 bytes a token) and five query heads.
StepTotals scout(std::int64_t chunk, std::int64_t input, std::int64_t output) {
  ScenarioText text = open_scenario(
      "default",
      {{"model", "llama-4-scout"},
       {"engine.model_overrides.text_config.attention_chunk_size", std::to_string(chunk)},
       {"engine.max_model_len", "60000"},
       {"engine.step_time.roofline", "true"},
       {"cluster.tensor_parallel_size", "8"},
       {"cluster.replicas", "1"},
       {"workload",
        fmt::format(
            "{{synthetic: {{requests: 1, arrivals: {{process: constant, rate: 1}}, input: {{fixed: {}}}, "
            "output: {{fixed: {}}}}}}}",
            input, output)}});
  Experiment experiment = compose(read_scenario(text));
  return run(experiment.cluster, experiment.workload.make_source, *experiment.timer, {}).steps;
}

/// A decode reads its own chunk of the cache: as the context grows by a token a step, (known - 1) mod chunk +
/// 1 tokens. Two chunk sizes differ by the difference of those sums, to the byte.
BOOST_AUTO_TEST_CASE(chunked_layers_read_their_chunk_and_nothing_else) {
  constexpr std::int64_t kInput = 3'000, kOutput = 9'000;
  const auto read = [](std::int64_t chunk) {
    std::int64_t tokens = 0;  // of one layer; the first output comes from the prompt's step
    for (std::int64_t known = kInput + 1; known < kInput + kOutput; ++known)
      tokens += (known - 1) % chunk + 1;
    return tokens;
  };
  const auto bytes = [](std::int64_t chunk) { return scout(chunk, kInput, kOutput).hbm_bytes; };
  const Int128 narrow = bytes(1'000), wide = bytes(2'048), whole = bytes(16'384);
  // The prompt's own step reads a chunk's keys too: of 3,000 tokens those since the last chunk began are all
  // of the step's tokens, whatever the chunk.
  BOOST_TEST(static_cast<std::int64_t>(wide - narrow) == 36 * 512 * (read(2'048) - read(1'000)));
  BOOST_TEST(static_cast<std::int64_t>(whole - wide) == 36 * 512 * (read(16'384) - read(2'048)));
}

/// And a prompt computes the pairs of its chunks: 4 FLOP for each of 5 heads of 128.
BOOST_AUTO_TEST_CASE(prompts_compute_the_pairs_of_their_chunks) {
  constexpr std::int64_t kInput = 7'500;  // one step
  const auto pairs = [](std::int64_t chunk) {
    std::int64_t sum = 0;
    for (std::int64_t at = 0; at < kInput; ++at) sum += at % chunk + 1;
    return sum;
  };
  const auto flop = [](std::int64_t chunk) { return scout(chunk, kInput, 1).flop; };
  BOOST_TEST(static_cast<std::int64_t>(flop(4'096) - flop(1'000)) ==
             36 * 4 * 5 * 128 * (pairs(4'096) - pairs(1'000)));
}

/// Llama-3.1-8B by hand: 32 layers x 8 KV heads x 128 elements, K and V.
BOOST_AUTO_TEST_CASE(bytes_of_a_token_in_closed_form) {
  const std::vector<std::pair<std::vector<Setting>, std::int64_t>> cases = {
      {{}, 32 * 8 * 128 * 2 * 2},
      {{{"engine.model_overrides.num_key_value_heads", "4"}}, 32 * 4 * 128 * 2 * 2},
      {{{"engine.model_overrides.num_key_value_heads", "1"}}, 32 * 1 * 128 * 2 * 2},
      {{{"engine.model_overrides.cross_layer_sharing", "2"}}, 16 * 8 * 128 * 2 * 2},
      {{{"engine.model_overrides.key_value_sharing", "true"}}, 32 * 8 * 128 * 1 * 2},
      {{{"engine.kv_cache_dtype", "fp8"}}, 32 * 8 * 128 * 2},
      {{{"engine.kv_cache_dtype", "fp8"}, {"engine.kv_cache_dtype_skip_layers", "[0, 1]"}},
       8 * 128 * 2 * (30 + 2 * 2)},
      // One fp32 scale a token and head, for K and for V.
      {{{"engine.kv_cache_dtype", "int8_per_token_head"}}, 32 * 8 * 2 * (128 + 4)},
      // KIVI: 2 bits, and for every 32 values a scale and a zero point of 2 bytes each.
      {{{"engine.block_size", "32"},
        {"engine.max_num_seqs", "64"},
        {"engine.kv_quantization",
         "{dtype: int2, keys: per_channel, values: per_token_head, group_size: 32}"}},
       32 * 8 * 2 * (128 / 4 + 128 / 32 * 4)}};
  for (const auto& [form, bytes] : cases) {
    std::vector<Setting> settings = {{"model", "llama-3.1-8b"}, {"engine.max_model_len", "8192"}};
    settings.insert(settings.end(), form.begin(), form.end());
    ScenarioText text = open_scenario("default", settings);
    const Scenario scenario = read_scenario(text);
    BOOST_TEST_CONTEXT((form.empty() ? "as it is" : form.back().path + "=" + form.back().value)) {
      BOOST_REQUIRE(scenario.deployment.report.has_value());
      BOOST_TEST(scenario.deployment.report->kv.bytes_per_token == bytes);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
