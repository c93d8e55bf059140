#include "sim/sglang/token_key.h"

#include <algorithm>

#include "sim/base/error.h"

namespace kvcast::sglang {
namespace {

constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15u;

constexpr std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  std::uint64_t x = (hash ^ value) * kGolden;
  x ^= x >> 32;
  return x * 0xD6E8FEB86659FD93u;
}

}  // namespace

void TokenSequence::append(const TokenRun& run) {
  if (run.length == 0) return;
  KVCAST_CHECK(run.length > 0 && run.start >= 0);
  length_ += run.length;
  if (!runs_.empty() && runs_.back().segment == run.segment &&
      runs_.back().start + runs_.back().length == run.start) {
    runs_.back().length += run.length;
    return;
  }
  runs_.push_back(run);
}

TokenKey TokenSequence::key(std::int64_t n, std::uint64_t salt) const {
  KVCAST_CHECK(n >= 0 && n <= length_);
  return {runs_, n, salt};
}

std::int64_t KeyCursor::common(std::span<const TokenRun> runs) const {
  std::int64_t equal = 0;
  std::size_t mine = run_;
  std::int64_t offset = offset_;
  const std::int64_t most = left();
  for (const TokenRun& other : runs) {
    std::int64_t done = 0;  // of the other run
    while (done < other.length) {
      if (equal == most) return equal;
      const TokenRun& own = key_.runs[mine];
      if (own.segment != other.segment || own.start + offset != other.start + done) return equal;
      const std::int64_t step = std::min({own.length - offset, other.length - done, most - equal});
      equal += step;
      done += step;
      offset += step;
      if (offset == own.length) {
        ++mine;
        offset = 0;
      }
    }
  }
  return equal;
}

void KeyCursor::advance(std::int64_t tokens) {
  KVCAST_CHECK(tokens <= left());
  position_ += tokens;
  while (tokens > 0) {
    const std::int64_t step = std::min(tokens, key_.runs[run_].length - offset_);
    tokens -= step;
    offset_ += step;
    if (offset_ == key_.runs[run_].length) {
      ++run_;
      offset_ = 0;
    }
  }
}

std::vector<TokenRun> KeyCursor::rest() const {
  std::vector<TokenRun> runs;
  std::int64_t wanted = left();
  std::int64_t offset = offset_;
  for (std::size_t i = run_; wanted > 0; ++i, offset = 0) {
    const std::int64_t length = std::min(wanted, key_.runs[i].length - offset);
    runs.push_back({key_.runs[i].segment, key_.runs[i].start + offset, length});
    wanted -= length;
  }
  return runs;
}

std::uint64_t KeyCursor::hash(std::int64_t n) const {
  KVCAST_CHECK(n <= left());
  std::uint64_t hash = key_.salt;
  std::int64_t offset = offset_;
  for (std::size_t i = run_; n > 0; ++i, offset = 0) {
    const std::int64_t length = std::min(n, key_.runs[i].length - offset);
    hash = mix(hash, key_.runs[i].segment);
    hash = mix(hash, static_cast<std::uint64_t>(key_.runs[i].start + offset));
    hash = mix(hash, static_cast<std::uint64_t>(length));
    n -= length;
  }
  return hash;
}

std::vector<TokenRun> cut_runs(std::vector<TokenRun>& runs, std::int64_t from) {
  std::size_t i = 0;
  while (i < runs.size() && from >= runs[i].length) from -= runs[i++].length;
  std::vector<TokenRun> rest(runs.begin() + static_cast<std::ptrdiff_t>(i), runs.end());
  runs.resize(i);
  if (from > 0) {
    runs.push_back({rest.front().segment, rest.front().start, from});
    rest.front().start += from;
    rest.front().length -= from;
  }
  return rest;
}

}  // namespace kvcast::sglang
