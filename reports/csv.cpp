// One row a run, so that the rows of many runs make a table.
#include <nlohmann/json.hpp>

#include "reports/report.h"

namespace kvcast {
namespace {

using Json = nlohmann::ordered_json;

bool is_plain(const Json& value) { return value.is_number() || value.is_boolean() || value.is_null(); }

}  // namespace

std::vector<NamedNumber> numbers_of(const Forecast& forecast) {
  const Json json = Json::parse(to_json(forecast));
  std::vector<NamedNumber> numbers;
  const auto add = [&](const std::string& name, const Json& value) {
    if (is_plain(value)) numbers.push_back({name, value.is_null() ? "" : value.dump()});
  };
  for (const auto& [key, value] : json.items()) {
    add(key, value);
    if (!value.is_object() || key == "timeline") continue;  // its numbers only place its lists
    for (const auto& [inner, number] : value.items()) add(key + "." + inner, number);
  }
  return numbers;
}

std::string to_csv(const Forecast& forecast) {
  std::string header;
  std::string values;
  for (const NamedNumber& number : numbers_of(forecast)) {
    const char* comma = header.empty() ? "" : ",";
    header += comma + number.name;
    values += comma + number.text;
  }
  return header + "\n" + values + "\n";
}

}  // namespace kvcast
