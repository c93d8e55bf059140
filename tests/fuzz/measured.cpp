// Any bytes as a result file of a load generator: a file or an InputError, and no number that is not finite.
#include <cmath>
#include <cstdint>
#include <string>

#include "measured/measured.h"
#include "sim/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const kvcast::MeasuredFile file =
        kvcast::read_measured(kvcast::file_in_memory("stage_1_f", std::string(data, data + size)));
    KVCAST_CHECK(!file.loads.empty());
    for (const kvcast::MeasuredLoad& load : file.loads) {
      KVCAST_CHECK(!load.values.empty());
      for (const kvcast::MeasuredValue& value : load.values) KVCAST_CHECK(std::isfinite(value.value));
    }
  } catch (const kvcast::InputError&) {
  }
  return 0;
}
