// Any bytes as a table of runs: the part before the first zero byte is the CSV, the rest the JSON of its
// workloads.
#include <cstdint>
#include <string>

#include "measured/run_table.h"
#include "sim/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(data, data + size);
  const std::size_t zero = bytes.find('\0');
  const std::string table = bytes.substr(0, zero);
  const std::string workloads = zero == std::string::npos ? "[]" : bytes.substr(zero + 1);
  try {
    const auto runs =
        kvcast::read_run_table(kvcast::file_in_memory("t", table), kvcast::file_in_memory("w", workloads));
    KVCAST_CHECK(!runs.empty());
    for (const kvcast::TableRun& run : runs) KVCAST_CHECK(!run.loads.empty());
  } catch (const kvcast::InputError&) {
  }
  return 0;
}
