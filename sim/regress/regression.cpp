#include "sim/regress/regression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/base/error.h"
#include "sim/base/portable_math.h"
#include "sim/regress/device_shift.h"
#include "sim/regress/shift.h"

namespace kvcast {
namespace {

constexpr double kSignificance = 0.002;     // largest p of a finding
constexpr double kFalseDiscoveries = 0.05;  // Benjamini-Hochberg, over the suite
constexpr double kNormal95 = 1.959964;

// The floors suit kernels that repeat as those of a data centre GPU do. Where a suite's own kernels scatter
// more from run to run, the threshold is 4 standard deviations of that scatter. It stops at 1.3 floors, so
// that twice the floor is always found and a slowdown of many kernels cannot hide in the scatter that it
// makes.
constexpr double kScatterDeviations = 4;
constexpr double kThresholdPerFloorMax = 1.3;
constexpr std::size_t kKernelsForScatter = 10;

double relative(double log_ratio) { return portable_exp(log_ratio) - 1; }

/// One kernel on both sides.
struct Pair {
  const KernelTiming* base = nullptr;
  const KernelTiming* candidate = nullptr;
  TimedQuantity quantity = TimedQuantity::ns;
  TimingShift shift;
};

using ByName = std::map<std::string_view, const KernelTiming*>;

ByName by_name(const std::vector<KernelTiming>& kernels) {
  ByName names;
  for (const KernelTiming& kernel : kernels) {
    KVCAST_CHECK(!kernel.ns.empty());
    KVCAST_CHECK(names.emplace(kernel.name, &kernel).second);
  }
  return names;
}

bool in_cycles(const KernelTiming& kernel) { return kernel.compute_bound && !kernel.cycles.empty(); }

double median_ns(const KernelTiming& kernel) {
  std::vector<double> medians;
  for (const TimingBlock& block : kernel.ns) medians.push_back(block.median);
  return median(std::move(medians));
}

/// 0: below 20 us, 1: below 100 us, 2: above.
std::size_t time_class(double base_ns) { return base_ns < 20e3 ? 0 : base_ns < 100e3 ? 1 : 2; }

class Comparison {
 public:
  explicit Comparison(const RegressionOptions& options) : options_(options), bootstrap_(options.seed) {}

  Regression run(const std::vector<KernelTiming>& base, const std::vector<KernelTiming>& candidate) {
    match(base, candidate);
    for (const TimedQuantity quantity : {TimedQuantity::ns, TimedQuantity::cycles}) find_shift(quantity);
    find_thresholds();
    std::vector<double> p_values;
    for (const Pair& pair : pairs_) {
      KernelChange change = measure(pair);
      if (pair.base->sentinel) {
        result_.sentinels.push_back(std::move(change));
        continue;
      }
      if (pair.shift.decidable) p_values.push_back(change.p);
      result_.kernels.push_back(std::move(change));
    }
    judge(p_values);
    warn();
    return std::move(result_);
  }

 private:
  void match(const std::vector<KernelTiming>& base, const std::vector<KernelTiming>& candidate);
  void find_shift(TimedQuantity quantity);
  void find_thresholds();
  [[nodiscard]] KernelChange measure(const Pair& pair) const;
  void judge(const std::vector<double>& p_values);
  void warn();

  [[nodiscard]] const DeviceShiftFound& found(TimedQuantity quantity) const {
    return found_[static_cast<std::size_t>(quantity)];
  }

