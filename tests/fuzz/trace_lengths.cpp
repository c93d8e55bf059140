// Any bytes as a CSV of lengths without arrivals.
#include "tests/fuzz/trace.h"
#include "workloads/length_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const kvcast::LengthSamples samples =
        kvcast::read_lengths(kvcast::file_in_memory("t", std::string(data, data + size)));
    KVCAST_CHECK(!samples.inputs.empty());
    KVCAST_CHECK(samples.outputs.empty() || samples.outputs.size() == samples.inputs.size());
  } catch (const kvcast::InputError& error) {
    KVCAST_CHECK(!std::string_view(error.what()).empty());
  }
  return 0;
}
