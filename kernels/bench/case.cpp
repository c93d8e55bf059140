#include "kernels/bench/case.h"

namespace kvcast::bench {

std::int64_t Case::get(const std::string& member) const {
  for (const auto& [name, value] : shape)
    if (name == member) return value;
  return 0;
}

std::string Case::identity() const {
  std::string text = "\"op\": \"" + op + "\", \"kernel\": \"" + variant + "\", \"shape\": {";
  for (const auto& [name, value] : shape) {
    if (text.back() != '{') text += ", ";
    text += "\"" + name + "\": " + std::to_string(value);
  }
  return text + "}, \"dtype\": \"" + dtype + "\"";
}

}  // namespace kvcast::bench
