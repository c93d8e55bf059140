/// A progress line on stderr: share done, rate and time left. The only place that looks at a wall clock, and
/// nothing of it reaches a result.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace kvcast {

enum class ProgressMode { automatic, on, off };

/// Contract: update() is cheap (one clock read) and draws at most ten times a second. In automatic mode
/// nothing is drawn when stderr is not a terminal or before the work has run for a second. clear() (or the
/// destructor) removes the line.
class Progress {
 public:
  /// \param total 0: unknown, then only the count and the rate are shown
  /// \param unit plural, "requests"
  Progress(ProgressMode mode, std::int64_t total, std::string unit);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::int64_t done);
  /// For work that learns on the way how much it is.
  void update(std::int64_t done, std::int64_t total);
  void clear();

  /// The line for `done` after `elapsed_s` seconds, without control characters (pure; for tests).
  [[nodiscard]] std::string line(std::int64_t done, double elapsed_s) const;

 private:
  using Clock = std::chrono::steady_clock;
  std::int64_t total_;
  std::string unit_;
  double first_draw_s_;  // infinite: never
  Clock::time_point start_;
  Clock::time_point last_draw_;
  bool drawn_ = false;
};

}  // namespace kvcast
