// Any bytes as a trace: LLMServingSim JSON lines.
#include "tests/fuzz/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvcast::fuzz::run("llmservingsim", data, size);
  return 0;
}
