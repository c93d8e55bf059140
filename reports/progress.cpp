#include "reports/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "reports/format.h"

namespace kvcast {
namespace {

constexpr double kPatience = 1.0;     // seconds before the first line
constexpr double kRedrawEvery = 0.1;  // seconds

double first_draw(ProgressMode mode) {
  const bool terminal = isatty(fileno(stderr)) != 0;
  switch (mode) {
    case ProgressMode::automatic:
      return terminal ? kPatience : std::numeric_limits<double>::infinity();
    case ProgressMode::on:
      return 0;
    case ProgressMode::off:
      break;
  }
  return std::numeric_limits<double>::infinity();
}

double seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

/// "0:07", "12:34", "3:00:00"
std::string clock_text(double total_s) {
  const std::int64_t whole = std::llround(total_s);
  const std::int64_t hours = whole / 3600;
  const std::int64_t minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

}  // namespace

Progress::Progress(ProgressMode mode, std::int64_t total, std::string unit)
    : total_(total),
      unit_(std::move(unit)),
      first_draw_s_(first_draw(mode)),
      start_(Clock::now()),
      last_draw_(start_) {}

void Progress::update(std::int64_t done) {
  const Clock::time_point now = Clock::now();
  const double elapsed_s = seconds(now - start_);
  if (elapsed_s < first_draw_s_ || (drawn_ && seconds(now - last_draw_) < kRedrawEvery)) return;
  last_draw_ = now;
  drawn_ = true;
  fmt::print(stderr, "\r\033[K{}", line(done, elapsed_s));
  std::fflush(stderr);
}

void Progress::update(std::int64_t done, std::int64_t total) {
  total_ = total;
  update(done);
}

void Progress::clear() {
  if (!drawn_) return;
  drawn_ = false;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
}

std::string Progress::line(std::int64_t done, double elapsed_s) const {
  const double rate = elapsed_s > 0 ? static_cast<double>(done) / elapsed_s : 0;
  const std::string speed = fmt::format("{} {}/s", significant(rate), unit_);
  if (total_ <= 0) return fmt::format("{} {}, {}", grouped(done), unit_, speed);
  constexpr int kCells = 24;
  const double share = std::clamp(static_cast<double>(done) / static_cast<double>(total_), 0.0, 1.0);
  const auto filled = static_cast<std::size_t>(share * kCells);
  const std::string bar = std::string(filled, '#') + std::string(kCells - filled, '.');
  const double left_s = rate > 0 ? static_cast<double>(std::max<std::int64_t>(0, total_ - done)) / rate : 0;
  const std::string left = rate > 0 ? clock_text(left_s) + " left" : "";
  return fmt::format("[{}] {:3.0f} %  {} of {}  {}  {}", bar, 100 * share, grouped(done), grouped(total_),
                     speed, left);
}

}  // namespace kvcast
