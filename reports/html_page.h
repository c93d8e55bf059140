/// The frame of an HTML report of several runs.
#pragma once

#include <string>

namespace kvcast {

struct HtmlPage {
  std::string title;    // plain text
  std::string sub;      // one line below it; empty: none
  std::string verdict;  // the answer, one sentence
  bool bad = false;     // colours the answer
  std::string body;     // HTML sections
};

/// One file below 1 MB: no script, no outside address, light and dark, printable.
[[nodiscard]] std::string to_html(const HtmlPage& page);

/// A dot with its interval on a scale from `low` to `high`, with a mark at `zero`; for a table cell. The
/// caller writes the numbers beside it.
struct WhiskerScale {
  double low = 0;
  double high = 1;
  double zero = 0;
};
struct Whisker {
  double at = 0;
  double low = 0;
  double high = 0;
  bool strong = false;
};
[[nodiscard]] std::string draw(const Whisker& whisker, const WhiskerScale& scale);

}  // namespace kvcast
