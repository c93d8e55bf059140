#include "reports/html_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/html_style.h"
#include "reports/svg.h"

namespace kvcast {
namespace {

/// What pages of several runs add to the common style.
constexpr const char* kStyle = R"css(
.whisker{display:block;width:100%;height:16px}
.whisker .rail{stroke:var(--rail);stroke-width:2}.whisker .zero{stroke:var(--muted);stroke-width:1;vector-effect:non-scaling-stroke}
.whisker .span{stroke:var(--grey);stroke-width:3;vector-effect:non-scaling-stroke}.whisker .strong{stroke:var(--blue)}
.whisker .point{stroke:var(--text);stroke-width:3;vector-effect:non-scaling-stroke}
.base th{font-weight:650}
section h3{margin-top:22px}
.chart{max-width:760px}
)css";

}  // namespace

std::string to_html(const HtmlPage& page) {
  const std::size_t answer = std::min(page.verdict.find_first_of(":;"), page.verdict.size());
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{0} - kvcast</title>\n<style>{1}{2}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{0}</h1>\n",
      escaped(page.title), kHtmlStyle, kStyle);
  if (!page.sub.empty()) html += "<p class=\"sub\">" + escaped(page.sub) + "</p>\n";
  html += fmt::format("<p class=\"verdict{}\"><b>{}</b>{}</p>\n</header>\n", page.bad ? " bad" : "",
                      escaped(page.verdict.substr(0, answer)), escaped(page.verdict.substr(answer)));
  return html + page.body +
         "<footer>Written by kvcast. This file needs no network and no "
         "script.</footer>\n</main>\n</body>\n</html>\n";
}

std::string draw(const Whisker& whisker, const WhiskerScale& scale) {
  const double span = scale.high > scale.low ? scale.high - scale.low : 1;
  const auto x = [&](double value) { return 20 + 960 * std::clamp((value - scale.low) / span, 0.0, 1.0); };
  return fmt::format(
      "<svg class=\"whisker\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
      "<path class=\"rail\" d=\"M0 5H1000\"/><path class=\"zero\" d=\"M{:.1f} 0V10\"/>"
      "<path class=\"span{}\" d=\"M{:.1f} 5H{:.1f}\"/><path class=\"point\" d=\"M{:.1f} 2V8\"/></svg>",
      x(scale.zero), whisker.strong ? " strong" : "", x(whisker.low), x(whisker.high), x(whisker.at));
}

}  // namespace kvcast
