/// Options that several commands share, and their values' checks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "reports/progress.h"
#include "sim/app/scenario.h"

namespace kvcast {

/// \throws InputError "--seed: ..." unless `text` is a plain decimal integer of [min, max]
[[nodiscard]] std::int64_t parse_integer(const std::string& option, const std::string& text, std::int64_t min,
                                         std::int64_t max);

/// \throws InputError naming auto, on and off
[[nodiscard]] ProgressMode parse_progress(const std::string& text);

[[nodiscard]] std::vector<Setting> parse_settings(const std::vector<std::string>& texts);

/// "a, b, c"
[[nodiscard]] std::string joined(const std::vector<std::string>& names);

}  // namespace kvcast
