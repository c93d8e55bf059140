#include "sim/app/scenario_schema.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "sim/base/text.h"

namespace kvcast {
namespace {

using Json = nlohmann::ordered_json;

Json schema_of(const MappingSchema& mapping, const std::string& prefix);

Json real_schema(RealRange range) {
  Json json = {{"type", "number"}};
  if (range.min > -std::numeric_limits<double>::max()) json["minimum"] = range.min;
  if (range.max < std::numeric_limits<double>::max()) json["maximum"] = range.max;
  return json;
}

/// One schema for each form that the key takes.
std::vector<Json> forms_of(const KeySchema& key, const std::string& path) {
  std::vector<Json> forms;
  if (key.integer && !key.real) {
    Json json = {{"type", "integer"}};
    if (key.integer->min > std::numeric_limits<std::int64_t>::min()) json["minimum"] = key.integer->min;
    if (key.integer->max < std::numeric_limits<std::int64_t>::max()) json["maximum"] = key.integer->max;
    forms.push_back(std::move(json));
  }
  if (key.real) forms.push_back(real_schema(*key.real));
  if (key.boolean) forms.push_back({{"type", "boolean"}});
  if (key.text || !key.choices.empty()) {
    std::vector<std::string> names = catalogue_names(path);
    const bool closed = !key.text || !names.empty();
    for (const std::string& choice : key.choices) {
      if (std::find(names.begin(), names.end(), choice) == names.end()) names.push_back(choice);
    }
    // A text may look like a number or a truth value to YAML: kvcast reads them as they are written.
    forms.push_back(closed ? Json{{"enum", names}} : Json{{"type", {"string", "number", "boolean"}}});
  }
  if (key.reals) forms.push_back({{"type", "array"}, {"items", real_schema(*key.reals)}});
  if (key.texts) forms.push_back({{"type", "array"}, {"items", {{"type", {"string", "number", "boolean"}}}}});
  if (key.mapping) forms.push_back(schema_of(*key.mapping, path + "."));
  if (key.elements) forms.push_back({{"type", "array"}, {"items", schema_of(*key.elements, path + ".")}});
  return forms;
}

Json default_of(const std::string& yaml) {
  if (yaml == "true" || yaml == "false") return yaml == "true";
  const Json parsed = Json::parse(yaml, nullptr, false);
  return parsed.is_discarded() || parsed.is_structured() ? Json(yaml) : parsed;
}

Json key_schema(const KeySchema& key, const std::string& path) {
  std::vector<Json> forms = forms_of(key, path);
  Json json = Json::object();
  if (const std::string_view text = key_description(path); !text.empty()) json["description"] = text;
  if (forms.size() == 1) {
    for (const auto& [name, value] : forms.front().items()) json[name] = value;
  } else if (!forms.empty()) {
    json["anyOf"] = std::move(forms);
  }
  if (key.fallback && !key.fallback->empty() && key.fallback->front() != '[')
    json["default"] = default_of(*key.fallback);
  return json;
}

Json schema_of(const MappingSchema& mapping, const std::string& prefix) {
  Json json = {{"type", "object"}};
  if (mapping.open) {
    json["additionalProperties"] = true;
    return json;
  }
  Json properties = Json::object();
  for (const KeySchema& key : mapping.keys) {
    // A key that readers only look for, to refuse it, is none that a scenario may have.
    if (key.has_form()) properties[key.name] = key_schema(key, prefix + key.name);
  }
  json["properties"] = std::move(properties);
  json["additionalProperties"] = false;
  return json;
}

}  // namespace

std::string scenario_schema_json() {
  const MappingSchema scenario = explore_scenario();
  Json json = {
      {"$schema", "http://json-schema.org/draft-07/schema#"},
      {"title", "kvcast scenario"},
      {"description", std::string("What kvcast ") + KVCAST_VERSION + " simulates, compares and plans."}};
  const Json body = schema_of(scenario, "");
  for (const auto& [name, value] : body.items()) json[name] = value;
  return json.dump(2) + "\n";
}

}  // namespace kvcast
