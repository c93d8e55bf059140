#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "hwmodels/engine_profile.h"
#include "hwmodels/gpu_spec.h"
#include "sim/app/scenario.h"
#include "sim/app/scenario_schema.h"
#include "sim/app/scheduler_features.h"
#include "sim/base/embedded.h"
#include "sim/base/error.h"
#include "sim/cluster/router.h"
#include "sim/kv/allocators.h"
#include "sim/kv/eviction.h"
#include "sim/sched/queue_order.h"
#include "workloads/trace_format.h"

namespace kvcast {
namespace {

/// A scenario to read, and changes to it.
struct Trial {
  std::string scenario;  // built-in
  std::vector<Setting> settings;
};

/// A mapping with everything that its readers cannot do without, as YAML.
std::string plausible(const MappingSchema& mapping);

std::string plausible_value(const KeySchema& key) {
  if (!key.choices.empty()) return key.choices.front();
  if (key.mapping) return plausible(*key.mapping);
  if (key.real) return fmt::format("{}", std::max(key.real->min, std::min(key.real->max, 1.0)));
  if (key.integer)
    return fmt::format("{}", std::max(key.integer->min, std::min(key.integer->max, std::int64_t{1})));
  if (key.boolean) return "true";
  if (key.reals) return "[1]";
  if (key.texts) return "[x]";
  if (key.elements) return "[" + plausible(*key.elements) + "]";
  return "x";
}

std::string plausible(const MappingSchema& mapping) {
  std::string text;
  for (const KeySchema& key : mapping.keys) {
    if (key.needed) text += (text.empty() ? "" : ", ") + key.name + ": " + plausible_value(key);
  }
  return "{" + text + "}";
}

/// Reads trials and remembers for which of them each key was asked.
class Explorer {
 public:
  Explorer() {
    for (const EmbeddedFile& file : embedded_files()) {
      if (file.path.starts_with("configs/scenarios/")) trials_.push_back({std::string(file.path), {}});
    }
    for (const auto& [path, value] : kBeginnings)
      trials_.push_back({"configs/scenarios/default.yaml", {{path, value}}});
    // Without a model, more must be said of what goes from prompts to answers.
    trials_.push_back(
        {"configs/scenarios/affine-queue.yaml",
         {{"engine.scheduler", "vllm-v1"},
          {"cluster.disaggregation", "{prefill: 1, decode: 1, kv_bytes_per_token: 1, layers: 2}"}}});
  }

  MappingSchema explore() {
    constexpr int kRounds = 5;  // each finds the keys below what the one before found
    for (const Trial& trial : std::vector<Trial>(trials_)) read(trial);
    for (int round = 0; round < kRounds; ++round) {
      const std::size_t before = done_.size();
      walk(schema_, "");
      if (done_.size() == before) break;
    }
    return std::move(schema_);
  }

 private:
  /// Where to begin with what no built-in scenario has.
  static constexpr std::pair<const char*, const char*> kBeginnings[] = {
      {"workload", "{trace: {path: /dev/null}}"},
      {"workload", "{synthetic: {requests: 4}}"},
      {"workload", "{inference_perf: {}}"},
      {"engine.speculative_config", "{method: ngram, num_speculative_tokens: 2, acceptance: 0.5}"},
      {"cluster.admission", "{rate_limits: [{tokens_per_s: 1000}]}"},
  };

  /// Reads one trial; what is wrong with it does not matter, only what was asked.
  void read(const Trial& trial) {
    MappingSchema seen;
    try {
      ScenarioText text = open_scenario(trial.scenario, trial.settings);
      text.config.observe(seen);
      (void)read_scenario(text);
    } catch (const InputError&) {
    }
    merge(seen, schema_, "", trial);
  }

  void merge(MappingSchema& from, MappingSchema& into, const std::string& prefix, const Trial& trial) {
    into.open = into.open || from.open;
    for (KeySchema& key : from.keys) {
      const std::string path = prefix + key.name;
      KeySchema& known = into.key(key.name);
      remember(path, trial);
      known.asked_for_form = known.asked_for_form || key.asked_for_form;
      known.needed = known.needed || key.needed;
      if (key.integer)
        known.integer = known.integer ? IntRange{std::min(known.integer->min, key.integer->min),
                                                 std::max(known.integer->max, key.integer->max)}
                                      : *key.integer;
      for (const auto member : {&KeySchema::real, &KeySchema::reals}) {
        std::optional<RealRange>& range = known.*member;
        if (const std::optional<RealRange>& other = key.*member)
          range =
              range ? RealRange{std::min(range->min, other->min), std::max(range->max, other->max)} : *other;
      }
      known.boolean = known.boolean || key.boolean;
      known.texts = known.texts || key.texts;
      known.text = known.text || key.text;
      for (const std::string& choice : key.choices) {
        if (std::find(known.choices.begin(), known.choices.end(), choice) == known.choices.end())
          known.choices.push_back(choice);
      }
      if (!known.fallback) known.fallback = key.fallback;
      for (const auto member : {&KeySchema::mapping, &KeySchema::elements}) {
        if (!(key.*member)) continue;
        if (!(known.*member)) known.*member = std::make_unique<MappingSchema>();
        merge(*(key.*member), *(known.*member), path + (member == &KeySchema::elements ? ".0." : "."), trial);
      }
    }
  }

