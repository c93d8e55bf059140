/// Reads `synthetic:` sections. Internal to the folder.
#pragma once

#include <cstdint>
#include <string>

#include "sim/base/config.h"
#include "workloads/inputs.h"
#include "workloads/synthetic.h"

namespace kvcast {

struct SyntheticPlan {
  SyntheticSpec spec;
  std::int64_t concurrency = 0;  // of a closed loop; 0: open
  Duration think{};              // of a closed loop
  std::string description;
};

/// The profile that an empty workload stands for.
inline constexpr const char* kDefaultProfile = "azure-conv";

/// Reads `{profile, requests, duration_s, arrivals, input, output, lengths, max, prefix, sessions}`. What is
/// left out comes from the profile, an embedded one (configs/workloads/NAME.yaml) or a file that `kvcast
/// trace fit` wrote. \param profile the one to use where the mapping names none; "": none
[[nodiscard]] SyntheticPlan read_synthetic(Config& config, const std::string& profile, std::uint64_t seed,
                                           InputFiles& inputs);

}  // namespace kvcast
