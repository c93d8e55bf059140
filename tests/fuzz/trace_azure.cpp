// Any bytes as a trace: Azure CSV.
#include "tests/fuzz/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvcast::fuzz::run("azure", data, size);
  return 0;
}
