// Acceptance of drafts: any bytes as a /metrics scrape or as counts.
#include <cstddef>
#include <cstdint>
#include <string>

#include "hwmodels/acceptance_file.h"
#include "sim/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::vector<double> rates = kvcast::parse_acceptance(std::string(data, data + size), "fuzz");
    KVCAST_CHECK(!rates.empty());
    for (const double rate : rates) KVCAST_CHECK(rate >= 0 && rate <= 1);
  } catch (const kvcast::InputError& error) {
    KVCAST_CHECK(*error.what() != '\0');
  }
  return 0;
}
