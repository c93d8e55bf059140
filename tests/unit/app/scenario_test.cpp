#include "sim/app/scenario.h"

#include <boost/test/unit_test.hpp>

#include "reports/report.h"
#include "sim/app/compose.h"
#include "sim/base/embedded.h"

namespace kvcast {
namespace {

constexpr const char* kFormulaEngine = R"(
engine:
  max_model_len: 4096
  num_gpu_blocks_override: 1024
  step_time: {affine: {base_us: 5000, per_token_us: 20}}
workload:
  synthetic: {requests: 200, arrivals: {process: poisson, rate: 8}, input: {uniform: [1, 900]}, output: {fixed: 20}}
)";

ScenarioText text_of(const std::string& text, const std::vector<Setting>& settings = {}) {
  ScenarioText scenario{Config::from_text(text, "test.yaml"), "test.yaml", "0", ""};
  for (const Setting& setting : settings) scenario.config.set(setting.path, setting.value);
  return scenario;
}

Scenario read(const std::string& text, const std::vector<Setting>& settings = {}) {
  ScenarioText scenario = text_of(text, settings);
  return read_scenario(scenario);
}

std::string simulated(Scenario scenario, unsigned threads) {
  const Experiment experiment = compose(std::move(scenario));
  const RunRecord record =
      run(experiment.cluster, experiment.workload.make_source, *experiment.timer, {}, threads);
  return to_json(finish_forecast(experiment, record));
}

auto says(const char* part) {
  return [part](const InputError& error) {
    BOOST_TEST_MESSAGE(error.what());
    return std::string(error.what()).find(part) != std::string::npos;
  };
}

BOOST_AUTO_TEST_SUITE(scenario)

BOOST_AUTO_TEST_CASE(defaults_are_the_profiles) {
  const Scenario scenario = read(kFormulaEngine);
  BOOST_TEST(scenario.deployment.memory.profile.name == "vllm-0.32");
  BOOST_TEST(scenario.deployment.scheduler == scenario.deployment.memory.profile.scheduler);
  BOOST_TEST(scenario.allocator == scenario.deployment.memory.profile.allocator);
  BOOST_TEST(scenario.deployment.memory.max_num_seqs == scenario.deployment.memory.profile.max_num_seqs);
  BOOST_TEST(scenario.replicas == 1);
  BOOST_TEST(scenario.seed == 1U);
  BOOST_TEST(!scenario.deployment.model.has_value());
}

BOOST_AUTO_TEST_CASE(the_last_setting_wins) {
  BOOST_TEST(read(kFormulaEngine, {{"cluster.replicas", "2"}, {"cluster.replicas", "3"}}).replicas == 3);
}

BOOST_AUTO_TEST_CASE(a_dump_reads_back_as_itself) {
  ScenarioText first = text_of(
      kFormulaEngine, {{"slo", "{ttft_ms: {p99: 200}, tpot_ms: {mean: 30}}"}, {"limits.sim_time_s", "60"}});
  (void)read_scenario(first);
  ScenarioText second = text_of(first.config.dump());
  (void)read_scenario(second);
  const auto without_origins = [](const std::string& dump) {
    std::string text;
    for (std::size_t begin = 0; begin < dump.size();) {
      const std::size_t end = dump.find('\n', begin);
      const std::string line = dump.substr(begin, end - begin);
      text += line.substr(0, line.find("  #")) + "\n";
      begin = end + 1;
    }
    return text;
  };
  BOOST_TEST(without_origins(first.config.dump()) == without_origins(second.config.dump()));
}

BOOST_AUTO_TEST_CASE(slo_terms_in_order) {
  const Scenario scenario =
      read(kFormulaEngine, {{"slo", "{tpot_ms: {p99: 50}, ttft_ms: {p99: 2000, p50: 500}}"}});
  BOOST_REQUIRE(scenario.slo.size() == 3U);
  BOOST_TEST(scenario.slo[0].metric == "ttft");
  BOOST_TEST(scenario.slo[0].statistic == "p50");
  BOOST_TEST(scenario.slo[0].limit_ms == 500.0);
  BOOST_TEST(scenario.slo[2].metric == "tpot");
  // A single request is held against the loosest bound of each metric.
  const Experiment experiment = compose(read(kFormulaEngine, {{"slo", "{ttft_ms: {p99: 2000, p50: 500}}"}}));
  BOOST_TEST(experiment.cluster.slo.ttft_ns == 2'000'000'000);
  BOOST_TEST(experiment.cluster.slo.tpot_ns == SloLimits::kNoLimit);
}

BOOST_AUTO_TEST_CASE(a_pool_that_is_given_counts_the_null_block) {
  const Experiment vllm = compose(read(kFormulaEngine));
  BOOST_TEST(vllm.cluster.engine.pool.blocks.value == 1023);
  BOOST_TEST(vllm.cluster.engine.pool.block_size.value == 16);
  const Experiment wide = compose(read(kFormulaEngine, {{"engine.block_size", "32"}}));
  BOOST_TEST(wide.cluster.engine.pool.block_size.value == 32);
}

BOOST_AUTO_TEST_CASE(a_pool_that_the_gpu_cannot_hold_is_said) {
  const std::string model =
      "model: llama-3.1-8b\nengine: {max_model_len: 4096, num_gpu_blocks_override: 1000000}\n";
  const Experiment experiment = compose(read(model));
  BOOST_TEST(experiment.cluster.engine.pool.blocks.value == 999'999);
  BOOST_REQUIRE(!experiment.frame.notes.empty());
  BOOST_TEST(experiment.frame.notes.back().find("would run out of memory") != std::string::npos);
  const Experiment small = compose(read(model, {{"engine.num_gpu_blocks_override", "1000"}}));
  for (const std::string& note : small.frame.notes)
    BOOST_TEST(note.find("out of memory") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_contiguous_pool_is_counted_in_tokens) {
  const std::string model = "model: llama-3.1-8b\nengine: {max_model_len: 4096, scheduler: continuous}\n";
  const Experiment paged = compose(read(model));
  const Experiment contiguous = compose(read(model, {{"engine.allocator", "contiguous"}}));
  const PoolSize& blocks = paged.cluster.engine.pool;
  const PoolSize& slots = contiguous.cluster.engine.pool;
  BOOST_TEST(slots.block_size.value == 1);
  BOOST_TEST(contiguous.frame.facts.block_size == 1);
  // The same bytes: the slots are those of the blocks, and at most the null block and the cut-off of one
  // block more.
  const std::int64_t in_blocks = blocks.blocks.value * blocks.block_size.value;
  BOOST_TEST(slots.blocks.value >= in_blocks);
  BOOST_TEST(slots.blocks.value < in_blocks + 2 * blocks.block_size.value);
}

BOOST_AUTO_TEST_CASE(without_a_kv_cache_there_is_no_pool) {
  const std::string model =
      "model: llama-3.1-8b\nengine: {max_model_len: 4096, scheduler: continuous, enable_kv_cache: false}\n";
  const Experiment experiment = compose(read(model));
  BOOST_TEST(experiment.cluster.engine.pool.blocks.value == 0);
  BOOST_TEST(experiment.frame.engine.find("no KV cache") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_says_what_would) {
  const Scenario scenario =
      read("model: llama-3.1-8b\nengine: {max_model_len: 131072}\ncluster: {gpu: l4}\n");
  BOOST_CHECK_EXCEPTION(
      (void)compose(read("model: llama-3.1-8b\nengine: {max_model_len: 131072}\ncluster: {gpu: l4}\n")),
      InputError, [](const InputError& error) {
        const std::string text = error.what();
        return error.code() == ExitCode::infeasible && text.find("max_model_len ") != std::string::npos &&
               text.find("tensor_parallel_size ") != std::string::npos &&
               text.find("gpu ") != std::string::npos;
      });
  // Each way out is one: with the length that it names the deployment fits.
  MemoryOptions options = scenario.deployment.memory;
  const MemoryReport refused = memory_report(*scenario.deployment.model, *scenario.deployment.gpu, options);
  BOOST_TEST((refused.status == MemoryStatus::refused));
  options.max_model_len = refused.fits_max_model_len;
  BOOST_TEST((memory_report(*scenario.deployment.model, *scenario.deployment.gpu, options).status ==
              MemoryStatus::ok));
  options.max_model_len += options.profile.block_size + 1;
  BOOST_TEST((memory_report(*scenario.deployment.model, *scenario.deployment.gpu, options).status ==
              MemoryStatus::refused));
}

BOOST_AUTO_TEST_CASE(vllms_features_are_on_as_its_profile_says_and_off_elsewhere) {
  const Scenario vllm = read(kFormulaEngine);
  BOOST_TEST(vllm.deployment.memory.enable_prefix_caching.value());
  BOOST_TEST(vllm.deployment.memory.async_scheduling.value());
  BOOST_TEST(vllm.engine.batch.asynchronous);
  const Scenario older = read(kFormulaEngine, {{"engine.profile", "vllm-0.11"}});
  BOOST_TEST(!older.engine.batch.asynchronous);
  const Scenario continuous = read(kFormulaEngine, {{"engine.scheduler", "continuous"}});
  BOOST_TEST(!continuous.deployment.memory.enable_prefix_caching.value());
  BOOST_TEST(!continuous.engine.batch.asynchronous);
  BOOST_CHECK_EXCEPTION(
      (void)read(kFormulaEngine, {{"engine.scheduler", "static"}, {"engine.enable_prefix_caching", "true"}}),
      InputError, says("not possible with the scheduler static"));
}

BOOST_AUTO_TEST_CASE(every_scheduler_of_the_catalogue_simulates) {
  for (const std::string& name : scheduler_catalog().names()) {
    BOOST_TEST_CONTEXT(name) {
      const Experiment experiment = compose(read(kFormulaEngine, {{"engine.scheduler", name}}));
      const RunRecord record =
          run(experiment.cluster, experiment.workload.make_source, *experiment.timer, {}, 1);
      BOOST_TEST(record.completed == 200);
      BOOST_TEST(!record.stuck);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_step_holds_the_longest_prompt_where_prompts_are_not_split) {
  const std::vector<Setting> length = {{"engine.max_model_len", "16000"}};
  const auto tokens = [&](const char* scheduler) {
    return read(kFormulaEngine, {length[0], {"engine.scheduler", scheduler}})
        .deployment.memory.max_num_batched_tokens;
  };
  BOOST_TEST(tokens("vllm-v1") == 8192);
  BOOST_TEST(tokens("sarathi") == 8192);
  BOOST_TEST(tokens("vllm-v0") == 16000);
  BOOST_TEST(tokens("tensorrt-llm") == 16000);
  BOOST_TEST(tokens("continuous") == 16000);
}

BOOST_AUTO_TEST_CASE(shared_prompts_are_hits_only_with_prefix_caching) {
  const auto hit_rate = [](const char* caching) {
    const std::vector<Setting> settings = {{"workload.synthetic.prefix", "{groups: 1, tokens: 512}"},
                                           {"workload.synthetic.input", "{fixed: 512}"},
                                           {"engine.enable_prefix_caching", caching}};
    const Experiment experiment = compose(read(kFormulaEngine, settings));
    const RunRecord record =
        run(experiment.cluster, experiment.workload.make_source, *experiment.timer, {}, 1);
    return finish_forecast(experiment, record).metrics.prefix_hit_rate_tokens;
  };
  BOOST_TEST(hit_rate("false") == 0.0);
  BOOST_TEST(hit_rate("true") > 0.4);
  BOOST_TEST(hit_rate("true") < 1.0);
}

BOOST_AUTO_TEST_CASE(groups_of_layers_draw_from_one_pool) {
  const Scenario scenario = read("model: gpt-oss-20b\nengine: {max_model_len: 8192}\n");
  const KvReport kv = scenario.deployment.report->kv;
  const Experiment experiment = compose(Scenario(scenario));
  BOOST_TEST(kv.groups.size() == 2U);
  BOOST_TEST(experiment.cluster.engine.pool.blocks.value == kv.blocks_usable);
  BOOST_TEST(experiment.frame.facts.groups == 2);
  BOOST_TEST(experiment.frame.facts.tokens_total() == kv.tokens_capacity);
  // A request of 8,192 tokens takes 512 blocks in the group that keeps all, and in the window of 128 tokens
  // what the window spans.
  const auto allocator = experiment.cluster.engine.allocator(experiment.cluster.engine.pool);
  BlockTable table;
  table.limit = Tokens{8192};
  allocator->open(table, Content{});
  BOOST_TEST(allocator->needed(table, Tokens{16}).value == 2);
}

BOOST_AUTO_TEST_CASE(a_request_that_hangs_the_engine_is_named) {
  // 64 blocks of 16 hold 1,024 tokens; the prompt of 2,000 passes the front door (max_model_len) and can
  // never be admitted.
  const std::string text = R"(
engine: {max_model_len: 4096, num_gpu_blocks_override: 64, step_time: {affine: {base_us: 5000}}}
workload: {synthetic: {requests: 5, arrivals: {process: constant, rate: 1}, input: {fixed: 2000}, output: {fixed: 10}}}
)";
  const Experiment experiment = compose(read(text));
  const RunRecord record = run(experiment.cluster, experiment.workload.make_source, *experiment.timer, {}, 1);
  const Forecast forecast = finish_forecast(experiment, record);
  BOOST_TEST(forecast.metrics.stuck);
  BOOST_REQUIRE(!forecast.notes.empty());
  BOOST_TEST(forecast.notes.back().find("request 0 blocks the queue") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(results_are_equal_for_any_number_of_threads) {
  for (const char* router : {"round-robin", "least-loaded", "power-of-two"}) {
    const std::vector<Setting> settings = {{"cluster.replicas", "4"}, {"cluster.router", router}};
    const std::string once = simulated(read(kFormulaEngine, settings), 1);
    BOOST_TEST(once == simulated(read(kFormulaEngine, settings), 1));
    BOOST_TEST(once == simulated(read(kFormulaEngine, settings), 2));
    BOOST_TEST(once == simulated(read(kFormulaEngine, settings), 7));
  }
}

BOOST_AUTO_TEST_CASE(every_built_in_scenario_reads) {
  int count = 0;
  for (const EmbeddedFile& file : embedded_files()) {
    if (!file.path.starts_with("configs/scenarios/")) continue;
    ++count;
    BOOST_TEST_CONTEXT(file.path) {
      ScenarioText text = open_scenario(std::string(file.path), {});
      const bool needs_trace = file.text.find("\n  trace:") != std::string_view::npos;
      if (needs_trace) {
        BOOST_CHECK_EXCEPTION((void)read_scenario(text), InputError, says("no such file"));
      } else {
        BOOST_CHECK_NO_THROW((void)compose(read_scenario(text)));
      }
    }
  }
  BOOST_TEST(count >= 9);
}

BOOST_AUTO_TEST_CASE(settings_are_split_at_the_first_equals) {
  const Setting setting = parse_setting("workload.trace.path=a=b.csv");
  BOOST_TEST(setting.path == "workload.trace.path");
  BOOST_TEST(setting.value == "a=b.csv");
  BOOST_CHECK_EXCEPTION((void)parse_setting("engine.block_size"), InputError, says("path=value"));
  BOOST_CHECK_EXCEPTION((void)parse_setting("=4"), InputError, says("path=value"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
