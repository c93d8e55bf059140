#include "sim/base/config_schema.h"

#include <algorithm>

namespace kvcast {

KeySchema& MappingSchema::key(std::string_view name) {
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const KeySchema& key) { return key.name == name; });
  if (found != keys.end()) return *found;
  keys.emplace_back();
  keys.back().name = std::string(name);
  return keys.back();
}

const KeySchema* MappingSchema::find(std::string_view name) const {
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const KeySchema& key) { return key.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

}  // namespace kvcast
