/// Building stones of the HTML report.
#pragma once

#include <string>
#include <vector>

#include "sim/metrics/forecast.h"

namespace kvcast {

/// A part of the page under its own heading. \param body HTML
[[nodiscard]] std::string html_section(const char* id, const char* title, const char* lead,
                                       const std::string& body);

/// A table whose first column heads its rows. Cells are HTML: escape text before.
class HtmlTable {
 public:
  struct Column {
    const char* name;
    const char* css_class = "";  // "num", "pic", "source"
  };
  HtmlTable(const char* css_class, std::vector<Column> columns);
  void row(const std::vector<std::string>& cells, const char* css_class = "");
  [[nodiscard]] std::string take();

 private:
  std::string html_;
  std::vector<Column> columns_;
};

/// The distributions of TTFT, TPOT and E2EL with the SLO in them, and a table of every latency.
[[nodiscard]] std::string html_latencies(const Forecast& forecast);

/// KV cache, running and waiting requests over time.
[[nodiscard]] std::string html_timeline(const Forecast& forecast);

}  // namespace kvcast
