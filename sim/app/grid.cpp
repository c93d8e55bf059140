#include "sim/app/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sim/base/text.h"

namespace kvcast {
namespace {

/// Splits at commas outside of brackets and quotes.
std::vector<std::string> split_values(const std::string& text) {
  std::vector<std::string> values(1);
  int depth = 0;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == ',' && depth == 0) {
      values.emplace_back();
      continue;
    }
    values.back() += c;
  }
  return values;
}

/// "block_size" of "engine.block_size".
std::string last_key(const std::string& path) { return path.substr(path.rfind('.') + 1); }

}  // namespace

Variation parse_variation(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw InputError("--vary " + text +
                     ": a variation reads path=a,b,c, for example --vary engine.block_size=16,32,64");
  }
  Variation variation{text.substr(0, equals), split_values(text.substr(equals + 1))};
  std::set<std::string> seen;
  for (std::size_t i = 0; i < variation.values.size(); ++i) {
    const std::string& value = variation.values[i];
    if (value.empty()) throw InputError("--vary " + text + ": value " + std::to_string(i + 1) + " is empty");
    if (!seen.insert(value).second)
      throw InputError("--vary " + text + ": " + kvcast::quoted(value) + " is given twice");
  }
  if (variation.values.size() < 2)
    throw InputError("--vary " + text + ": at least two values are needed; --set changes one for all");
  return variation;
}

std::vector<Variation> parse_variations(const std::vector<std::string>& texts) {
  std::vector<Variation> variations;
  for (const std::string& text : texts) {
    Variation variation = parse_variation(text);
    for (const Variation& other : variations) {
      if (other.path == variation.path)
        throw InputError("--vary " + variation.path + ": is given twice; list all values in one");
    }
    variations.push_back(std::move(variation));
  }
  return variations;
}

std::int64_t count_combinations(const std::vector<Variation>& variations, std::int64_t max) {
  std::int64_t count = 1;
  for (const Variation& variation : variations) {
    const auto values = static_cast<std::int64_t>(variation.values.size());
    if (count > max / values) throw InputError(fmt::format("--vary: more than {} combinations", max));
    count *= values;
  }
  return count;
}

std::vector<Setting> combination(const std::vector<Variation>& variations, std::int64_t index) {
  std::vector<Setting> settings;
  for (auto v = variations.rbegin(); v != variations.rend(); ++v) {
    const auto values = static_cast<std::int64_t>(v->values.size());
    settings.push_back({v->path, v->values[static_cast<std::size_t>(index % values)]});
    index /= values;
  }
  KVCAST_CHECK(index == 0);
  std::reverse(settings.begin(), settings.end());
  return settings;
}

std::string label_of(const std::vector<Setting>& settings) {
  std::string label;
  for (const Setting& setting : settings)
    label += (label.empty() ? "" : ", ") + last_key(setting.path) + "=" + setting.value;
  return label;
}

RanPoint run_point(const std::string& scenario, const std::vector<Setting>& settings,
                   const std::vector<Setting>& point, const Traffic& traffic) {
  std::vector<Setting> all = settings;
  all.insert(all.end(), point.begin(), point.end());
  RanPoint ran;
  try {
    ScenarioText text = open_scenario(scenario, all);
    Scenario read = read_scenario(text);
    if (traffic != nullptr) read.workload.make_source = traffic_source(traffic, traffic->size());
    Experiment experiment = compose(std::move(read));
    ran.run = run_experiment(experiment);
  } catch (const InputError& error) {
    if (error.code() == ExitCode::bad_data) throw;
    if (error.code() == ExitCode::usage && point.empty()) throw;
    ran.refused = error.code() == ExitCode::usage ? Refusal::impossible : Refusal::infeasible;
    ran.reason = error.what();
  }
  return ran;
}

void refuse_useless_values(const std::vector<PointOutcome>& points) {
  std::set<std::pair<std::string, std::string>> accepted;
  for (const PointOutcome& point : points) {
    if (point.refused == Refusal::impossible) continue;
    for (const Setting& setting : point.settings) accepted.emplace(setting.path, setting.value);
  }
  for (const PointOutcome& point : points) {
    if (point.refused != Refusal::impossible) continue;
    for (const Setting& setting : point.settings) {
      if (!accepted.contains({setting.path, setting.value})) throw InputError(point.reason);
    }
  }
}

}  // namespace kvcast
