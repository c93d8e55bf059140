/// How drafts fare: the only thing that a simulated engine must be told about speculative decoding.
#pragma once

#include <cstdint>

#include "sim/base/units.h"

namespace kvcast {

/// Contract: pure. Answers depend on the arguments alone, so that policies never shift them.
class Speculation {
 public:
  virtual ~Speculation() = default;
  /// Most drafts a step.
  [[nodiscard]] virtual std::int64_t tokens_max() const = 0;
  /// Of `drafts` scheduled drafts, how many the target accepts.
  /// \param outputs tokens that the request has just before the step's output is added
  [[nodiscard]] virtual std::int64_t accepted(RequestId id, std::int64_t outputs,
                                              std::int64_t drafts) const = 0;
  /// Drafts proposed after a step's output, `outputs` counted with it.
  [[nodiscard]] virtual std::int64_t proposed(RequestId id, std::int64_t outputs) const = 0;
  /// True: a drafter that runs with the target (EAGLE, MTP) and needs KV slots ahead.
  [[nodiscard]] virtual bool needs_lookahead() const = 0;
};

}  // namespace kvcast
