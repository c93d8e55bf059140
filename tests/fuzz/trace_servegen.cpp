// Any bytes as ServeGen's client statistics: up to the first NUL the rates of a client, after it its length
// distributions.
#include "tests/fuzz/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using kvcast::file_in_memory;
  const std::string bytes(data, data + size);
  const std::size_t cut = std::min(bytes.find('\0'), bytes.size());
  const std::string lengths = cut < bytes.size() ? bytes.substr(cut + 1) : "";
  kvcast::fuzz::run("servegen", {file_in_memory("chunk-0-trace.csv", bytes.substr(0, cut)),
                                 file_in_memory("chunk-0-dataset.json", lengths)});
  return 0;
}
