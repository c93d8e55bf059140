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

}  // namespace kvcast
