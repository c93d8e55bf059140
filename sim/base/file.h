/// Whole files in and out of memory, with errors that name the file.
#pragma once

#include <cstddef>
#include <string>

#include "sim/base/error.h"

namespace kvcast {

/// The file's bytes. Reads no more than `bytes_max` + 1, so that an endless device cannot fill the memory.
/// \throws InputError with `code` if it cannot be opened or read, is a directory, or is larger than bytes_max
[[nodiscard]] std::string read_file(const std::string& path, std::size_t bytes_max, ExitCode code);

}  // namespace kvcast
