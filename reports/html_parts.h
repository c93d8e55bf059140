/// Building stones of the HTML reports: sections, tables, and the parts that several kinds of report share.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/metrics/forecast.h"

namespace kvcast {

/// A part of the page under its own heading. \param lead, body HTML
[[nodiscard]] std::string html_section(const char* id, const std::string& title, const std::string& lead,
                                       const std::string& body);

/// A table whose first column heads its rows. Cells and names are HTML: escape text before. Tables of the
/// class "bars" become a block for each row on a phone; with "bars many" each cell there says its column's
/// name.
class HtmlTable {
 public:
  struct Column {
    std::string name;
    const char* css_class = "";  // "num", "pic", "source"
  };
  HtmlTable(const char* css_class, std::vector<Column> columns);
  void row(const std::vector<std::string>& cells, const char* css_class = "");
  [[nodiscard]] bool empty() const { return rows_ == 0; }
  [[nodiscard]] std::string take();

 private:
  std::string html_;
  std::vector<Column> columns_;
  std::size_t rows_ = 0;
  bool named_cells_ = false;
};

/// A big number with its name and what it means. \param value "84.2 ms": a number and its unit
/// \param definition of the term, see definitions.h \param remark plain text below it
[[nodiscard]] std::string html_card(const char* term, const char* name, const std::string& value,
                                    const std::string& remark);
[[nodiscard]] std::string html_cards(const std::string& cards);

/// A paragraph that stands out. \param html escaped already
[[nodiscard]] std::string html_warning(const std::string& html);
[[nodiscard]] std::string html_met(bool met);
/// <ul> of texts; empty where there are none.
[[nodiscard]] std::string html_list(const std::vector<std::string>& texts);

/// Pairs of names and texts. \param pairs plain text; those without text are left out
using NamedText = std::pair<std::string, std::string>;
[[nodiscard]] std::string html_pairs(const std::vector<NamedText>& pairs);

/// The waterfall from a GPU's memory to its KV cache.
[[nodiscard]] std::string html_budget(const Forecast& forecast);
/// \param room what the last line says of the KV cache, plain text; empty: nothing
/// \param pool of which the GPU is; empty: there is one kind
[[nodiscard]] std::string html_budget(const std::vector<BudgetLine>& budget, const std::string& room,
                                      const std::string& pool = "");

/// The distributions of TTFT, TPOT and E2EL with the SLO in them, and a table of every latency.
[[nodiscard]] std::string html_latencies(const Forecast& forecast);

/// KV cache, running and waiting requests and preemptions over time.
[[nodiscard]] std::string html_timeline(const Forecast& forecast);

/// The steps of one replica.
[[nodiscard]] std::string html_steps(const Forecast& forecast);

/// Replicas that come and go; empty where all are always there.
[[nodiscard]] std::string html_elasticity(const Forecast& forecast);

/// How sure the step times are, and what follows for each latency.
[[nodiscard]] std::string html_uncertainty(const Forecast& forecast);

[[nodiscard]] std::string html_assumptions(const std::vector<Assumption>& assumptions);

/// How to get the same page again.
struct Origin {
  std::vector<NamedText> facts;  // what was run
  std::string version;
  std::string command;
  std::string seed;  // empty: the report has none
  std::vector<InputHash> inputs;
  std::string resolved;  // every setting in force; empty: not known
};
[[nodiscard]] std::string html_origin(const Origin& origin);

}  // namespace kvcast
