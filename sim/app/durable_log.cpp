#include "sim/app/durable_log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "sim/base/error.h"
#include "sim/base/file.h"

namespace kvcast {
namespace {

constexpr std::size_t kLogBytesMax = std::size_t{1} << 32;

}  // namespace

void sync_folder(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const int folder = open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;  // some file systems do not open folders; the file itself was synced
  (void)fsync(folder);
  (void)close(folder);
}

DurableLog::DurableLog(std::string path, const Purpose& purpose) : path_(std::move(path)) {
  file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0) fail("cannot be opened");
  try {
    if (flock(file_, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) throw InputError(path_ + ": " + purpose.held);
      fail("cannot be locked");
    }
    recover(purpose);
  } catch (...) {
    (void)close(file_);
    throw;
  }
}

DurableLog::~DurableLog() { (void)close(file_); }

void DurableLog::recover(const Purpose& purpose) {
  const std::string bytes = read_file(path_, kLogBytesMax, ExitCode::bad_data);
  const ScannedLog log = scan_log(bytes, path_);
  if (!log.payloads.empty()) purpose.read(log);
  size_ = log.good_bytes;
  cut_bytes_ = bytes.size() - log.good_bytes;
  if (cut_bytes_ > 0) {
    if (ftruncate(file_, static_cast<off_t>(size_)) != 0 || fsync(file_) != 0) fail("cannot be cut");
  }
  if (log.payloads.empty()) {
    append(purpose.header);
    sync_folder(path_);
  }
}

void DurableLog::append(std::string_view payload) {
  const std::string line = log_line(payload);
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t written = write(file_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      // What was written of the line is a torn end; it is cut now if that is possible, else on the next
      // start.
      const int reason = errno;
      (void)!ftruncate(file_, static_cast<off_t>(size_));
      errno = reason;
      fail("cannot be written");
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fsync(file_) != 0) fail("cannot be written");
  size_ += line.size();
}

void DurableLog::fail(const char* what) const {
  throw InputError(path_ + ": " + what + ": " + std::strerror(errno));
}

}  // namespace kvcast
