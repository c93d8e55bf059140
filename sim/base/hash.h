/// Fingerprints of inputs: XXH3 with 64 bits (https://xxhash.com), for telling files apart, not for security.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvcast {

/// XXH3-64 of the bytes; equal on every machine.
[[nodiscard]] std::uint64_t hash64(std::string_view bytes);

/// hash64 as 16 lower-case hex digits: the form in result files.
[[nodiscard]] std::string content_hash(std::string_view bytes);

/// content_hash of a file's bytes, read in pieces: constant memory for a trace of any size.
/// \throws InputError (bad_data) if the file cannot be opened or read
[[nodiscard]] std::string file_hash(const std::string& path);

/// A number that looks random and tells its argument apart from every other (splitmix64's finaliser).
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t value) {
  std::uint64_t x = value + 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}  // namespace kvcast
