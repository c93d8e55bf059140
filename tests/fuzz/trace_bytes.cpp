// Any bytes as a file that may be compressed, an archive, or a trace of the format that its content says.
#include "tests/fuzz/trace.h"
#include "workloads/tar.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const kvcast::TraceFile file = kvcast::file_in_memory("t", std::string(data, data + size));
  try {
    static_cast<void>(kvcast::content_of(file, std::size_t{16} << 20));
    kvcast::read_tar(file, [](const std::string&, const std::string&) {});
  } catch (const kvcast::InputError&) {
  }
  try {
    kvcast::fuzz::run(kvcast::detect_format(file).name, {file});
  } catch (const kvcast::InputError& error) {
    KVCAST_CHECK(!std::string_view(error.what()).empty());
  }
  return 0;
}
