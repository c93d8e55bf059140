/// The writers: a Forecast (sim/metrics/forecast.h) or a MemoryForecast in, text out. All are pure and
/// deterministic.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "sim/metrics/forecast.h"
#include "sim/metrics/record.h"

namespace kvcast {

/// The result table for a terminal, at most 100 columns, in the shape of `vllm bench serve`.
/// \param color ANSI colours; see color_wanted()
[[nodiscard]] std::string to_table(const Forecast& forecast, bool color);
void write_table(std::FILE* out, const Forecast& forecast, bool color);

/// True when `out` is a terminal and neither NO_COLOR (https://no-color.org) nor TERM=dumb is set.
[[nodiscard]] bool color_wanted(std::FILE* out);

/// Result JSON, keys as `vllm bench serve` writes them; ends with a newline.
[[nodiscard]] std::string to_json(const Forecast& forecast);

/// One number of to_json().
struct NamedNumber {
  std::string name;  // nested keys with a dot: "kv.usage_mean"
  std::string text;  // as JSON has it, a truth value as true or false; empty: unknown
};
/// The numbers and truth values of to_json(), in its order.
[[nodiscard]] std::vector<NamedNumber> numbers_of(const Forecast& forecast);

/// numbers_of() as CSV: a header and one row, nested keys with a dot ("kv.usage_mean"), unknown numbers
/// empty.
[[nodiscard]] std::string to_csv(const Forecast& forecast);

/// One HTML file below 1 MB: no script, no outside address, light and dark, printable.
[[nodiscard]] std::string to_html(const Forecast& forecast);

/// GitHub-flavoured Markdown, for issues and pull requests.
[[nodiscard]] std::string to_markdown(const Forecast& forecast);

/// One sentence: does it meet the SLO, what it serves, at which latency.
[[nodiscard]] std::string verdict_of(const Forecast& forecast);

/// Writes one row a request: CSV where the path ends in .csv, else JSON lines that kvcast reads again as a
/// trace. Rows come out in order of arrival (id), whatever the order of the ends; only rows that wait for an
/// earlier one are held in memory. Contract: every id is reported once; calls are serialised by the caller;
/// close() (or the destructor, which cannot report errors) ends it.
class RequestWriter : public RequestObserver {
 public:
  /// Writes what is still held, and closes. \throws InputError when the file cannot be written
  virtual void close() = 0;
};
/// \param path "-" is stdout (JSON lines)
/// \throws InputError when the file cannot be created
[[nodiscard]] std::unique_ptr<RequestWriter> make_request_writer(const std::string& path);

/// Layers that share one kind of KV cache.
struct KvGroupLine {
  std::string kind;  // "full_attention", "sliding_window", "mla", "recurrent", ...
  std::int64_t layers = 0;
  std::int64_t block_size = 0;  // tokens
  std::int64_t page_bytes = 0;  // of one block of the group, per rank
};

/// What `kvcast memory` prints. Everything per rank (with PP: the stage with the largest page sum).
struct MemoryForecast {
  std::string title;                        // "Llama-3.1-8B on H100 SXM"
  std::string model, gpu, engine, cluster;  // one line each; empty: not shown
  bool fits = true;                         // false: the JSON says status "refused"
  std::string message;                      // why it is refused and what would fit; empty where it fits
  std::vector<std::string> warnings;        // starts, but may hang or starve
  std::int64_t max_model_len = 0;
  std::int64_t fits_max_model_len = 0;  // longest request that passes the engine's check; 0: none

  struct Weights {
    std::int64_t parameters = 0;      // of the whole model
    std::int64_t bytes_per_rank = 0;  // parameters only
    std::int64_t buffer_bytes = 0;
    std::int64_t mla_absorbed_bytes = 0;
    std::int64_t draft_bytes = 0;
    std::int64_t loaded_bytes = 0;  // the sum
  } weights;
  struct Kv {
    std::string dtype;
    std::int64_t bytes_per_token = 0;
    std::int64_t bytes_per_block = 0;
    std::int64_t state_bytes_per_sequence = 0;
    std::int64_t blocks_total = 0;  // as vLLM logs it, null block included
    std::int64_t blocks_usable = 0;
    std::int64_t tokens_total = 0;     // the figure that the engine reports
    std::int64_t tokens_capacity = 0;  // what really fits
    double max_concurrency = 0;        // requests of max_model_len tokens
    std::vector<KvGroupLine> groups;
    struct Pool {
      bool bounded = false;  // of layers that do not keep every token
      std::int64_t blocks_usable = 0, blocks_per_request = 0;
      double max_concurrency = 0;
    };
    std::vector<Pool> pools;  // of a split cache
  } kv;

  std::vector<BudgetLine> budget;  // the waterfall; empty with --available-kv-bytes

  /// Further numbers, one a line below the waterfall, each with its source.
  struct Line {
    std::string label;
    std::string value;  // formatted: "131,072"
    std::string unit;   // "B", "tokens", ...
    std::string source;
  };
  std::vector<Line> lines;

  std::vector<Assumption> assumptions;
  std::vector<InputHash> inputs;  // in order of path
  std::string version;
  std::string command;  // shown by the HTML report only; empty: not shown
};

[[nodiscard]] std::string to_table(const MemoryForecast& report, bool color);
void write_table(std::FILE* out, const MemoryForecast& report, bool color);
[[nodiscard]] std::string to_json(const MemoryForecast& report);
/// The numbers of to_json(), nested keys with a dot: a header and one row.
[[nodiscard]] std::string to_csv(const MemoryForecast& report);
[[nodiscard]] std::string to_markdown(const MemoryForecast& report);
/// One HTML file below 1 MB: the budget as a waterfall, and what the blocks hold.
[[nodiscard]] std::string to_html(const MemoryForecast& report);

}  // namespace kvcast
