/// Reads engine.speculative, and builds what it asks for.
#pragma once

#include <memory>
#include <string>

#include "sim/app/scenario.h"
#include "sim/metrics/speculation_facts.h"

namespace kvcast {

/// engine.speculative, or vLLM's name engine.speculative_config. \throws InputError at the offending key
void read_speculation(Config& engine, const std::string& folder, ReadFor use, Deployment& deployment);

/// Refuses what speculation cannot have beside it. \throws InputError at the offending key
void check_speculation(const Config& engine, const Scenario& scenario);

/// The timer with what drafting adds to each step; as it is without speculation.
[[nodiscard]] std::unique_ptr<StepTimer> with_drafting(const Deployment& deployment,
                                                       std::unique_ptr<StepTimer> timer);

/// What the simulated speculation simplifies, one sentence each.
[[nodiscard]] std::vector<std::string> speculation_assumptions(const Deployment& deployment);

/// What speculation does for sequences of so many tokens. \param timer of with_drafting()
[[nodiscard]] SpeculationFacts speculation_facts(const SpeculationPlan& plan, const StepTimer& timer,
                                                 std::int64_t context, std::int64_t max_num_seqs);

}  // namespace kvcast
