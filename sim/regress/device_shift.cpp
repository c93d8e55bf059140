#include "sim/regress/device_shift.h"

#include <algorithm>
#include <cmath>

#include "sim/base/portable_math.h"

namespace kvcast {
namespace {

constexpr std::size_t kKernelsToAgree =
    3;  // with the sentinels; the median of three survives one that changed
constexpr std::size_t kKernelsToMeasure = 8;  // to say better than the sentinels by how much
constexpr std::size_t kKernelsToAssume = 20;  // without sentinels
constexpr double kAssumedMax = 0.03;          // a larger common shift is not put down to the device unseen
constexpr double kAgreement = 0.01;           // of sentinels and typical kernel, where their errors are small
constexpr double kAgreementMax =
    0.03;  // where they are not; wide errors mean that kernels changed unlike each other
constexpr double kMedianToMean = 1.2533;
constexpr double kNormal95 = 1.960;
constexpr double kNormal99 = 2.576;

/// The median of several shifts. Its error: from their own errors or their scatter, whichever is larger.
ShiftSeen typical(const std::vector<ShiftSeen>& shifts) {
  std::vector<double> estimates;
  double variance = 0;
  for (const ShiftSeen& shift : shifts) {
    estimates.push_back(shift.estimate);
    variance += shift.error * shift.error;
  }
  const auto count = static_cast<double>(shifts.size());
  const double own = std::sqrt(variance / count);
  const double spread = std::max(own, robust_deviation(estimates));
  const double to_median = shifts.size() > 2 ? kMedianToMean : 1;
  return {median(estimates), to_median * spread / std::sqrt(count)};
}

/// From the smallest to the largest.
double spread(const std::vector<ShiftSeen>& shifts) {
  const auto [low, high] =
      std::minmax_element(shifts.begin(), shifts.end(),
                          [](const ShiftSeen& a, const ShiftSeen& b) { return a.estimate < b.estimate; });
  return high->estimate - low->estimate;
}

}  // namespace

DeviceShiftFound find_device_shift(const ShiftEvidence& evidence, bool same_device) {
  DeviceShiftFound found;
  found.shown.sentinel_count = static_cast<std::int64_t>(evidence.sentinels.size());
  found.shown.kernel_count = static_cast<std::int64_t>(evidence.kernels.size());
  ShiftSeen kernels;
  if (!evidence.kernels.empty()) {
    kernels = typical(evidence.kernels);
    found.shown.typical = portable_exp(kernels.estimate) - 1;
  }
  if (evidence.sentinels.empty()) {
    const bool assume = same_device && evidence.kernels.size() >= kKernelsToAssume &&
                        std::abs(kernels.estimate) <= kAssumedMax;
    if (!assume) return found;
    found.shown.use = DeviceShift::Use::assumed;
    found.removed = kernels.estimate;
    found.error = kernels.error;
    return found;
  }
  const ShiftSeen sentinels = typical(evidence.sentinels);
  found.shown.sentinels = portable_exp(sentinels.estimate) - 1;
  found.sentinels = sentinels.estimate;
  if (!same_device) {
    found.shown.use = DeviceShift::Use::reference;
    found.removed = sentinels.estimate;
    found.error = sentinels.error;
    return found;
  }
  const double apart = std::abs(kernels.estimate - sentinels.estimate);
  const double errors = kNormal99 * std::hypot(sentinels.error, kernels.error);
  const bool alike =
      evidence.kernels.size() >= kKernelsToAgree && apart <= std::clamp(errors, kAgreement, kAgreementMax);
  // Few kernels say little; then several sentinels that agree among themselves are believed.
  const bool few = evidence.kernels.size() < kKernelsToMeasure;
  const bool believed = few && evidence.sentinels.size() > 1 && spread(evidence.sentinels) <= kAgreement;
  if (alike || believed) {
    const ShiftSeen& best = few ? sentinels : kernels;
    // Of a shift that may well be none, taking it out would add its uncertainty to every kernel's.
    const bool seen = std::abs(best.estimate) > kNormal95 * best.error;
    found.shown.use = seen ? DeviceShift::Use::removed : DeviceShift::Use::steady;
    found.removed = seen ? best.estimate : 0;
    found.error = seen ? best.error : 0;
  } else {
    found.shown.use = DeviceShift::Use::disputed;
  }
  return found;
}

}  // namespace kvcast
