/// One reader for each tool. Internal to the folder.
#pragma once

#include <vector>

#include "hwmodels/json_document.h"
#include "measured/measured.h"

namespace kvcast {

/// A result document: one JSON value of a file (a line of JSON lines is one too).
struct ResultDocument {
  const JsonValue* root = nullptr;
  std::string file;
};

/// A number below `object`, if it is there and not null. Text that is a number ("inf" too) counts.
/// \throws InputError (bad_data) at a value that is no finite number (infinity only where `infinite`)
[[nodiscard]] std::optional<double> number_of(const JsonValue& object, std::string_view key,
                                              const std::string& file, bool infinite = false);
/// The same for a count of [0, 2^40].
[[nodiscard]] std::optional<std::int64_t> count_of(const JsonValue& object, std::string_view key,
                                                   const std::string& file);
[[nodiscard]] std::string text_of(const JsonValue& object, std::string_view key);
/// \throws InputError (bad_data) "file:line:column: what"
[[noreturn]] void fail_at(const JsonValue& value, const std::string& file, const std::string& what);

/// Adds a value where it was measured. \param scale from the file's unit to milliseconds or 1/s
void add_value(MeasuredLoad& load, std::string_view metric, std::string_view statistic,
               std::optional<double> value, double scale = 1);

/// The median of numbers in any order and the other statistics of single requests' latencies (numpy's
/// percentiles). \param values_ms not empty
void add_statistics(MeasuredLoad& load, std::string_view metric, std::vector<double> values_ms);

[[nodiscard]] bool is_vllm_bench(const JsonValue& root);
[[nodiscard]] MeasuredLoad read_vllm_bench(const ResultDocument& document);
[[nodiscard]] bool is_sglang_bench(const JsonValue& root);
[[nodiscard]] MeasuredLoad read_sglang_bench(const ResultDocument& document);
[[nodiscard]] bool is_guidellm(const JsonValue& root);
[[nodiscard]] std::vector<MeasuredLoad> read_guidellm(const ResultDocument& document);
[[nodiscard]] bool is_aiperf(const JsonValue& root);
[[nodiscard]] MeasuredLoad read_aiperf(const ResultDocument& document);
[[nodiscard]] bool is_aiperf_record(const JsonValue& root);
[[nodiscard]] MeasuredLoad read_aiperf_records(const std::vector<ResultDocument>& lines);
[[nodiscard]] bool is_inference_perf(const JsonValue& root);
[[nodiscard]] MeasuredLoad read_inference_perf_result(const ResultDocument& document);
[[nodiscard]] bool is_request_row(const JsonValue& root);
[[nodiscard]] MeasuredLoad read_request_rows(const std::vector<ResultDocument>& lines);
[[nodiscard]] bool is_request_csv(std::string_view head);
[[nodiscard]] MeasuredLoad read_request_csv(const TraceFile& file);

}  // namespace kvcast
