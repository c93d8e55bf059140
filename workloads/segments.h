/// Names of prompt content: which 64-bit id stands for a segment that a trace or a session talks about.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/request.h"

namespace kvcast {

/// The id of a named segment: XXH3 of the name, except that "#" and 16 hex digits are the id itself (what
/// `kvcast trace convert` writes, so that converting twice changes nothing).
[[nodiscard]] std::uint64_t segment_id(std::string_view name);

/// The inverse for files: "#" and 16 hex digits.
[[nodiscard]] std::string segment_name(std::uint64_t id);

/// The request's name in files and messages: the one its trace gave it, else its number.
[[nodiscard]] std::string request_name(const Request& request);

/// The segment of the tokens that a request of this name generates: "out:" and its name.
[[nodiscard]] std::uint64_t output_segment(std::string_view request_name);

/// A segment of a numbering that has no names, such as a trace's block hashes: mixes (space, number) to 64
/// bits. The mix is a bijection of `number` for a fixed space (splitmix64's finaliser), so that blocks of one
/// space never collide.
[[nodiscard]] constexpr std::uint64_t numbered_segment(std::uint64_t space, std::uint64_t number) {
  std::uint64_t x = space ^ (number * 0x9E3779B97F4A7C15u);
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}  // namespace kvcast
