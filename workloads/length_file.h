/// Pairs of input and output lengths without arrivals: what synthetic workloads draw from.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "workloads/bytes.h"

namespace kvcast {

/// Lengths in the order of the file. `outputs` is empty where the file has no such column, else as long as
/// `inputs`.
struct LengthSamples {
  std::vector<std::int32_t> inputs;
  std::vector<std::int32_t> outputs;
};

/// Most rows that are kept (8 bytes each).
inline constexpr std::size_t kLengthRowsMax = std::size_t{1} << 26;

/// Whether a CSV header has one of the known pairs: num_prefill_tokens,num_decode_tokens (Vidur) or
/// input_length[,output_length] (MLPerf data set summaries).
[[nodiscard]] bool is_length_file(std::string_view head);

/// Reads a length file. Zeros count as 1.
/// \throws InputError (bad_data) for any other file, an empty one, or more than kLengthRowsMax rows
[[nodiscard]] LengthSamples read_lengths(const TraceFile& file);

}  // namespace kvcast
