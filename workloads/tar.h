/// Files inside a tar archive (POSIX.1-1988 ustar and its GNU form), read once, forwards.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "workloads/bytes.h"

namespace kvcast {

/// Largest file that is read out of an archive.
inline constexpr std::size_t kTarFileBytesMax = std::size_t{256} << 20;

/// First bytes that is_tar() needs.
inline constexpr std::size_t kTarHeadBytes = 512;

/// Whether the bytes begin with a tar header.
[[nodiscard]] bool is_tar(std::string_view head);

/// The name of the first file of an archive, given its first bytes.
[[nodiscard]] std::string_view first_tar_name(std::string_view head);

/// Calls visit(name, content) for each regular file, in the archive's order.
/// \throws InputError (bad_data) if the archive is damaged or a file is larger than kTarFileBytesMax
void read_tar(const TraceFile& archive,
              const std::function<void(const std::string& name, std::string content)>& visit);

}  // namespace kvcast
