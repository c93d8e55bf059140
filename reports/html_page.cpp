#include "reports/html_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/definitions.h"
#include "reports/svg.h"
#include "reports/web_files.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

std::string web_file(std::string_view name) {
  const EmbeddedFile* found = nullptr;
  for (const EmbeddedFile& file : web_files()) {
    if (file.path.ends_with(name)) found = &file;
  }
  KVCAST_CHECK(found != nullptr);
  return std::string(found->text);
}

std::string script(const std::string& text) { return "<script>\n" + text + "</script>\n"; }

}  // namespace

std::string to_html(const HtmlPage& page) {
  const std::size_t answer = std::min(page.verdict.find_first_of(":;"), page.verdict.size());
  const bool live = page.body.find("<script type=\"application/json\">") != std::string::npos;
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{0} - "
      "kvcast</title>\n<style>\n{1}{2}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{0}</h1>\n",
      escaped(page.title), live ? web_file("/uplot.css") : "", web_file("/report.css"));
  if (!page.sub.empty()) html += "<p class=\"sub\">" + escaped(page.sub) + "</p>\n";
  if (!page.verdict.empty())
    html += fmt::format("<p class=\"verdict{}\"><b>{}</b>{}</p>\n", page.bad ? " bad" : "",
                        escaped(page.verdict.substr(0, answer)), escaped(page.verdict.substr(answer)));
  for (const std::string& warning : page.warnings) html += "<p class=\"warn\">" + warning + "</p>\n";
  html += "</header>\n" + page.body + html_glossary(page.body);
  html +=
      "<footer>Written by kvcast. This file needs no network; scripts only add zoom and "
      "hints.</footer>\n</main>\n";
  if (live) html += script(web_file("/uplot.js"));
  return html + script(web_file("/report.js")) + "</body>\n</html>\n";
}

}  // namespace kvcast
