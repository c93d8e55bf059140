/// The frame of an HTML report.
#pragma once

#include <string>
#include <vector>

namespace kvcast {

struct HtmlPage {
  std::string title;  // plain text
  std::string sub;    // one line below it; empty: none
  std::string
      verdict;       // the answer, one sentence; the part before its first colon or semicolon is set in bold
  bool bad = false;  // colours the answer
  std::vector<std::string> warnings;  // HTML
  std::string body;                   // HTML sections; the definitions of its terms are added at its end
};

/// One file below 1 MB that opens offline and needs no outside address, light and dark, printable. Scripts
/// only add to it: zoom and a common cursor where the page has charts over time, and hints beside their term.
[[nodiscard]] std::string to_html(const HtmlPage& page);

}  // namespace kvcast
