#include "reports/html_parts.h"

#include <fmt/format.h>

#include "sim/base/error.h"

namespace kvcast {
namespace {

/// ` class="x"`, or nothing.
std::string class_attribute(const char* css_class) {
  return *css_class == '\0' ? "" : fmt::format(" class=\"{}\"", css_class);
}

}  // namespace

std::string html_section(const char* id, const char* title, const char* lead, const std::string& body) {
  return fmt::format(
      "<section aria-labelledby=\"{0}\">\n<h2 id=\"{0}\">{1}</h2>\n<p "
      "class=\"lead\">{2}</p>\n{3}</section>\n",
      id, title, lead, body);
}

HtmlTable::HtmlTable(const char* css_class, std::vector<Column> columns) : columns_(std::move(columns)) {
  html_ = fmt::format("<div class=\"scroll\"><table{}>\n<thead><tr>", class_attribute(css_class));
  for (const Column& column : columns_) {
    html_ += fmt::format("<th scope=\"col\"{}>{}</th>", class_attribute(column.css_class), column.name);
  }
  html_ += "</tr></thead>\n<tbody>\n";
}

void HtmlTable::row(const std::vector<std::string>& cells, const char* css_class) {
  KVCAST_CHECK(cells.size() == columns_.size());
  html_ += fmt::format("<tr{}>", class_attribute(css_class));
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string attribute = class_attribute(columns_[i].css_class);
    html_ += i == 0 ? fmt::format("<th scope=\"row\"{}>{}</th>", attribute, cells[i])
                    : fmt::format("<td{}>{}</td>", attribute, cells[i]);
  }
  html_ += "</tr>\n";
}

std::string HtmlTable::take() { return std::move(html_) + "</tbody></table></div>\n"; }

}  // namespace kvcast
