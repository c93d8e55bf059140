/// What one run did to each request, in order of their numbers: the raw material of paired comparisons and
/// intervals.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "sim/metrics/record.h"

namespace kvcast {

/// One request of a run. A latency that was not measured (failed requests; TPOT of a single token) is kNone.
struct RequestOutcome {
  static constexpr std::int64_t kNone = -1;
  std::int64_t ttft_ns = kNone;
  std::int64_t tpot_ns = kNone;
  std::int64_t e2el_ns = kNone;
  std::int64_t queue_ns = kNone;
  std::int64_t decode_ns = 0;  // last token - first token
  std::int64_t arrival_ns = 0;
  std::int64_t last_token_ns = 0;  // 0: none
  std::int64_t input = 0;          // tokens, of completed requests only
  std::int64_t output = 0;
  bool completed = false;
  bool good = false;  // completed within every SLO term
};

/// Contract: keeps one RequestOutcome for each request that was reported, at the index of its number.
class OutcomeRecorder final : public RequestObserver {
 public:
  explicit OutcomeRecorder(const SloLimits& slo) : slo_(slo) {}
  void on_request(const RequestRow& row) override;
  [[nodiscard]] std::vector<RequestOutcome> take() { return std::move(outcomes_); }

 private:
  SloLimits slo_;
  std::vector<RequestOutcome> outcomes_;
};

}  // namespace kvcast