  RegressionOptions options_;
  MedianBootstrap bootstrap_;
  std::vector<Pair> pairs_;
  std::array<DeviceShiftFound, 2> found_;
  std::array<double, 3> thresholds_{};  // logarithms, by time_class()
  Regression result_;
};

void Comparison::match(const std::vector<KernelTiming>& base, const std::vector<KernelTiming>& candidate) {
  const ByName candidates = by_name(candidate);
  const ByName bases = by_name(base);
  for (const KernelTiming& kernel : base) {
    const auto at = candidates.find(kernel.name);
    if (at == candidates.end()) {
      result_.missing.push_back(kernel.name);
      continue;
    }
    Pair pair{&kernel, at->second, TimedQuantity::ns, {}};
    // Two devices differ in their clocks; a ratio of times is what both have.
    const bool cycles = options_.same_device && in_cycles(kernel) && in_cycles(*at->second);
    if (cycles) pair.quantity = TimedQuantity::cycles;
    pair.shift = cycles ? timing_shift(kernel.cycles, at->second->cycles, options_.paired, bootstrap_)
                        : timing_shift(kernel.ns, at->second->ns, options_.paired, bootstrap_);
    pairs_.push_back(std::move(pair));
  }
  for (const KernelTiming& kernel : candidate) {
    if (bases.find(kernel.name) == bases.end()) result_.added.push_back(kernel.name);
  }
  if (pairs_.empty())
    throw InputError("the two files have no kernel in common (op, kernel, shape and dtype must be equal)",
                     ExitCode::bad_data);
}

/// Sentinels are compared in the quantity of the kernels that they stand for. A memory-bound sentinel says
/// nothing of compute clocks and the other way round: where no sentinel is of the kind, the others count only
/// if the kernels moved as they did.
void Comparison::find_shift(TimedQuantity quantity) {
  ShiftEvidence evidence;
  std::vector<ShiftSeen> others;
  for (const Pair& pair : pairs_) {
    const ShiftSeen seen{pair.shift.estimate, pair.shift.standard_error()};
    if (pair.quantity == quantity) {
      (pair.base->sentinel ? evidence.sentinels : evidence.kernels).push_back(seen);
    } else if (pair.base->sentinel) {
      const bool ns = quantity == TimedQuantity::ns;
      const auto& base = ns ? pair.base->ns : pair.base->cycles;
      const auto& candidate = ns ? pair.candidate->ns : pair.candidate->cycles;
      if (base.empty() || candidate.empty()) continue;
      const TimingShift shift = timing_shift(base, candidate, options_.paired, bootstrap_);
      others.push_back({shift.estimate, shift.standard_error()});
    }
  }
  if (!options_.same_device && quantity == TimedQuantity::ns && evidence.sentinels.empty()) {
    throw InputError(
        "the files are of two devices and have no sentinel in common: across devices only ratios to a "
        "sentinel "
        "(\"sentinel\": true) can be compared",
        ExitCode::bad_data);
  }
  DeviceShiftFound& found = found_[static_cast<std::size_t>(quantity)];
  found = find_device_shift(evidence, options_.same_device);
  if (evidence.sentinels.empty() && !others.empty() && !evidence.kernels.empty()) {
    ShiftEvidence with_others = evidence;
    with_others.sentinels = others;
    const DeviceShiftFound tried = find_device_shift(with_others, options_.same_device);
    if (tried.shown.use != DeviceShift::Use::disputed) found = tried;
  }
  result_.shift[static_cast<std::size_t>(quantity)] = found.shown;
}

void Comparison::find_thresholds() {
  std::array<std::vector<double>, 3> shifts;
  std::array<std::vector<double>, 3> variances;
  for (const Pair& pair : pairs_) {
    if (pair.base->sentinel || !pair.shift.decidable) continue;
    const std::size_t kind = time_class(median_ns(*pair.base));
    shifts[kind].push_back(pair.shift.estimate - found(pair.quantity).removed);
    variances[kind].push_back(pair.shift.standard_error() * pair.shift.standard_error());
  }
  constexpr std::array<double, 3> kClassTimes{0, 50e3, 1e6};
  for (std::size_t kind = 0; kind < thresholds_.size(); ++kind) {
    const double floor = portable_log(1 + noise_floor(kClassTimes[kind]));
    thresholds_[kind] = floor;
    if (shifts[kind].size() < kKernelsForScatter) continue;
    const double spread = robust_deviation(shifts[kind]);
    const double within = median(variances[kind]);
    const double scatter = std::sqrt(std::max(0.0, spread * spread - within));
    thresholds_[kind] = std::clamp(kScatterDeviations * scatter, floor, kThresholdPerFloorMax * floor);
  }
}

KernelChange Comparison::measure(const Pair& pair) const {
  const DeviceShiftFound& device = found(pair.quantity);
  KernelChange change;
  change.name = pair.base->name;
  change.quantity = pair.quantity;
  change.base_ns = median_ns(*pair.base);
  change.new_ns = median_ns(*pair.candidate);
  change.n_base = pair.shift.n_base;
  change.n_new = pair.shift.n_new;
  change.blocks = pair.shift.blocks;
  change.remark = pair.shift.remark;
  const double removed = pair.base->sentinel ? 0 : device.removed;
  change.p = pair.shift.p(removed);
  const double error = pair.base->sentinel ? 0 : kNormal95 * device.error;
  const double estimate = pair.shift.estimate;
  double low = estimate - std::hypot(estimate - pair.shift.interval.low, error);
  const double high = estimate + std::hypot(pair.shift.interval.high - estimate, error);
  if (!pair.base->sentinel && device.shown.use == DeviceShift::Use::disputed) {
    // Slower as measured beyond doubt, and relative to the sentinels too; their own doubt is not added.
    change.p = std::max(change.p, pair.shift.p(device.sentinels));
    low = std::min(low, estimate - device.sentinels);
  }
  change.change = relative(estimate - removed);
  change.low = relative(low - removed);
  change.high = relative(high - removed);
  double threshold = thresholds_[time_class(change.base_ns)];
  if (!options_.same_device) threshold = std::max(threshold, portable_log(1 + kSentinelTolerance));
  change.threshold = relative(threshold);
  if (pair.candidate->bound_ns > 0) change.efficiency = pair.candidate->bound_ns / change.new_ns;
  return change;
}

void Comparison::judge(const std::vector<double>& p_values) {
  const std::vector<bool> found = benjamini_hochberg(p_values, kFalseDiscoveries);
  std::size_t at = 0;
  for (KernelChange& change : result_.kernels) {
    if (!change.remark.empty()) {
      change.verdict = TimingVerdict::undecided;
      continue;
    }
    const bool significant = change.p < kSignificance && found[at];
    ++at;
    if (!significant) continue;
    if (change.low > change.threshold) {
      change.verdict = TimingVerdict::slower;
    } else if (change.low > change.threshold / 2) {
      change.verdict = TimingVerdict::suspect;
    } else if (change.high < -change.threshold / (1 + change.threshold)) {
      change.verdict = TimingVerdict::faster;
    }
  }
}

void Comparison::warn() {
  const auto percent = [](double value) { return fmt::format("{:+.1f} %", 100 * value); };
  for (const TimedQuantity quantity : {TimedQuantity::ns, TimedQuantity::cycles}) {
    const DeviceShift& shift = result_.shift[static_cast<std::size_t>(quantity)];
    const bool off = std::abs(std::log1p(shift.sentinels)) > std::log1p(kSentinelTolerance);
    if (shift.sentinel_count > 0 && options_.same_device && off) {
      result_.warnings.push_back(
          fmt::format("the sentinels are off by {} in {} (tolerance {:.0f} %): the device was not in the "
                      "same state; measure "
                      "both again, side by side",
                      percent(shift.sentinels), to_string(quantity), 100 * kSentinelTolerance));
    }
    if (shift.use == DeviceShift::Use::assumed && std::abs(shift.typical) > 0.01) {
      result_.warnings.push_back(
          fmt::format("all kernels moved by {} in {} alike, and without sentinels nothing tells the device "
                      "from the code: it "
                      "is taken out of each change",
                      percent(shift.typical), to_string(quantity)));
    }
  }
  if (const std::int64_t n = result_.count(TimingVerdict::undecided); n > 0)
    result_.warnings.push_back(fmt::format("{} of {} kernels cannot be decided", n, result_.kernels.size()));
  if (!result_.missing.empty())
    result_.warnings.push_back(
        fmt::format("the new file lacks kernels of the base: {}", result_.missing.size()));
}

}  // namespace

std::string_view to_string(TimedQuantity quantity) { return quantity == TimedQuantity::ns ? "ns" : "cycles"; }

std::string_view to_string(TimingVerdict verdict) {
  switch (verdict) {
    case TimingVerdict::slower:
      return "slower";
    case TimingVerdict::suspect:
      return "suspect";
    case TimingVerdict::unchanged:
      return "unchanged";
    case TimingVerdict::faster:
      return "faster";
    case TimingVerdict::undecided:
      return "undecided";
  }
  return "";
}

std::string_view to_string(DeviceShift::Use use) {
  switch (use) {
    case DeviceShift::Use::none:
      return "none";
    case DeviceShift::Use::steady:
      return "steady";
    case DeviceShift::Use::removed:
      return "removed";
    case DeviceShift::Use::disputed:
      return "disputed";
    case DeviceShift::Use::assumed:
      return "assumed";
    case DeviceShift::Use::reference:
      return "reference";
  }
  return "";
}

std::int64_t Regression::count(TimingVerdict verdict) const {
  return std::count_if(kernels.begin(), kernels.end(),
                       [verdict](const KernelChange& change) { return change.verdict == verdict; });
}

bool Regression::fails() const {
  return std::any_of(kernels.begin(), kernels.end(),
                     [](const KernelChange& change) { return change.fails(); });
}

double noise_floor(double base_ns) {
  constexpr std::array<double, 3> kFloors{0.05, 0.03, 0.02};
  return kFloors[time_class(base_ns)];
}

Regression compare_timings(const std::vector<KernelTiming>& base, const std::vector<KernelTiming>& candidate,
                           const RegressionOptions& options) {
  Regression result = Comparison(options).run(base, candidate);
  result.same_device = options.same_device;
  return result;
}

Regression confirmed(Regression first, const Regression& second) {
  for (KernelChange& change : first.kernels) {
    if (change.verdict != TimingVerdict::slower) continue;
    const auto again = std::find_if(second.kernels.begin(), second.kernels.end(),
                                    [&](const KernelChange& other) { return other.name == change.name; });
    if (again != second.kernels.end() && again->verdict == TimingVerdict::slower) continue;
    change.verdict = TimingVerdict::suspect;
    change.remark = "a second run did not confirm it";
    if (again != second.kernels.end())
      change.remark += fmt::format(": {:+.1f} % [{:+.1f} %, {:+.1f} %]", 100 * again->change,
                                   100 * again->low, 100 * again->high);
  }
  return first;
}

}  // namespace kvcast
