#include "kernels/emulation/race_check.h"

#include <algorithm>

namespace kvcast::kernels::emulation {

RaceCheck::RaceCheck(int threads, std::size_t shared_bytes)
    : threads_(static_cast<std::size_t>(threads)),
      warps_((threads_ + 31) / 32),
      seen_(threads_ * threads_, 0),
      fenced_(threads_, 0),
      writes_(shared_bytes / 4 + 1),
      reads_((shared_bytes / 4 + 1) * warps_) {
  for (std::size_t t = 0; t < threads_; ++t) seen_[t * threads_ + t] = 1;
}

const char* RaceCheck::read(int thread, std::uint32_t address, std::uint32_t count) {
  const std::size_t warp = static_cast<std::size_t>(thread) / 32;
  for (std::size_t word = address / 4; word < (address + count + 3) / 4; ++word) {
    if (writes_[word].clock == kUnderWay) return "reads shared memory that a copy is still writing";
    if (!before(writes_[word], thread)) return "reads what another thread wrote, and no barrier lies between";
    reads_[word * warps_ + warp] = {thread, now(thread)};
  }
  return nullptr;
}

const char* RaceCheck::read_by_product(int thread, std::uint32_t address, std::uint32_t count) {
  for (std::size_t word = address / 4; word < (address + count + 3) / 4; ++word) {
    const Event& write = writes_[word];
    if (write.plain && write.clock > fenced_[static_cast<std::size_t>(write.thread)]) {
      return "reads what was written without a proxy fence";
    }
  }
  return read(thread, address, count);
}

void RaceCheck::fence(int thread) { fenced_[static_cast<std::size_t>(thread)] = now(thread); }

const char* RaceCheck::check_write(int thread, std::size_t word) {
  if (writes_[word].clock == kUnderWay) return "writes shared memory that a copy is still writing";
  if (!before(writes_[word], thread))
    return "overwrites what another thread wrote, and no barrier lies between";
  for (std::size_t warp = 0; warp < warps_; ++warp) {
    if (!before(reads_[word * warps_ + warp], thread)) {
      return "overwrites what another thread read, and no barrier lies between";
    }
  }
  return nullptr;
}

const char* RaceCheck::write(int thread, std::uint32_t address, std::uint32_t count) {
  for (std::size_t word = address / 4; word < (address + count + 3) / 4; ++word) {
    if (const char* problem = check_write(thread, word); problem != nullptr) return problem;
    writes_[word] = {thread, now(thread), true};
  }
  return nullptr;
}

const char* RaceCheck::depart(int thread, std::uint32_t address, std::uint32_t count) {
  for (std::size_t word = address / 4; word < (address + count + 3) / 4; ++word) {
    if (const char* problem = check_write(thread, word); problem != nullptr) return problem;
    writes_[word] = {thread, kUnderWay};
  }
  return nullptr;
}

void RaceCheck::arrive(int thread, std::uint32_t address, std::uint32_t count) {
  for (std::size_t word = address / 4; word < (address + count + 3) / 4; ++word)
    writes_[word] = {thread, now(thread)};
}

void RaceCheck::release(int thread, std::uint32_t object) {
  const std::size_t own = static_cast<std::size_t>(thread);
  std::vector<Clock>& known = released_[object];
  known.resize(threads_, 0);
  for (std::size_t t = 0; t < threads_; ++t) known[t] = std::max(known[t], seen_[own * threads_ + t]);
  ++seen_[own * threads_ + own];
}

void RaceCheck::acquire(int thread, std::uint32_t object) {
  const std::size_t own = static_cast<std::size_t>(thread);
  std::vector<Clock>& known = released_[object];
  known.resize(threads_, 0);
  for (std::size_t t = 0; t < threads_; ++t) {
    seen_[own * threads_ + t] = std::max(seen_[own * threads_ + t], known[t]);
  }
}

void RaceCheck::join(std::span<const int> threads) {
  std::vector<Clock> all(threads_, 0);
  for (const int t : threads) {
    const auto row = seen_.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(t) * threads_);
    std::transform(all.begin(), all.end(), row, all.begin(), [](Clock a, Clock b) { return std::max(a, b); });
  }
  for (const int t : threads) {
    const std::size_t own = static_cast<std::size_t>(t);
    std::copy(all.begin(), all.end(), seen_.begin() + static_cast<std::ptrdiff_t>(own * threads_));
    ++seen_[own * threads_ + own];
  }
}

}  // namespace kvcast::kernels::emulation