  /// The first trials in which a key was asked; variations of the key start from them.
  void remember(const std::string& path, const Trial& trial) {
    constexpr std::size_t kTrialsEach = 3;
    std::vector<Trial>& trials = where_[path];
    const bool known = std::any_of(trials.begin(), trials.end(), [&](const Trial& other) {
      return other.scenario == trial.scenario && other.settings.size() == trial.settings.size();
    });
    if (trials.size() < kTrialsEach && !known) trials.push_back(trial);
  }

  /// Tries values for every key below `mapping`.
  void walk(MappingSchema& mapping, const std::string& prefix) {
    std::vector<std::string> names;
    for (const KeySchema& key : mapping.keys) names.push_back(key.name);
    for (const std::string& name : names) {
      const std::string path = prefix + name;
      KeySchema& key = mapping.key(name);
      for (const std::string& value : values_of(path, key)) try_value(path, value);
      // A choice, or a key that nobody read yet, may matter only beside what its mapping cannot do without.
      if (!prefix.empty()) {
        const std::string needed = plausible(mapping);
        const std::string others = needed == "{}" ? "" : ", " + needed.substr(1, needed.size() - 2);
        std::vector<std::string> values = key.choices;
        if (!key.has_form()) values = {"x", "1", "{}", "[{}]"};
        for (const std::string& value : values)
          try_value(prefix.substr(0, prefix.size() - 1), "{" + name + ": " + value + others + "}");
      }
      if (key.mapping) walk(*key.mapping, path + ".");
      if (key.elements) walk(*key.elements, path + ".0.");
    }
  }

  static std::vector<std::string> values_of(const std::string& path, const KeySchema& key) {
    std::vector<std::string> values = key.choices;
    for (const std::string& name : catalogue_names(path)) values.push_back(name);
    if (key.mapping) values.push_back(plausible(*key.mapping));
    if (key.elements) values.push_back("[" + plausible(*key.elements) + "]");
    if (key.asked_for_form) {
      values.emplace_back("{}");
      values.emplace_back("[x]");
      values.emplace_back("[{}]");
      values.push_back(key.mapping ? "x" : plausible_value(key));
    }
    return values;
  }

  void try_value(const std::string& path, const std::string& value) {
    if (!done_.insert(path + "=" + value).second) return;
    for (Trial trial : std::vector<Trial>(where_[path])) {
      trial.settings.push_back({path, value});
      if (trial.settings.size() <= 4) read(trial);
    }
  }

  std::vector<Trial> trials_;
  std::map<std::string, std::vector<Trial>> where_;
  std::set<std::string> done_;
  MappingSchema schema_;
};

template <class Catalogue>
std::vector<std::string> names_of(const Catalogue& catalogue) {
  std::vector<std::string> names;
  for (const auto& entry : catalogue.entries()) names.push_back(entry.name);
  return names;
}

}  // namespace

MappingSchema explore_scenario() { return Explorer().explore(); }

std::vector<std::string> catalogue_names(std::string_view path) {
  if (path == "engine.scheduler") return names_of(schedulers());
  if (path == "engine.scheduling_policy") return names_of(queue_order_catalog());
  if (path == "engine.allocator") return names_of(allocator_catalog());
  if (path == "engine.prefix_cache_eviction") {
    std::vector<std::string> names = names_of(eviction_catalog());
    std::erase(names, "belady");  // needs the future: only a replay can follow it
    return names;
  }
  if (path == "cluster.router") return names_of(router_catalog());
  if (path == "workload.trace.format") return names_of(trace_formats());
  std::vector<std::string> names;
  if (path == "engine.profile") {
    for (const EngineProfileName& profile : list_engine_profiles()) names.push_back(profile.name);
  }
  if (path == "cluster.gpu") {
    for (const GpuSpec& gpu : list_gpus()) names.push_back(gpu.name);
  }
  return names;
}

}  // namespace kvcast
