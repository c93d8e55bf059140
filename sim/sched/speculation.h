/// How drafts fare: the only thing that a simulated engine must be told about speculative decoding.
#pragma once

#include <cstdint>

#include "sim/base/speculation_totals.h"
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
  /// Most drafts that the drafter is asked for behind a step.
  /// \param running sequences inside the engine
  /// \param length of the sequence, see length_after()
  [[nodiscard]] virtual std::int64_t asked(std::int64_t /*running*/, std::int64_t /*length*/) const {
    return tokens_max();
  }
  /// How many drafts to ask for next, of a sequence that verified `drafts` of which `accepted` fared well; at
  /// first it is tokens_max().
  [[nodiscard]] virtual std::int64_t length_after(std::int64_t length, std::int64_t /*drafts*/,
                                                  std::int64_t /*accepted*/) const {
    return length;
  }
  /// Drafts proposed after a step's output, `outputs` counted with it; at most asked() are taken.
  [[nodiscard]] virtual std::int64_t proposed(RequestId id, std::int64_t outputs) const = 0;
  /// True: a drafter that runs with the target (EAGLE, MTP) and needs KV slots ahead.
  [[nodiscard]] virtual bool needs_lookahead() const = 0;
};

}  // namespace kvcast
