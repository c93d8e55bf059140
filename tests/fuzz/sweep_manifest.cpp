// Any bytes as the manifest of a sweep: a manifest that reads back as it is written, or an InputError.
#include <cstddef>
#include <cstdint>
#include <string>

#include "sim/app/sweep_manifest.h"
#include "sim/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  try {
    const kvcast::SweepManifest manifest = kvcast::parse_manifest(text, "m");
    KVCAST_CHECK(!manifest.points.empty());
    const std::string written = kvcast::to_json(manifest);
    KVCAST_CHECK(kvcast::to_json(kvcast::parse_manifest(written, "m")) == written);
  } catch (const kvcast::InputError& error) {
    KVCAST_CHECK(!std::string(error.what()).empty());
  }
  return 0;
}
