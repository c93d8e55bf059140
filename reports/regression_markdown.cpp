#include <fmt/format.h>

#include "reports/markdown_text.h"
#include "reports/regression.h"

namespace kvcast {
namespace {

constexpr std::size_t kRowsMax = 50;  // a comment on a pull request has its limits

std::string rows(const Regression& regression) {
  std::string text;
  std::size_t shown = 0;
  std::size_t changed = 0;
  for (const KernelChange* change : by_urgency(regression)) {
    if (change->verdict == TimingVerdict::unchanged && !change->fails()) continue;
    ++changed;
    if (shown == kRowsMax) continue;
    ++shown;
    text += fmt::format("| {} | {} | {} | {} | {} | {} |\n",
                        change->fails() ? "**FAIL**" : std::string(to_string(change->verdict)),
                        change_with_interval(*change), time_text(change->base_ns), time_text(change->new_ns),
                        to_string(change->quantity), markdown_cell(change->name));
  }
  if (text.empty()) return "";
  text = "| verdict | change [95 % interval] | base | new | in | kernel |\n|---|---:|---:|---:|---|---|\n" +
         text;
  if (changed > shown) text += fmt::format("\nand {} more\n", changed - shown);
  return text + "\n";
}

std::string list(const char* title, const std::vector<std::string>& names) {
  if (names.empty()) return "";
  std::string text = fmt::format("<details><summary>{} ({})</summary>\n\n", title, names.size());
  for (const std::string& name : names) text += "- " + markdown_cell(name) + "\n";
  return text + "\n</details>\n\n";
}

}  // namespace

std::string to_markdown(const Regression& regression) {
  std::string text = fmt::format("## Kernel timings: {}\n\n{}\n\n", regression.fails() ? "regression" : "ok",
                                 markdown_cell(verdict_of(regression)));
  for (const std::string& warning : regression.warnings)
    text += "> **Warning**: " + markdown_cell(warning) + "\n\n";
  text += rows(regression);
  std::vector<std::string> reasons;
  for (const KernelChange* change : by_urgency(regression)) {
    if (change->fails()) reasons.push_back(change->name + ": " + reason_of(*change));
  }
  text += list("Why they fail", reasons);
  for (const std::string& note : device_notes(regression)) text += "- " + markdown_cell(note) + "\n";
  text += "\n";
  text += list("Missing in the new file", regression.missing) + list("New", regression.added);
  return text + fmt::format("{} → {}, kvcast {}\n", markdown_cell(regression.base_name),
                            markdown_cell(regression.new_name), markdown_cell(regression.version));
}

}  // namespace kvcast
