/// Bytes of trace files: plain, gzip or zstd, told apart by content, streamed in constant memory.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace kvcast {

/// Contract: a stream of bytes that is read once, forwards.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills up to `size` bytes (size > 0); 0 only at the end.
  /// \throws InputError (bad_data) if the file cannot be read or its compression is damaged
  [[nodiscard]] virtual std::size_t read(char* to, std::size_t size) = 0;
};

/// A trace that can be opened again and again, each time from its beginning.
struct TraceFile {
  std::string name;  // for messages
  std::function<std::unique_ptr<ByteSource>()> open;
};

/// \returns a file on disk, decompressed when its first bytes are those of gzip (RFC 1952) or zstd (RFC 8878)
/// open() throws InputError (bad_data) if it cannot be opened or is a folder
[[nodiscard]] TraceFile file_on_disk(const std::string& path);

/// The same from memory: for tests and fuzzers.
[[nodiscard]] TraceFile file_in_memory(const std::string& name, std::string bytes);

/// The first bytes of a file (decompressed), at most `size`.
[[nodiscard]] std::string head_of(const TraceFile& file, std::size_t size);

/// All bytes of a file (decompressed).
/// \throws InputError (bad_data) if there are more than bytes_max
[[nodiscard]] std::string content_of(const TraceFile& file, std::size_t bytes_max);

}  // namespace kvcast
