/// Rows of kernel-timing tables, as NVIDIA's aiconfigurator publishes them for each GPU, engine and version
/// (context_attention_perf, gemm_perf, ...; as CSV), turned into points of the kernel forms.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/kernel_model.h"

namespace kvcast {

struct KernelSample {
  std::array<double, 6> at{};  // the form's coordinates
  double us = 0;
};

/// All rows that share a fit.
struct KernelSamples {
  KernelKey key;
  std::vector<KernelSample> rows;  // in the order of the tables
};

/// Contract: begin() a table with its header line, then row() each further line; samples() gives all tables'
/// classes in the order in which they first appeared.
class KernelTables {
 public:
  /// \param sms of the GPU; attention's work items spread over them
  explicit KernelTables(std::int64_t sms) : sms_(static_cast<double>(sms)) {}

  /// \param name of the table, for messages
  /// \throws InputError (exit code 4) naming the columns that are missing, and the layouts that are known
  void begin(const std::string& name, std::string_view header);
  /// \param line its number in the file
  /// \throws InputError (exit code 4) "name:line:column: column: what"
  void row(std::string_view text, std::int64_t line);

  /// The same for a table without lines, as Parquet files are: columns by name, then rows as cells.
  /// \param number of the row, the first is 1
  /// \throws InputError (exit code 4) "name: row number: column: what"
  void begin_columns(const std::string& name, const std::vector<std::string>& columns);
  void row_cells(const std::vector<std::string_view>& cells, std::int64_t number);

  [[nodiscard]] const std::vector<KernelSamples>& samples() const { return samples_; }
  /// What the tables say of their device and engine, each value once: "NVIDIA H100 80GB HBM3", "vllm 0.24.0".
  [[nodiscard]] const std::vector<std::string>& devices() const { return devices_; }
  [[nodiscard]] const std::vector<std::string>& engines() const { return engines_; }

 private:
  enum class Layout : std::uint8_t {
    gemm,
    prefill_attention,
    decode_attention,
    mla_prefill,
    mla_decode,
    moe,
    gdn,
    custom_collective,
    collective,
  };
  struct LayoutRule;
  static const std::vector<LayoutRule>& layouts();

  [[nodiscard]] std::string_view cell(std::string_view column) const;
  [[nodiscard]] double number(std::string_view column, double min) const;
  [[nodiscard]] double dtype_bytes(std::string_view column) const;
  [[noreturn]] void fail(std::string_view column, const std::string& what) const;
  void add(std::string_view form, std::vector<double> constants, std::map<std::string, std::string> labels,
           std::initializer_list<double> at, double us);
  void add_attention(std::string_view form, double length, double us);
  void add_mla(std::string_view form, double length, double us);
  void note_origin();
  void take_row();

  double sms_;
  std::string table_;
  Layout layout_ = Layout::gemm;
  std::vector<std::string> columns_;
  std::map<std::string, std::size_t, std::less<>> column_at_;
  std::vector<std::string_view> cells_;  // of the row in work
  std::string_view text_;
  std::int64_t line_ = 0;  // of a file with lines, else the row's number
  bool has_lines_ = true;
  std::vector<KernelSamples> samples_;
  std::map<std::string, std::size_t> class_at_;
  std::vector<std::string> devices_, engines_;
};

}  // namespace kvcast
