/// Lines for a terminal of at most 100 columns, in the shape of `vllm bench serve`: label, value, and a
/// remark that says what it means.
#pragma once

#include <string>

namespace kvcast {

class TextTable {
 public:
  static constexpr std::size_t kColumnsMax = 100;
  // ANSI attributes; blue and red differ for every kind of colour vision.
  static constexpr const char* kPlain = "";
  static constexpr const char* kBold = "1";
  static constexpr const char* kDim = "2";
  static constexpr const char* kGood = "1;34";
  static constexpr const char* kBad = "1;31";
  static constexpr const char* kWarn = "1;33";

  explicit TextTable(bool color) : color_(color) {}

  /// "---Title---" over 50 columns, then a remark.
  void section(const std::string& title, char fill, const std::string& remark = "");
  /// "label:   value   remark"; the remark wraps in its own column.
  void line(const std::string& label, const std::string& value, const std::string& remark = "");
  void rule();
  void paragraph(const std::string& text, const char* style, std::size_t indent = 0);
  /// Whole lines that are laid out already.
  void verbatim(const std::string& text) { text_ += text; }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void with_remark(std::size_t column, const std::string& remark);
  [[nodiscard]] std::string styled(const char* style, const std::string& text) const;

  bool color_;
  std::string text_;
};

}  // namespace kvcast
