/// Are the kernels slower than before? Timings of two builds on one device (or ratios to sentinels on two)
/// in, a verdict for each kernel out. The rule, its noise model and its measured rates: docs/regression.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/regress/statistics.h"

namespace kvcast {

/// One measurement of one kernel: samples, or where they were not kept what they came to.
struct TimingBlock {
  std::vector<double> samples;
  std::int64_t n = 0;
  double median = 0;
  double deviation = -1;  // standard deviation of one sample, robustly; negative: unknown
};

/// One kernel at one shape in one file. Memory-bound kernels are compared in nanoseconds; compute-bound ones
/// in clock cycles where both sides have them, so that the clock of the moment does not matter.
struct KernelTiming {
  std::string name;
  bool sentinel = false;
  bool compute_bound = false;
  std::vector<TimingBlock> ns;      // one for each record of this kernel, in the order of measurement
  std::vector<TimingBlock> cycles;  // as many, or none
  double bound_ns = 0;              // what the data sheet's bandwidth and rate allow; 0: unknown
};

enum class TimedQuantity : std::uint8_t { ns, cycles };
[[nodiscard]] std::string_view to_string(TimedQuantity quantity);

enum class TimingVerdict : std::uint8_t {
  slower,   // a regression: the gate fails
  suspect,  // slower by more than half of the threshold
  unchanged,
  faster,
  undecided,  // too few samples, or no spread
};
[[nodiscard]] std::string_view to_string(TimingVerdict verdict);

/// Changes are relative: 0.04 is 4 % slower.
struct KernelChange {
  std::string name;
  TimedQuantity quantity = TimedQuantity::ns;
  TimingVerdict verdict = TimingVerdict::unchanged;
  double base_ns = 0, new_ns = 0;        // medians as measured
  double change = 0;                     // of `quantity`, the device's own change taken out
  double low = 0, high = 0;              // its 95 % interval
  double threshold = 0;                  // `low` beyond it is a regression
  double p = 1;                          // of no change
  std::int64_t n_base = 0, n_new = 0;    // samples, or blocks where `blocks`
  bool blocks = false;                   // the samples are medians of blocks
  std::string remark;                    // why undecided, what could not be used
  std::optional<double> efficiency;      // bound_ns / new_ns
  std::optional<double> efficiency_min;  // asked for
  [[nodiscard]] bool below_efficiency() const {
    return efficiency_min && (!efficiency || *efficiency < *efficiency_min);
  }
  [[nodiscard]] bool fails() const { return verdict == TimingVerdict::slower || below_efficiency(); }
};

/// By how much the device itself is faster or slower in the new run, from workloads that did not change.
struct DeviceShift {
  /// How it entered the comparison.
  enum class Use : std::uint8_t {
    none,       // nothing tells; changes are as measured
    steady,     // sentinels and the typical kernel moved alike, by nothing that could be told from 0
    removed,    // sentinels and the typical kernel moved alike: taken out of every change
    disputed,   // they did not: a kernel must be slower as measured and relative to the sentinels
    assumed,    // no sentinels; the small shift that all kernels share is taken out
    reference,  // two devices: changes are ratios to the sentinels
  };
  Use use = Use::none;
  double sentinels = 0;  // relative change of the sentinels
  std::int64_t sentinel_count = 0;
  double typical = 0;  // median over all other kernels
  std::int64_t kernel_count = 0;
};
[[nodiscard]] std::string_view to_string(DeviceShift::Use use);

struct Regression {
  std::string base_name, new_name;      // files
  std::string base_device, new_device;  // as the records name them
  bool same_device = true;
  std::array<DeviceShift, 2> shift;     // by TimedQuantity
  std::vector<KernelChange> kernels;    // in the order of the base
  std::vector<KernelChange> sentinels;  // shown, not judged
  std::vector<std::string> missing;     // only in the base
  std::vector<std::string> added;       // only in the new
  std::vector<std::string> warnings;
  std::string base_hash,
      new_hash;  // content_hash() of the files; empty where the timings were taken just now
  std::string seed;
  std::string version;
  std::string command;  // shown by the HTML report only; empty: not shown

  [[nodiscard]] std::int64_t count(TimingVerdict verdict) const;
  [[nodiscard]] bool fails() const;
};

struct RegressionOptions {
  bool same_device = true;
  bool paired = false;  // block i of base and new ran side by side
  std::uint64_t seed = 1;
};

/// Smallest slowdown that is a regression, by the base's time: 5 % below 20 us, 3 % below 100 us, else 2 %.
[[nodiscard]] double noise_floor(double base_ns);

/// Sentinels off by more than this are warned of; across devices no smaller change is a regression.
inline constexpr double kSentinelTolerance = 0.08;
/// Fewer samples on a side (or pairs of blocks that ran side by side) decide nothing: even if all of them
/// agree, chance alone gives that more often than the rule allows.
inline constexpr std::int64_t kSamplesMin = 7;
inline constexpr std::int64_t kPairsMin = 10;

/// Fills shift, kernels, sentinels, missing, added and warnings.
/// \param base, candidate each name at most once; any order
/// \throws InputError (exit code 4) where they have no kernel in common, or no sentinel across devices
[[nodiscard]] Regression compare_timings(const std::vector<KernelTiming>& base,
                                         const std::vector<KernelTiming>& candidate,
                                         const RegressionOptions& options);

/// The first comparison, where kernels that were slower only in it and not in the second are suspect.
[[nodiscard]] Regression confirmed(Regression first, const Regression& second);

}  // namespace kvcast
