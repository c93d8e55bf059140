// The record reader: any bytes as a benchmark's output; what it accepts must be written and read again the
// same.
#include "hwmodels/measurement_record.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
  if (size_bytes > 65536) return 0;  // longer files only take longer
  const std::string text(data, data + size_bytes);
  std::vector<kvcast::MeasurementRecord> records;
  try {
    records = kvcast::parse_measurement_records(text, "fuzz.jsonl");
  } catch (const kvcast::InputError& error) {
    KVCAST_CHECK(std::string_view(error.what()).starts_with("fuzz.jsonl:"));
    return 0;
  }
  for (const kvcast::MeasurementRecord& record : records) {
    KVCAST_CHECK(record.ns.n > 0);
    KVCAST_CHECK(record.ns.median > 0);
    const std::string line = kvcast::format_measurement_record(record);
    const std::vector<kvcast::MeasurementRecord> again =
        kvcast::parse_measurement_records(line, "again.jsonl");
    KVCAST_CHECK(again.size() == 1);
    KVCAST_CHECK(again.front().key() == record.key());
    KVCAST_CHECK(kvcast::format_measurement_record(again.front()) == line);
  }
  return 0;
}
