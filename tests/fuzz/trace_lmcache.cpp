// Any bytes as a trace: LMCache JSON lines.
#include "tests/fuzz/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvcast::fuzz::run("lmcache", data, size);
  return 0;
}
