// Any bytes as the result log of a sweep, and each of its lines as a record with a right checksum: results
// that read back as they are written, a torn end, or an InputError.
#include <cstddef>
#include <cstdint>
#include <string>

#include "sim/app/sweep_manifest.h"
#include "sim/base/error.h"
#include "sim/plan/sweep_log.h"

namespace {

void read_record(std::string_view payload) {
  try {
    const kvcast::SweepResult result = kvcast::parse_result(payload, "log", 2);
    const std::string written = kvcast::to_json(result);
    KVCAST_CHECK(kvcast::to_json(kvcast::parse_result(written, "log", 2)) == written);
  } catch (const kvcast::InputError& error) {
    KVCAST_CHECK(!std::string(error.what()).empty());
  }
  try {
    static_cast<void>(kvcast::parse_log_header(payload, "log"));
  } catch (const kvcast::InputError& error) {
    KVCAST_CHECK(!std::string(error.what()).empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(data, data + size);
  try {
    const kvcast::ScannedLog log = kvcast::scan_log(bytes, "log");
    KVCAST_CHECK(log.good_bytes <= bytes.size());
    for (const std::string_view payload : log.payloads) read_record(payload);
  } catch (const kvcast::InputError& error) {
    KVCAST_CHECK(error.code() == kvcast::ExitCode::bad_data);
  }
  // Random bytes never have a right checksum: give them one.
  const std::string payload = bytes.substr(0, bytes.find('\n'));
  const std::string line = kvcast::log_line(payload);
  const std::string torn = line + bytes.substr(payload.size());
  try {
    const kvcast::ScannedLog log = kvcast::scan_log(torn, "log");
    KVCAST_CHECK(!log.payloads.empty() || payload.empty());
  } catch (const kvcast::InputError& error) {
    KVCAST_CHECK(error.code() == kvcast::ExitCode::bad_data);
  }
  read_record(payload);
  return 0;
}
