#include "workloads/length_file.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "workloads/csv.h"

namespace kvcast {
namespace {

struct LengthColumns {
  std::string input;
  std::string output;
};

/// The input column must be there, the output column may be.
std::optional<LengthColumns> columns_of(std::string_view head) {
  const std::array<LengthColumns, 2> known = {
      {{"num_prefill_tokens", "num_decode_tokens"}, {"input_length", "output_length"}}};
  const auto header = csv_header(head);
  const auto has = [&](const std::string& name) {
    return std::find(header.begin(), header.end(), name) != header.end();
  };
  for (const LengthColumns& columns : known) {
    if (has(columns.input)) return LengthColumns{columns.input, has(columns.output) ? columns.output : ""};
  }
  return std::nullopt;
}

std::int32_t at_least_one(std::int64_t tokens) {
  return static_cast<std::int32_t>(std::max<std::int64_t>(tokens, 1));
}

}  // namespace

bool is_length_file(std::string_view head) { return columns_of(head).has_value(); }

LengthSamples read_lengths(const TraceFile& file) {
  const auto columns = columns_of(head_of(file, std::size_t{4} << 10));
  if (!columns) {
    bad_trace(
        file.name, 1, 1,
        "a CSV header with num_prefill_tokens,num_decode_tokens or input_length[,output_length] is needed");
  }
  std::vector<std::string> names = {columns->input};
  if (!columns->output.empty()) names.push_back(columns->output);
  CsvReader csv(file, names);
  LengthSamples samples;
  while (csv.next()) {
    if (samples.inputs.size() == kLengthRowsMax)
      csv.fail(0, "more rows than the " + std::to_string(kLengthRowsMax) + " that are kept");
    samples.inputs.push_back(at_least_one(csv.tokens(0)));
    if (names.size() == 2) samples.outputs.push_back(at_least_one(csv.tokens(1)));
  }
  if (samples.inputs.empty())
    bad_trace(file.name, 1, 1, "a header and no rows: at least one length is needed");
  return samples;
}

}  // namespace kvcast
