#include "sim/app/outputs.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::size_t kSlots = 16;
constexpr std::size_t kPathBytes = 4096;
constexpr std::size_t kNoSlot = kSlots;

/// A file to remove when the program is interrupted. A signal handler can reach nothing but globals.
struct Slot {
  std::atomic<bool> used{false};
  std::atomic<bool> armed{false};
  std::array<char, kPathBytes> path{};
};
std::array<Slot, kSlots> slots;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

std::size_t arm(const std::string& path) {
  if (path.size() >= kPathBytes) throw InputError(path + ": the path is too long");
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (slots[i].used.exchange(true)) continue;
    std::memcpy(slots[i].path.data(), path.c_str(), path.size() + 1);
    slots[i].armed = true;
    return i;
  }
  throw InputError("more than " + std::to_string(kSlots) + " output files");
}

void disarm(std::size_t slot) {
  if (slot == kNoSlot) return;
  slots[slot].armed = false;
  slots[slot].used = false;
}

/// Only calls that are safe in a signal handler.
void on_signal(int number) {
  for (Slot& slot : slots) {
    if (slot.armed) (void)unlink(slot.path.data());
  }
  if (number == SIGINT) _exit(static_cast<int>(ExitCode::interrupted));
  signal(number, SIG_DFL);
  (void)raise(number);
}

bool is_special(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  return std::filesystem::exists(status) && !std::filesystem::is_regular_file(status);
}

}  // namespace

OutputFile::OutputFile(std::string path) : path_(std::move(path)), write_path_(path_), slot_(kNoSlot) {
  namespace fs = std::filesystem;
  if (path_ == "-") return;
  std::error_code error;
  if (fs::is_directory(path_, error)) {
    errno = EISDIR;
    fail("cannot be created");
  }
  if (!is_special(path_)) {
    const fs::path real = fs::is_symlink(path_, error) ? fs::weakly_canonical(path_, error) : fs::path(path_);
    path_ = real.string();
    const std::string name = ".kvcast-" + std::to_string(getpid()) + "-" + real.filename().string();
    write_path_ = (real.parent_path() / name).string();
    slot_ = arm(write_path_);
  }
  file_ = std::fopen(write_path_.c_str(), "wb");
  if (file_ == nullptr) {
    disarm(slot_);
    fail("cannot be created");
  }
}

OutputFile::~OutputFile() {
  if (file_ != nullptr) (void)std::fclose(file_);
  if (slot_ == kNoSlot) return;
  if (!committed_) (void)unlink(write_path_.c_str());
  disarm(slot_);
}

void OutputFile::write(std::string_view text) {
  std::FILE* out = path_ == "-" ? stdout : file_;
  if (std::fwrite(text.data(), 1, text.size(), out) != text.size()) fail("cannot be written");
}

void OutputFile::commit() {
  if (path_ == "-") {
    if (std::fflush(stdout) != 0) fail("cannot be written");
    return;
  }
  const int closed = std::fclose(file_);
  file_ = nullptr;
  if (closed != 0) fail("cannot be written");
  if (slot_ == kNoSlot) return;
  if (std::rename(write_path_.c_str(), path_.c_str()) != 0) fail("cannot be created");
  committed_ = true;
}

void OutputFile::fail(const char* what) const {
  throw InputError((path_ == "-" ? "standard output" : path_) + ": " + what + ": " + std::strerror(errno));
}

void install_interrupt_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaction(number, &action, nullptr);
}

}  // namespace kvcast
