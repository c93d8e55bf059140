// Any bytes as a trace: agent sessions, replayed at their recorded times and as a closed loop.
#include "tests/fuzz/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvcast::fuzz::run("weka", data, size);
  kvcast::fuzz::run("weka", data, size, "replay: closed");
  return 0;
}
