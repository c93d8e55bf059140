// The schema of a scenario is what its readers ask for: complete for every built-in scenario, closed for all
// others.
#include "sim/app/scenario_schema.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "sim/base/config.h"
#include "sim/base/embedded.h"

namespace kvcast {
namespace {

const MappingSchema& schema() {
  static const MappingSchema explored = explore_scenario();
  return explored;
}

/// Every key of `text` that the schema lacks.
void compare(Config& text, const MappingSchema& mapping, const std::string& prefix,
             std::vector<std::string>& missing) {
  if (mapping.open) return;
  for (const std::string& name : text.keys()) {
    const KeySchema* key = mapping.find(name);
    if (key == nullptr || !key->has_form()) {
      missing.push_back(prefix + name);
      continue;
    }
    if (text.is_mapping(name)) {
      if (!key->mapping) {
        missing.push_back(prefix + name + " as a mapping");
        continue;
      }
      Config child = text.child(name);
      compare(child, *key->mapping, prefix + name + ".", missing);
    }
  }
}

const KeySchema* find(const std::string& path) {
  const MappingSchema* mapping = &schema();
  for (std::size_t begin = 0;;) {
    const std::size_t end = path.find('.', begin);
    const KeySchema* key = mapping->find(path.substr(begin, end == std::string::npos ? end : end - begin));
    if (key == nullptr || end == std::string::npos) return key;
    if (!key->mapping) return nullptr;
    mapping = key->mapping.get();
    begin = end + 1;
  }
}

BOOST_AUTO_TEST_SUITE(scenario_schema)

BOOST_AUTO_TEST_CASE(every_key_of_every_built_in_scenario_is_known) {
  int scenarios = 0;
  for (const EmbeddedFile& file : embedded_files()) {
    if (!file.path.starts_with("configs/scenarios/")) continue;
    ++scenarios;
    Config text = Config::from_text(file.text, std::string(file.path));
    std::vector<std::string> missing;
    compare(text, schema(), "", missing);
    for (const std::string& key : missing)
      BOOST_TEST(false, file.path << ": " << key << " is not in the schema");
  }
  BOOST_TEST(scenarios > 20);
}

BOOST_AUTO_TEST_CASE(types_ranges_choices_and_defaults) {
  const KeySchema* seqs = find("engine.max_num_seqs");
  BOOST_REQUIRE(seqs != nullptr);
  BOOST_REQUIRE(seqs->integer.has_value());
  BOOST_TEST(seqs->integer->min == 1);
  const KeySchema* caching = find("engine.enable_prefix_caching");
  BOOST_REQUIRE(caching != nullptr);
  BOOST_TEST(caching->boolean);
  const KeySchema* goal = find("plan.goal");
  BOOST_REQUIRE(goal != nullptr);
  BOOST_TEST(goal->choices.size() == 3U);
  BOOST_TEST(goal->fallback.value_or("") == "cost");
  // A GPU is a name or a mapping; both are found.
  const KeySchema* gpu = find("cluster.gpu");
  BOOST_REQUIRE(gpu != nullptr);
  BOOST_TEST(gpu->text);
  BOOST_REQUIRE(gpu->mapping != nullptr);
  BOOST_TEST(gpu->mapping->find("memory_gib") != nullptr);
  // Keys that are read only once others are there.
  for (const char* path :
       {"workload.trace.limit", "workload.trace.rate_scale", "workload.synthetic.input.quantiles",
        "engine.step_time.fit", "engine.kv_offload.host_gib", "engine.h2o.budget", "slo.itl_ms.p95",
        "limits.sim_time_s"}) {
    const KeySchema* key = find(path);
    BOOST_TEST((key != nullptr && key->has_form()), path << " is not in the schema");
  }
  BOOST_TEST(find("engine.model_overrides") != nullptr);
  BOOST_TEST(find("engine.model_overrides")->mapping->open);
}

/// Paths of all keys that a scenario may have.
void collect(const MappingSchema& mapping, const std::string& prefix, std::set<std::string>& paths) {
  if (mapping.open) return;
  for (const KeySchema& key : mapping.keys) {
    if (!key.has_form()) continue;
    paths.insert(prefix + key.name);
    if (key.mapping) collect(*key.mapping, prefix + key.name + ".", paths);
    if (key.elements) collect(*key.elements, prefix + key.name + ".", paths);
  }
}

BOOST_AUTO_TEST_CASE(every_key_is_described_and_nothing_else) {
  std::set<std::string> paths;
  collect(schema(), "", paths);
  BOOST_TEST(paths.size() > 300U);
  for (const std::string& path : paths)
    BOOST_TEST(!key_description(path).empty(), path << " has no description (sim/app/key_descriptions.cpp)");
  for (const std::string_view pattern : described_keys()) {
    const bool known = std::any_of(paths.begin(), paths.end(),
                                   [&](const std::string& path) { return matches_key(pattern, path); });
    BOOST_TEST(known, pattern << " is described and not in the schema");
  }
}

BOOST_AUTO_TEST_CASE(a_star_stands_for_one_name) {
  BOOST_TEST(matches_key("slo.*.p99", "slo.ttft_ms.p99"));
  BOOST_TEST(!matches_key("slo.*.p99", "slo.ttft_ms.p95"));
  BOOST_TEST(!matches_key("slo.*", "slo.ttft_ms.p99"));
  BOOST_TEST(!matches_key("slo.*.p99", "slo.ttft_ms"));
  BOOST_TEST(matches_key("seed", "seed"));
  BOOST_TEST(!matches_key("seed", "seeds"));
}

BOOST_AUTO_TEST_CASE(json_is_closed) {
  const auto json = nlohmann::json::parse(scenario_schema_json());
  BOOST_TEST(json.at("$schema") == "http://json-schema.org/draft-07/schema#");
  BOOST_TEST(json.at("additionalProperties") == false);
  const auto& engine = json.at("properties").at("engine");
  BOOST_TEST(engine.at("additionalProperties") == false);
  BOOST_TEST(!engine.at("properties").contains("no_such_key"));
  const auto& schedulers = engine.at("properties").at("scheduler").at("enum");
  BOOST_TEST((std::find(schedulers.begin(), schedulers.end(), "vllm-v1") != schedulers.end()));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
