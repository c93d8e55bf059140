// Calibrations and the tables that they come from: any bytes give a model or a refusal; what is accepted can
// be asked and written.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "hwmodels/kernel_tables.h"
#include "hwmodels/layer_profile.h"
#include "sim/base/error.h"

namespace {

using kvcast::InputError;

template <class Use>
void attempt(const Use& use) {
  try {
    use();
  } catch (const InputError& error) {
    KVCAST_CHECK(!std::string_view(error.what()).empty());
  }
}

/// The text as a table: its first line as the header.
template <class Tables, class Begin>
void feed(const std::string& text, Tables& tables, const Begin& begin) {
  std::int64_t line = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view row(text.data() + at, end - at);
    if (++line == 1) {
      begin(row);
    } else {
      tables.row(row, line);
    }
    at = end + 1;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 65536) return 0;  // longer files only take longer
  const std::string text(data, data + size);
  attempt([&] {
    const kvcast::CalibrationFile file = kvcast::parse_calibration(text, "fuzz.jsonl");
    attempt([&] {
      const kvcast::KernelModel model(file);
      for (const kvcast::KernelFit& fit : model.fits()) {
        KVCAST_CHECK(!kvcast::format_kernel_fit(fit, "{}").empty());
        const std::vector<double> at(fit.key.form->coordinates.size(), 3);
        (void)kvcast::kernel_time(fit, at, true);
      }
    });
    attempt([&] {
      for (const kvcast::LayerProfile& profile : kvcast::parse_layer_profiles(file)) {
        (void)profile.decode.at(3, 1000);
        KVCAST_CHECK(!kvcast::format_layer_profile(profile).empty());
      }
    });
  });
  attempt([&] {
    kvcast::KernelTables tables(132);
    feed(text, tables, [&](std::string_view header) { tables.begin("fuzz.csv", header); });
  });
  for (const char* table : {"dense", "per_sequence", "attention", "skew"}) {
    attempt([&] {
      kvcast::LayerTables tables("fuzz", 1);
      feed(text, tables, [&](std::string_view header) { tables.begin("fuzz.csv", table, header); });
      (void)tables.finish();
    });
  }
  return 0;
}
