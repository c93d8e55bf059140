#include <nlohmann/json.hpp>

#include "reports/csv_text.h"

namespace kvcast {
namespace {

using Json = nlohmann::ordered_json;

struct Row {
  std::vector<std::string> names, values;
};

void add(const std::string& name, const Json& value, Row& row) {
  if (value.is_object()) {
    for (const auto& [key, one] : value.items()) add(name + "." + key, one, row);
    return;
  }
  if (value.is_array()) return;
  row.names.push_back(name);
  row.values.push_back(value.is_string() ? value.get<std::string>() : value.is_null() ? "" : value.dump());
}

}  // namespace

std::string csv_of_json(const std::string& json) {
  Row row;
  const Json parsed = Json::parse(json);
  for (const auto& [key, value] : parsed.items()) {
    if (key != "inputs") add(key, value, row);
  }
  std::string text;
  add_csv_row(text, row.names);
  add_csv_row(text, row.values);
  return text;
}

}  // namespace kvcast
