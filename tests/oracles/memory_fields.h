/// The published field extracts of 87 models (data/models/hf_config_kv_fields.json), each as a config.json of
/// its own.
#pragma once

#include <map>
#include <string>

#include "hwmodels/json_document.h"
#include "tests/support/data.h"

namespace kvcast::test {

inline std::string json_text(const JsonValue& value) {
  std::string text;
  switch (value.type) {
    case JsonValue::Type::null:
      return "null";
    case JsonValue::Type::boolean:
      return value.boolean ? "true" : "false";
    case JsonValue::Type::integer:
      return std::to_string(value.integer);
    case JsonValue::Type::real:
      return std::to_string(value.real);
    case JsonValue::Type::string:
      return "\"" + value.text + "\"";
    case JsonValue::Type::array:
      for (const JsonValue& item : value.items) text += (text.empty() ? "" : ", ") + json_text(item);
      return "[" + text + "]";
    case JsonValue::Type::object:
      for (const auto& [key, member] : value.members)
        text += (text.empty() ? "\"" : ", \"") + key + "\": " + json_text(member);
      return "{" + text + "}";
  }
  return text;
}

/// Name to config.json text, in order of name; empty where the data is absent.
inline std::map<std::string, std::string> field_sets() {
  std::map<std::string, std::string> sets;
  const auto path = data_folder("models/hf_config_kv_fields.json");
  if (!path) return sets;
  std::string text;
  for (const std::string& line : gzip_lines(*path)) text += line + "\n";
  for (const auto& [name, fields] : parse_json(text, path->string()).members) sets[name] = json_text(fields);
  return sets;
}

}  // namespace kvcast::test
