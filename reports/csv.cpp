// One row a run, so that the rows of many runs make a table.
#include <nlohmann/json.hpp>

#include "reports/report.h"

namespace kvcast {
namespace {

using Json = nlohmann::ordered_json;

struct Row {
  std::string header;
  std::string values;

  void add(const std::string& name, const Json& value) {
    if (!header.empty()) {
      header += ',';
      values += ',';
    }
    header += name;
    if (!value.is_null()) values += value.dump();
  }
};

bool is_plain(const Json& value) { return value.is_number() || value.is_boolean() || value.is_null(); }

}  // namespace

std::string to_csv(const Forecast& forecast) {
  const Json json = Json::parse(to_json(forecast));
  Row row;
  for (const auto& [key, value] : json.items()) {
    if (is_plain(value)) row.add(key, value);
    if (!value.is_object()) continue;
    for (const auto& [inner, number] : value.items()) {
      if (is_plain(number)) row.add(key + "." + inner, number);
    }
  }
  return row.header + "\n" + row.values + "\n";
}

}  // namespace kvcast
