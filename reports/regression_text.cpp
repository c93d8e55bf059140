// The sentences and the terminal's table of a timing comparison.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/format.h"
#include "reports/regression.h"
#include "reports/text_table.h"

namespace kvcast {
namespace {

constexpr std::size_t kRowsForAll = 40;  // up to so many kernels, unchanged ones are listed too

int urgency(const KernelChange& change) {
  if (change.fails()) return 0;
  switch (change.verdict) {
    case TimingVerdict::slower:
      return 0;
    case TimingVerdict::suspect:
      return 1;
    case TimingVerdict::undecided:
      return 2;
    case TimingVerdict::faster:
      return 3;
    case TimingVerdict::unchanged:
      return 4;
  }
  return 4;
}

std::string_view label(const KernelChange& change) {
  return change.verdict != TimingVerdict::slower && change.below_efficiency() ? "inefficient"
                                                                              : to_string(change.verdict);
}

std::string row(const KernelChange& change, std::string_view verdict) {
  return fmt::format("{:<11} {:>8}  {:>20}  {:>6}  {:>9}  {:>9}  {}{}\n", verdict, change_text(change.change),
                     fmt::format("[{}, {}]", change_text(change.low), change_text(change.high)),
                     verdict == "sentinel" ? "" : fmt::format("{:.1f} %", 100 * change.threshold),
                     time_text(change.base_ns), time_text(change.new_ns), change.name,
                     change.quantity == TimedQuantity::cycles ? " (cycles)" : "");
}

std::string names(const char* title, const std::vector<std::string>& list) {
  std::string text;
  constexpr std::size_t kShown = 20;
  for (std::size_t i = 0; i < std::min(kShown, list.size()); ++i)
    text += fmt::format("{:<11} {}\n", title, list[i]);
  if (list.size() > kShown) text += fmt::format("{:<11} and {} more\n", "", list.size() - kShown);
  return text;
}

std::int64_t failing(const Regression& regression) {
  return std::count_if(regression.kernels.begin(), regression.kernels.end(),
                       [](const KernelChange& change) { return change.fails(); });
}

}  // namespace

std::string change_text(double change) {
  return std::abs(change) < 0.0005 ? "0.0 %" : fmt::format("{:+.1f} %", 100 * change);
}

std::string change_with_interval(const KernelChange& change) {
  return fmt::format("{} [{}, {}]", change_text(change.change), change_text(change.low),
                     change_text(change.high));
}

std::string time_text(double ns) {
  if (ns < 1e6) return significant(ns / 1e3) + " us";
  return ns < 1e9 ? significant(ns / 1e6) + " ms" : significant(ns / 1e9) + " s";
}

std::string reason_of(const KernelChange& change) {
  std::string text;
  if (change.verdict == TimingVerdict::slower) {
    text = fmt::format(
        "slower by {} in {}; its interval lies beyond the threshold of {} (p {:.1g}, {} and {} {})",
        change_with_interval(change), to_string(change.quantity), change_text(change.threshold), change.p,
        change.n_base, change.n_new, change.blocks ? "blocks" : "samples");
  } else {
    text = change.remark;
  }
  if (change.below_efficiency()) {
    const std::string reached = change.efficiency
                                    ? "reaches " + percent(*change.efficiency) + " of the data sheet's bound"
                                    : "the data sheet's bound is unknown (device, bytes or flop)";
    text += fmt::format("{}{}; at least {} is asked for", text.empty() ? "" : "; ", reached,
                        percent(*change.efficiency_min));
  }
  return text;
}

std::vector<const KernelChange*> by_urgency(const Regression& regression) {
  std::vector<const KernelChange*> sorted;
  for (const KernelChange& change : regression.kernels) sorted.push_back(&change);
  std::stable_sort(sorted.begin(), sorted.end(), [](const KernelChange* a, const KernelChange* b) {
    if (urgency(*a) != urgency(*b)) return urgency(*a) < urgency(*b);
    return std::abs(a->change) > std::abs(b->change);
  });
  return sorted;
}

std::string verdict_of(const Regression& regression) {
  std::string text = fmt::format("{} of {} kernels fail", failing(regression), regression.kernels.size());
  text += fmt::format(": {} slower, {} suspect, {} unchanged, {} faster, {} undecided",
                      regression.count(TimingVerdict::slower), regression.count(TimingVerdict::suspect),
                      regression.count(TimingVerdict::unchanged), regression.count(TimingVerdict::faster),
                      regression.count(TimingVerdict::undecided));
  if (const auto below = std::count_if(regression.kernels.begin(), regression.kernels.end(),
                                       [](const KernelChange& change) { return change.below_efficiency(); });
      below > 0)
    text += fmt::format("; {} below the efficiency asked for", below);
  if (!regression.missing.empty()) text += fmt::format("; {} missing", regression.missing.size());
  if (!regression.added.empty()) text += fmt::format("; {} new", regression.added.size());
  return text;
}

std::vector<std::string> device_notes(const Regression& regression) {
  std::vector<std::string> notes;
  for (const TimedQuantity quantity : {TimedQuantity::ns, TimedQuantity::cycles}) {
    const DeviceShift& shift = regression.shift[static_cast<std::size_t>(quantity)];
    if (shift.sentinel_count == 0 && shift.kernel_count == 0) continue;
    std::string text = fmt::format("in {}: ", to_string(quantity));
    text += shift.sentinel_count == 0
                ? "no sentinels"
                : fmt::format("sentinels {} ({})", change_text(shift.sentinels), shift.sentinel_count);
    text += fmt::format(", typical kernel {} ({}); ", change_text(shift.typical), shift.kernel_count);
    switch (shift.use) {
      case DeviceShift::Use::none:
        text += "changes are as measured";
        break;
      case DeviceShift::Use::steady:
        text += "the device did not change: changes are as measured";
        break;
      case DeviceShift::Use::removed:
        text += "this change of the device is taken out of each kernel's";
        break;
      case DeviceShift::Use::disputed:
        text +=
            "they do not agree: a kernel is slower only where it is so as measured and relative to the "
            "sentinels";
        break;
      case DeviceShift::Use::assumed:
        text += "what all kernels share is taken for the device's and taken out";
        break;
      case DeviceShift::Use::reference:
        text += "two devices: changes are of the ratio to the sentinels";
        break;
    }
    notes.push_back(std::move(text));
  }
  return notes;
}

std::string to_table(const Regression& regression, bool color) {
  TextTable table(color);
  const std::string devices = regression.base_device == regression.new_device
                                  ? regression.base_device
                                  : regression.base_device + " and " + regression.new_device;
  table.paragraph(fmt::format("{} -> {} on {}", regression.base_name, regression.new_name, devices),
                  TextTable::kBold);
  for (const std::string& note : device_notes(regression)) table.paragraph(note, "", 2);
  for (const std::string& warning : regression.warnings)
    table.paragraph("WARNING: " + warning, TextTable::kWarn, 2);
  std::string rows = fmt::format("\n{:<11} {:>8}  {:>20}  {:>6}  {:>9}  {:>9}  {}\n", "verdict", "change",
                                 "95 % interval", "limit", "base", "new", "kernel");
  std::size_t hidden = 0;
  for (const KernelChange* change : by_urgency(regression)) {
    if (urgency(*change) == 4 && regression.kernels.size() > kRowsForAll) {
      ++hidden;
      continue;
    }
    rows += row(*change, label(*change));
  }
  if (hidden > 0) rows += fmt::format("{:<11} {} kernels\n", "unchanged", hidden);
  for (const KernelChange& sentinel : regression.sentinels) rows += row(sentinel, "sentinel");
  rows += names("missing", regression.missing) + names("new", regression.added);
  std::string reasons;
  for (const KernelChange* change : by_urgency(regression)) {
    // The row says all of a plain slowdown: its interval lies beyond the limit.
    const std::string reason = change->verdict == TimingVerdict::slower && !change->below_efficiency()
                                   ? std::string()
                                   : reason_of(*change);
    if (!reason.empty()) reasons += wrapped(change->name + ": " + reason, 100, 2) + "\n";
  }
  if (!reasons.empty()) reasons = "\n" + reasons;
  table.verbatim(rows + reasons + "\n");
  table.paragraph((regression.fails() ? "FAIL: " : "PASS: ") + verdict_of(regression),
                  regression.fails() ? TextTable::kBad : TextTable::kGood);
  return table.take();
}

}  // namespace kvcast
