// Any bytes as a Parquet file: rows with a cell for each column within small limits, or an InputError.
#include "hwmodels/parquet.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "sim/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvcast::ParquetLimits limits;
  limits.page_bytes_max = std::size_t{1} << 20;
  limits.cells_max = std::size_t{1} << 16;
  limits.text_bytes_max = std::size_t{1} << 22;
  try {
    const kvcast::ParquetTable table("t", std::string(data, data + size), limits);
    std::int64_t last = 0;
    table.each([&](const auto& cells, std::int64_t number) {
      KVCAST_CHECK(cells.size() == table.columns().size());
      KVCAST_CHECK(number == ++last);
      return number < 100'000;
    });
  } catch (const kvcast::InputError& error) {
    KVCAST_CHECK(!std::string(error.what()).empty());
  }
  return 0;
}
