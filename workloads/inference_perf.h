/// The load of kubernetes-sigs/inference-perf: prompts that share system prompts, sent at the rates of
/// stages. Internal to the folder.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/config.h"
#include "workloads/source.h"
#include "workloads/workload.h"

namespace kvcast {

/// A stage sends rate * duration requests.
struct InferencePerfStage {
  double rate = 1;  // requests per second
  double duration_s = 1;
  [[nodiscard]] std::int64_t requests() const { return static_cast<std::int64_t>(rate * duration_s); }
};

/// The tool makes groups * users prompts once (a system prompt of the group, then a question of the user's
/// own), shuffles them, and sends them in turns for the whole run: from the second turn on a prefix cache may
/// hold the whole prompt.
struct InferencePerfSpec {
  std::int64_t groups = 1;
  std::int64_t users = 1;  // of each group
  std::int64_t system_prompt_len = 0;
  std::int64_t question_len = 1;
  std::int64_t output_len = 1;
  bool multi_turn = false;
  std::vector<InferencePerfStage> stages;

  [[nodiscard]] std::int64_t requests() const;
};

/// Reads `{shared_prefix: {...}, stages: [{rate, duration}, ...]}`, keys as the tool's config has them below
/// `data` and `load`.
[[nodiscard]] InferencePerfSpec read_inference_perf(Config& config);

/// "inference-perf: 45 prompts of 100 + 447 tokens, 248 generated; 600 s at 2.5/s, 600 s at 6/s"
[[nodiscard]] std::string describe(const InferencePerfSpec& spec);

/// Gaps within a stage are exponential, scaled so that they fill the stage exactly (the tool's
/// ConstantLoadTimer).
[[nodiscard]] std::unique_ptr<WorkloadSource> make_inference_perf(const InferencePerfSpec& spec,
                                                                  std::uint64_t seed);

/// When each stage begins and ends.
[[nodiscard]] std::vector<StageWindow> stage_windows(const InferencePerfSpec& spec);

}  // namespace kvcast
