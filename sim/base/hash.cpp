#include "sim/base/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "sim/base/error.h"

namespace kvcast {
namespace {

std::string as_hex(std::uint64_t hash) { return fmt::format("{:016x}", hash); }

}  // namespace

std::uint64_t hash64(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string content_hash(std::string_view bytes) { return as_hex(hash64(bytes)); }

std::string file_hash(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (file == nullptr) {
    throw InputError(path + ": cannot be opened: " + std::strerror(errno), ExitCode::bad_data);
  }
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                              &XXH3_freeState);
  KVCAST_CHECK(state != nullptr);
  KVCAST_CHECK(XXH3_64bits_reset(state.get()) == XXH_OK);
  std::vector<char> buffer(std::size_t{1} << 18);
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    KVCAST_CHECK(XXH3_64bits_update(state.get(), buffer.data(), got) == XXH_OK);
  }
  if (std::ferror(file.get()) != 0) {
    throw InputError(path + ": cannot be read: " + std::strerror(errno), ExitCode::bad_data);
  }
  return as_hex(XXH3_64bits_digest(state.get()));
}

}  // namespace kvcast
