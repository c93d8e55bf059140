/// A file of records that outlives a kill: what sweeps and plans keep their finished runs in.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "sim/plan/sweep_log.h"

namespace kvcast {

/// Makes a new name in a folder outlive a power cut. \param path of the new file
void sync_folder(const std::string& path);

/// Contract: appends records (sweep_log.h) to one file; each is on the disk (fsync) when append() returns, so
/// that a process that is killed loses what it had not appended and nothing else. One process at a time holds
/// a log.
class DurableLog {
 public:
  struct Purpose {
    std::string header;  // the first record of a new log
    /// Looks at the whole records of a log that exists, header first; may throw.
    std::function<void(const ScannedLog&)> read;
    std::string held;  // what to say where another process holds it
  };

  /// Opens or makes the log and cuts off a torn end.
  /// \throws InputError where another process holds it, where it is damaged, where the disk says no, and what
  /// read() throws
  DurableLog(std::string path, const Purpose& purpose);
  ~DurableLog();
  DurableLog(const DurableLog&) = delete;
  DurableLog& operator=(const DurableLog&) = delete;

  /// \throws InputError where the disk says no
  void append(std::string_view payload);
  /// Bytes of a torn end that were cut off.
  [[nodiscard]] std::size_t cut_bytes() const { return cut_bytes_; }

 private:
  [[noreturn]] void fail(const char* what) const;
  void recover(const Purpose& purpose);

  std::string path_;
  int file_ = -1;
  std::size_t size_ = 0;
  std::size_t cut_bytes_ = 0;
};

}  // namespace kvcast
