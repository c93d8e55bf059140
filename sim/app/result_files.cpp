#include "sim/app/result_files.h"

#include <algorithm>

#include "sim/base/error.h"

namespace kvcast {
namespace {

std::unique_ptr<OutputFile> open_file(const std::string& path) {
  return path.empty() ? nullptr : std::make_unique<OutputFile>(path);
}

}  // namespace

void declare_results(const CommandParser& app, ResultPaths& paths, const std::string& what,
                     const std::string& rows) {
  app.add_option("--json", paths.json, "Write " + what + " as JSON (-: standard output)").type_name("FILE");
  app.add_option("--report", paths.report, "Write the report as one HTML file").type_name("FILE");
  app.add_option("--csv", paths.csv, "Write " + what + " as CSV: " + rows).type_name("FILE");
  app.add_option("--markdown", paths.markdown, "Write " + what + " as Markdown").type_name("FILE");
}

ResultFiles::ResultFiles(const ResultPaths& paths, const std::vector<std::string>& others) {
  std::vector<std::string> all = others;
  all.insert(all.end(), {paths.json, paths.report, paths.csv, paths.markdown});
  const auto count = std::count(all.begin(), all.end(), "-");
  if (count > 1) throw InputError("only one output can go to standard output (-)");
  to_stdout_ = count == 1;
  json_ = open_file(paths.json);
  report_ = open_file(paths.report);
  csv_ = open_file(paths.csv);
  markdown_ = open_file(paths.markdown);
}

void ResultFiles::finish(OutputFile& file, const std::string& text) {
  file.write(text);
  file.commit();
}

}  // namespace kvcast
