/// Random deployments and workloads for the laws: every catalogue entry, sizes that press on the pool and
/// sizes that do not.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/rng.h"
#include "sim/cluster/cluster.h"

namespace kvcast::test {

/// Piecewise affine in the decode context and monotone, with odd coefficients, so that no rounding hides:
/// base + a * tokens + b * context, and from `knee` tokens of decode context on a steeper line.
class KneeTimer final : public StepTimer {
 public:
  KneeTimer(std::int64_t base, std::int64_t per_token, std::int64_t per_context, std::int64_t knee,
            std::int64_t per_reach = 0)
      : base_(base), per_token_(per_token), per_context_(per_context), knee_(knee), per_reach_(per_reach) {}
  [[nodiscard]] StepCost step(const StepShape& shape) const override;
  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override;
  [[nodiscard]] DecodeLine decode_within(std::int64_t seqs, std::int64_t context,
                                         std::int64_t reach) const override;

 private:
  std::int64_t base_, per_token_, per_context_, knee_, per_reach_;  // fine units
};

struct RandomRun {
  std::string text;  // what it is, for messages
  ClusterSetup setup;
  std::unique_ptr<StepTimer> timer;
  SourceMaker source;
  std::vector<Request> requests;
  bool closed_loop = false;
  bool waits_at_router = false;
};

struct Choice {
  std::string scheduler;  // empty: any
  std::string allocator;
  bool several_answers = true;  // some runs have requests with n or beam_width above 1
};

/// How many answers a request asks for (n, beam_width).
[[nodiscard]] std::int64_t answers_of(const Request& request);

/// Everything follows from the seed.
[[nodiscard]] RandomRun random_run(std::uint64_t seed, const Choice& choice = {});

/// Keeps all rows and steps.
class Watcher final : public RequestObserver, public StepObserver {
 public:
  void on_request(const RequestRow& row) override {
    RequestRow kept = row;
    kept.details = nullptr;
    rows[to_number(row.id)] = kept;
    ++reports[to_number(row.id)];
  }
  void on_step(const StepRecord& step) override { steps.push_back(step); }
  std::map<std::uint64_t, RequestRow> rows;
  std::map<std::uint64_t, int> reports;
  std::vector<StepRecord> steps;
};

/// Every number of a record as text; two equal records have equal texts.
[[nodiscard]] std::string text_of(const RunRecord& record);
[[nodiscard]] std::string text_of(const RequestRow& row);

/// How many random runs a law makes: $KVCAST_LAW_RUNS, or the given default.
[[nodiscard]] int law_runs(int otherwise);
/// How many times as long the laws are that judge a mean over one long run: $KVCAST_LAW_LENGTH, or 1.
[[nodiscard]] int law_length();
/// The first seed: $KVCAST_LAW_SEED, or 1.
[[nodiscard]] std::uint64_t law_seed();

}  // namespace kvcast::test
