// Any bytes as a trace: BurstGPT CSV.
#include "tests/fuzz/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvcast::fuzz::run("burstgpt", data, size);
  return 0;
}
