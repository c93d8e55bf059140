#include "workloads/segments.h"

#include <charconv>

#include "sim/base/hash.h"

namespace kvcast {
namespace {

constexpr std::size_t kHexDigits = 16;

}  // namespace

std::uint64_t segment_id(std::string_view name) {
  if (name.size() == kHexDigits + 1 && name.front() == '#') {
    std::uint64_t id = 0;
    const char* end = name.data() + name.size();
    if (std::from_chars(name.data() + 1, end, id, 16).ptr == end) return id;
  }
  return hash64(name);
}

std::string segment_name(std::uint64_t id) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string name(kHexDigits + 1, '#');
  for (std::size_t i = kHexDigits; i > 0; --i, id >>= 4) name[i] = kDigits[id & 15];
  return name;
}

std::string request_name(const Request& request) {
  if (request.details != nullptr && !request.details->name.empty()) return request.details->name;
  return std::to_string(to_number(request.id));
}

std::uint64_t output_segment(std::string_view request_name) {
  return segment_id("out:" + std::string(request_name));
}

}  // namespace kvcast
