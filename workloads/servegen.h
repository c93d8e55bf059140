/// ServeGen's client statistics in memory. Internal to servegen.cpp and servegen_read.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/bytes.h"

namespace kvcast {

/// A distribution of token counts as cumulative weights.
struct TokenCdf {
  std::vector<std::int32_t> tokens;  // rising
  std::vector<double> cumulative;    // of tokens up to this one; the last is the total

  /// The smallest count whose share reaches u of [0, 1); at least 1.
  [[nodiscard]] std::int64_t at(double u) const;
};

struct ServegenLengths {
  std::int64_t start_ns = 0;
  TokenCdf input;
  TokenCdf output;
};

struct ServegenWindow {
  enum class Pattern { gamma, weibull };
  std::int64_t start_ns = 0;
  double length_s = 0;
  double rate = 0;  // requests/s; 0: none
  Pattern pattern = Pattern::gamma;
  double shape = 1;
  std::size_t lengths = 0;  // index of the distributions in force
};

struct ServegenClient {
  std::string name;  // the N of chunk-N
  std::vector<ServegenWindow> windows;
  std::vector<ServegenLengths> lengths;
};

/// Whether a file is an archive of chunk-N-... files or one of the latter's JSON files.
[[nodiscard]] bool is_servegen(std::string_view head);

/// \param files an archive with the rates (and perhaps the lengths), or the files of a folder
/// \param lengths_path an archive with the lengths; "": beside the rates, or the archive named
/// ..._length_pdf_json... for ..._rate_csv... \returns clients in order of their numbers \throws InputError
/// (bad_data)
[[nodiscard]] std::vector<ServegenClient> read_servegen(
    const std::vector<TraceFile>& files, const std::string& lengths_path,
    const std::function<TraceFile(const std::string&)>& open_beside);

}  // namespace kvcast
