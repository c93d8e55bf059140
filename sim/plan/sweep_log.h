/// The result log of a sweep: one record a line, each with its checksum, so that a line that was being
/// written when the machine stopped is told from one that is whole.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace kvcast {

/// "content_hash payload\n", ready to be appended. \param payload without line breaks
[[nodiscard]] std::string log_line(std::string_view payload);

/// The whole records of a log.
struct ScannedLog {
  std::vector<std::string_view> payloads;  // views into the bytes that were scanned
  std::size_t good_bytes = 0;              // how far they reach; what lies beyond was torn off in the writing
};

/// Contract: whole records up to the first that is not. What follows them is a torn tail only if no whole
/// record lies in it: appending is all that a sweep does, so that a broken record before whole ones is damage
/// that nobody should build on.
/// \param name stands for the file in messages
/// \throws InputError (bad_data) "name:line: ..." for damage
[[nodiscard]] ScannedLog scan_log(std::string_view bytes, const std::string& name);

}  // namespace kvcast
