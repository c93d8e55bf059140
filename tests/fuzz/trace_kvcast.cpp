// Any bytes as kvcast's own requests. What was read is written and read again, and then written to the same
// bytes.
#include "tests/fuzz/trace.h"

namespace {

std::string written(const kvcast::WorkloadFactory& make) {
  std::ostringstream out;
  static_cast<void>(kvcast::write_requests(*make(), out));
  return out.str();
}

kvcast::WorkloadFactory read(std::string text) {
  return kvcast::fuzz::make_trace("kvcast", {kvcast::file_in_memory("t", std::move(text))}, "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvcast::fuzz::run("kvcast", data, size);
  std::string once;
  try {
    once = written(read(std::string(data, data + size)));
  } catch (const kvcast::InputError&) {
    return 0;
  }
  KVCAST_CHECK(written(read(once)) == once);
  return 0;
}
