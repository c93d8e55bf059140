/// Result files that appear whole or not at all.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

namespace kvcast {

/// Contract: writes go to a temporary file beside the target; commit() renames it. Without commit() (an
/// error, an interrupt) nothing is left and an older target is untouched. "-" is stdout; targets that are no
/// regular files (/dev/null, pipes) are written directly.
class OutputFile {
 public:
  /// \throws InputError when the file cannot be created
  explicit OutputFile(std::string path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view text);
  /// \throws InputError when the file cannot be written
  void commit();
  /// The name to write to for those who open the file themselves: the target's folder and extension. Only
  /// before the first write().
  [[nodiscard]] const std::string& write_path() const { return write_path_; }

 private:
  [[noreturn]] void fail(const char* what) const;

  std::string path_;
  std::string write_path_;
  std::size_t slot_;  // in the list that the interrupt handler cleans
  std::FILE* file_ = nullptr;
  bool committed_ = false;
};

/// SIGINT ends the program with exit code 130, SIGTERM and SIGHUP as they do by default; temporary files are
/// removed first.
void install_interrupt_handlers();

}  // namespace kvcast
