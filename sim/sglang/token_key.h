/// Token sequences as runs of (segment, start, length): a prompt of 12,000 tokens costs a few runs. Two
/// tokens are equal exactly when segment and position are.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvcast::sglang {

struct TokenRun {
  std::uint64_t segment = 0;
  std::int64_t start = 0;
  std::int64_t length = 0;

  friend bool operator==(const TokenRun&, const TokenRun&) = default;
};

/// The first `length` tokens of some runs. The salt keeps keys of different tenants apart, as SGLang's
/// extra_key does.
struct TokenKey {
  std::span<const TokenRun> runs;
  std::int64_t length = 0;
  std::uint64_t salt = 0;
};

/// Owner of a sequence's runs, in canonical form: no two neighbours that could be one.
class TokenSequence {
 public:
  void append(const TokenRun& run);
  [[nodiscard]] std::int64_t length() const { return length_; }
  /// \param n at most length()
  [[nodiscard]] TokenKey key(std::int64_t n, std::uint64_t salt) const;

 private:
  std::vector<TokenRun> runs_;
  std::int64_t length_ = 0;
};

/// A place in a key.
class KeyCursor {
 public:
  explicit KeyCursor(const TokenKey& key) : key_(key) {}
  [[nodiscard]] std::int64_t position() const { return position_; }
  [[nodiscard]] std::int64_t left() const { return key_.length - position_; }
  [[nodiscard]] std::uint64_t salt() const { return key_.salt; }
  /// Tokens from here on that equal the beginning of `runs`.
  [[nodiscard]] std::int64_t common(std::span<const TokenRun> runs) const;
  void advance(std::int64_t tokens);
  /// The tokens from here to the key's end, in canonical form.
  [[nodiscard]] std::vector<TokenRun> rest() const;
  /// Hash of the next n tokens; equal tokens give equal hashes however they are cut into runs.
  [[nodiscard]] std::uint64_t hash(std::int64_t n) const;

 private:
  TokenKey key_;
  std::size_t run_ = 0;
  std::int64_t offset_ = 0;  // in that run
  std::int64_t position_ = 0;
};

/// The runs of tokens [from, ..) of `runs`, whose first `from` tokens stay behind in it.
[[nodiscard]] std::vector<TokenRun> cut_runs(std::vector<TokenRun>& runs, std::int64_t from);

}  // namespace kvcast::sglang
