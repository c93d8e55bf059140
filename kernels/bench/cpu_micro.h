/// What the machine itself can do, on the CPU backend: starting work, and moving bytes from caches and
/// memory.
#pragma once

#include <memory>
#include <vector>

#include "kernels/bench/device.h"
#include "kernels/cpu/threads.h"

namespace kvcast::bench {

/// \param what of op "launch" or "memory"
[[nodiscard]] std::unique_ptr<Job> make_cpu_micro_job(const Case& what, std::uint64_t seed,
                                                      cpu::Threads& threads);

[[nodiscard]] std::vector<Case> cpu_micro_cases(Suite suite);

}  // namespace kvcast::bench
