// Any bytes as a trace: Vidur CSV.
#include "tests/fuzz/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvcast::fuzz::run("vidur", data, size);
  return 0;
}
