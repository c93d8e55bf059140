/// One engine step as a picture of the schedule needs it.
#pragma once

#include <cstdint>

#include "sim/base/units.h"

namespace kvcast {

struct StepSpan {
  std::int64_t index = 0;          // of the replica's steps
  Duration begin{};                // on the device, from the run's first arrival
  Duration time{};                 // that the device was busy with it
  std::int64_t prompt_tokens = 0;  // of prompts, in `prompts` chunks
  std::int64_t prompts = 0;
  std::int64_t decodes = 0;  // sequences with one token each
  std::int64_t running = 0;  // after scheduling
  std::int64_t waiting = 0;
  std::int64_t preempted = 0;  // sequences that gave way in this step
  std::int64_t finished = 0;   // requests that ended with its output
};

}  // namespace kvcast
