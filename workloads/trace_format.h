/// The catalogue of public trace formats: each is one .cpp that knows its own columns or keys.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/catalog.h"
#include "sim/base/config.h"
#include "workloads/bytes.h"
#include "workloads/source.h"

namespace kvcast {

using WorkloadFactory = std::function<std::unique_ptr<WorkloadSource>()>;

/// What a format gets to make its sources.
struct TraceInput {
  std::vector<TraceFile> files;  // one, or the files of a folder in order of name
  Config& options;               // the `trace:` mapping: a format reads its own keys
  std::uint64_t seed = 0;        // of what the format has to draw (ServeGen, session starts)
  std::function<TraceFile(const std::string& path)> open_beside;  // another input named by an option
  std::vector<std::string>& assumptions;
};

struct TraceFormat {
  /// Whether the first bytes of a file are this format's.
  bool (*recognises)(std::string_view head);
  /// Reads the options, checks what can be checked without reading the whole file.
  WorkloadFactory (*make)(TraceInput& input);
  bool takes_folder = false;  // also a folder of files
  std::string credit;         // whose data files of this format usually are
};

/// How many first bytes detection looks at.
inline constexpr std::size_t kHeadBytes = std::size_t{16} << 10;

/// All formats, in the order of detection.
[[nodiscard]] const Catalog<TraceFormat>& trace_formats();

/// The format whose content this is.
/// \throws InputError (bad_data) that names the known formats, and what the file is where that is known
[[nodiscard]] const CatalogEntry<TraceFormat>& detect_format(const TraceFile& file);

[[nodiscard]] TraceFormat azure_format();
[[nodiscard]] TraceFormat burstgpt_format();
[[nodiscard]] TraceFormat vidur_format();
[[nodiscard]] TraceFormat mooncake_format();
[[nodiscard]] TraceFormat weka_format();
[[nodiscard]] TraceFormat lmcache_format();
[[nodiscard]] TraceFormat llmservingsim_format();
[[nodiscard]] TraceFormat servegen_format();
[[nodiscard]] TraceFormat engine_log_format();
[[nodiscard]] TraceFormat kvcast_format();

}  // namespace kvcast
