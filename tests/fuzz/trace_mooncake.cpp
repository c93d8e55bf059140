// Any bytes as a trace: Mooncake JSON lines.
#include "tests/fuzz/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvcast::fuzz::run("mooncake", data, size);
  return 0;
}
