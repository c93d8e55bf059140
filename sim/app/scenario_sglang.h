/// SGLang's side of a scenario: its argument names, the defaults that it takes from the machine, and its
/// engine.
#pragma once

#include <string>

#include "sim/app/scenario.h"

namespace kvcast {

/// The key under which a scenario of SGLang gives one value: SGLang's own argument, or the common (vLLM's)
/// name where the scenario uses that. \throws InputError where both are there
[[nodiscard]] const char* sglang_key(const Config& engine, const char* own, const char* common);

/// mem_fraction_static, chunks, max_running_requests, radix cache and overlap loop, as given or as SGLang
/// derives them from the GPU. Reads what decides memory; deployment.model, profile and tensor parallelism are
/// set.
void read_sglang_sizes(Config& engine, const GpuSpec& gpu, Deployment& deployment);

/// The rest, once the pool is sized: fills scenario.sglang, scenario.policy and scenario.engine (all but the
/// pool).
void read_sglang_engine(Config& engine, Scenario& scenario);

/// What the reports say of the engine. \param page tokens
[[nodiscard]] std::string describe_sglang(const Scenario& scenario, std::int64_t page);

}  // namespace kvcast
