#include "sim/app/options.h"

#include <fmt/format.h>

#include <charconv>

#include "sim/base/error.h"
#include "sim/base/text.h"

namespace kvcast {

std::int64_t parse_integer(const std::string& option, const std::string& text, std::int64_t min,
                           std::int64_t max) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc{} || parsed.ptr != end || value < min || value > max) {
    throw InputError(fmt::format("{}: {} is given, an integer from {} to {} is needed", option,
                                 kvcast::quoted(text), min, max));
  }
  return value;
}

ProgressMode parse_progress(const std::string& text) {
  if (text == "auto") return ProgressMode::automatic;
  if (text == "on") return ProgressMode::on;
  if (text == "off") return ProgressMode::off;
  throw InputError("--progress: unknown value " + kvcast::quoted(text) +
                   known_names(text, {"auto", "on", "off"}));
}

std::vector<Setting> parse_settings(const std::vector<std::string>& texts) {
  std::vector<Setting> settings;
  settings.reserve(texts.size());
  for (const std::string& text : texts) settings.push_back(parse_setting(text));
  return settings;
}

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace kvcast
