// Config: any bytes as a scenario file (and, from the first line, as a --set argument), read by every kind of
// read.
#include "sim/base/config.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "sim/base/error.h"

namespace {

using kvcast::Config;
using kvcast::InputError;

/// Runs one read; a refusal is as good as a value, but its message must say something.
template <class Read>
void attempt(const Read& read) {
  try {
    read();
  } catch (const InputError& error) {
    KVCAST_CHECK(!std::string_view(error.what()).empty());
  }
}

void read_all(Config& config, int depth) {
  constexpr double kRealMax = std::numeric_limits<double>::max();
  constexpr std::int64_t kIntMax = std::numeric_limits<std::int64_t>::max();
  for (const std::string& key : config.keys()) {
    KVCAST_CHECK(config.has(key));
    KVCAST_CHECK(!config.where(key).empty());
    if (config.is_mapping(key)) {
      Config child = config.child(key);
      if (depth < 8) read_all(child, depth + 1);
      continue;
    }
    if (config.is_sequence(key)) {
      attempt([&] { static_cast<void>(config.get_reals(key, {-kRealMax, kRealMax})); });
      attempt([&] { static_cast<void>(config.get_strings(key)); });
      continue;
    }
    attempt([&] { static_cast<void>(config.get_int(key, {-5, 5})); });
    attempt([&] { static_cast<void>(config.get_int(key, {0, kIntMax})); });
    attempt([&] { static_cast<void>(config.get_real(key, {-1, 1})); });
    attempt([&] { static_cast<void>(config.get_bool(key, false)); });
    attempt([&] { static_cast<void>(config.get_choice(key, {"auto", "fp8"}, "auto")); });
    attempt([&] { static_cast<void>(config.get_string(key)); });
  }
}

/// A dump without the origins, which name another file when it is read back.
std::string values_of(const std::string& dump) {
  std::string values;
  for (std::size_t begin = 0; begin < dump.size();) {
    const std::size_t end = dump.find('\n', begin);
    const std::string line = dump.substr(begin, end - begin);
    values += line.substr(0, line.rfind("  # ")) + "\n";
    begin = end + 1;
  }
  return values;
}

/// What the dump says of the values in force must read back as the same values.
void dump_reads_back(const Config& config) {
  const std::string dump = config.dump();
  Config again = Config::from_text(dump, "dump");
  read_all(again, 0);
  KVCAST_CHECK(values_of(again.dump()) == values_of(dump));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  attempt([&] {
    Config config = Config::from_text(text, "fuzz.yaml");
    read_all(config, 0);
    attempt([&] { config.finish(); });
    dump_reads_back(config);
  });
  attempt([&] {
    const std::size_t line = text.find('\n');
    const std::size_t equals = text.find('=');
    if (equals >= line) return;
    Config config = Config::from_text(line == std::string::npos ? "" : text.substr(line + 1), "fuzz.yaml");
    config.set(text.substr(0, equals), text.substr(equals + 1, line - equals - 1));
    read_all(config, 0);
    attempt([&] { config.finish(); });
  });
  return 0;
}
