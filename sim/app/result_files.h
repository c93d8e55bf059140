/// The result files that commands write on demand, in every form that their result has.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/app/command_parser.h"
#include "sim/app/outputs.h"

namespace kvcast {

/// As the user gave them; empty: not asked for, "-": standard output.
struct ResultPaths {
  std::string json, report, csv, markdown;
};

/// Declares --json, --report, --csv and --markdown. \param what "the comparison" \param rows what a row of
/// the CSV stands for
void declare_results(const CommandParser& app, ResultPaths& paths, const std::string& what,
                     const std::string& rows);

/// Contract: opens the files at once, so that a wrong path fails before the work, and writes them when the
/// result is there. Files that are never written leave nothing behind.
class ResultFiles {
 public:
  /// \param others further outputs of the command, which take part in the rule that only one goes to standard
  /// output \throws InputError for a file that cannot be created, and where more than one output is "-"
  explicit ResultFiles(const ResultPaths& paths, const std::vector<std::string>& others = {});

  /// Whether standard output belongs to one of them: the table is then left out.
  [[nodiscard]] bool to_stdout() const { return to_stdout_; }
  [[nodiscard]] bool any() const { return json_ || report_ || csv_ || markdown_; }

  /// \param result of a type that reports/ has to_json(), to_html(), to_csv() and to_markdown() for
  template <class Result>
  void write(const Result& result) {
    if (json_) finish(*json_, to_json(result));
    if (report_) finish(*report_, to_html(result));
    if (csv_) finish(*csv_, to_csv(result));
    if (markdown_) finish(*markdown_, to_markdown(result));
  }

 private:
  static void finish(OutputFile& file, const std::string& text);

  std::unique_ptr<OutputFile> json_, report_, csv_, markdown_;
  bool to_stdout_ = false;
};

}  // namespace kvcast
