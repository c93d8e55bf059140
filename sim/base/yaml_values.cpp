#include "sim/base/yaml_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "sim/base/error.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

using Kind = YamlNode::Kind;

template <class Number>
std::string range_text(Number min, Number max) {
  constexpr bool kReal = std::numeric_limits<Number>::has_infinity;
  const Number lowest = kReal ? -std::numeric_limits<Number>::max() : std::numeric_limits<Number>::min();
  const bool bounded_below = min > lowest;
  const bool bounded_above = max < std::numeric_limits<Number>::max();
  if (bounded_below && bounded_above) return fmt::format(" from {} to {}", min, max);
  if (bounded_below) return fmt::format(" of at least {}", min);
  if (bounded_above) return fmt::format(" of at most {}", max);
  return "";
}

std::string outside_message(std::string_view value, const std::string& allowed) {
  if (allowed.starts_with(" from ")) return fmt::format("{} is outside {}", value, allowed.substr(6));
  return fmt::format("{} is not allowed; a value{} is needed", value,
                     allowed.empty() ? " that fits" : allowed);
}

}  // namespace

std::string describe(const YamlNode& node) {
  switch (node.kind) {
    case Kind::null:
      return "no value";
    case Kind::scalar:
      return (node.plain ? "" : "the quoted text ") + quoted(node.text);
    case Kind::sequence:
      return "a list";
    case Kind::mapping:
      return "a mapping";
  }
  return {};
}

void fail_at(const YamlPlace& place, const std::string& path, const std::string& message) {
  const std::string where = place.to_string();
  const bool named = path.empty() || where.starts_with("--set " + path + "=");
  throw InputError(named ? where + ": " + message : where + ": " + path + ": " + message);
}

std::string allowed_range(IntRange range) { return range_text(range.min, range.max); }
std::string allowed_range(RealRange range) { return range_text(range.min, range.max); }

void ScalarReader::wrong_type(const std::string& wanted) const {
  fail_at(node.place, path, fmt::format("{} is given, {} is needed", describe(node), wanted));
}

std::int64_t ScalarReader::integer(IntRange range) const {
  const std::string allowed = allowed_range(range);
  const std::string wanted = "an integer" + allowed;
  if (node.kind != Kind::scalar || !node.plain) wrong_type(wanted);
  std::string_view digits = node.text;
  const bool signed_text = digits.starts_with('-') || digits.starts_with('+');
  if (signed_text) digits.remove_prefix(1);
  const bool all_digits = !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
  const bool octal_looking =
      digits.size() > 1 && digits[0] == '0';  // YAML 1.1 reads 010 as 8, YAML 1.2 as 10
  if (!all_digits || octal_looking) wrong_type(wanted);
  std::int64_t value = 0;
  const std::string_view number = node.text[0] == '+' ? digits : std::string_view(node.text);
  const bool fits = std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc{};
  if (!fits || value < range.min || value > range.max) {
    fail_at(node.place, path, outside_message(node.text, allowed));
  }
  return value;
}

double ScalarReader::real(RealRange range) const {
  const std::string allowed = allowed_range(range);
  const std::string wanted = "a number" + allowed;
  if (node.kind != Kind::scalar || !node.plain) wrong_type(wanted);
  const std::optional<double> value = parse_real(node.text);
  if (!value.has_value()) wrong_type(wanted);
  if (!(*value >= range.min && *value <= range.max)) {
    fail_at(node.place, path, outside_message(node.text, allowed));
  }
  return *value;
}

bool ScalarReader::boolean() const {
  constexpr std::array<std::string_view, 3> kTrue = {"true", "True", "TRUE"};
  constexpr std::array<std::string_view, 3> kFalse = {"false", "False", "FALSE"};
  const bool scalar = node.kind == Kind::scalar && node.plain;
  const bool is_true = scalar && std::find(kTrue.begin(), kTrue.end(), node.text) != kTrue.end();
  const bool is_false = scalar && std::find(kFalse.begin(), kFalse.end(), node.text) != kFalse.end();
  if (!is_true && !is_false) wrong_type("true or false");
  return is_true;
}

std::string ScalarReader::string() const {
  if (node.kind != Kind::scalar || node.text.empty()) wrong_type("a text");
  return node.text;
}

std::vector<std::string> split_path(std::string_view path, const std::string& argument) {
  std::vector<std::string> segments;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    segments.emplace_back(path.substr(begin, end - begin));
    if (segments.back().empty())
      throw InputError(argument + ": a path is names joined by dots, as in engine.block_size");
    begin = end + 1;
  }
  if (segments.size() > kYamlDepthMax)
    throw InputError(fmt::format("{}: deeper than {} levels", argument, kYamlDepthMax));
  return segments;
}

YamlNodePtr with_value(const YamlNodePtr& node, const std::vector<std::string>& segments, std::size_t at,
                       const YamlNodePtr& value) {
  if (at == segments.size()) return value;
  const std::string& segment = segments[at];
  auto copy =
      node && node->kind != Kind::null ? std::make_shared<YamlNode>(*node) : std::make_shared<YamlNode>();
  if (copy->kind == Kind::null) {
    copy->kind = Kind::mapping;
    copy->place = value->place;
  }
  if (copy->kind == Kind::sequence) {
    std::size_t index = 0;
    const char* end = segment.data() + segment.size();
    const auto parsed = std::from_chars(segment.data(), end, index);
    if (parsed.ec != std::errc{} || parsed.ptr != end || index >= copy->items.size()) {
      fail_at(value->place, "",
              fmt::format("{} is not an element of the list at {}, which has {} (the first is 0)",
                          quoted(segment), copy->place.to_string(), copy->items.size()));
    }
    copy->items[index] = with_value(copy->items[index], segments, at + 1, value);
    return copy;
  }
  if (copy->kind == Kind::scalar) {
    fail_at(value->place, "",
            fmt::format("{} cannot be set below {}, which is no mapping ({})", quoted(segment),
                        describe(*copy), copy->place.to_string()));
  }
  const auto entry = std::find_if(copy->entries.begin(), copy->entries.end(),
                                  [&](const YamlEntry& e) { return e.key == segment; });
  if (entry == copy->entries.end()) {
    copy->entries.push_back({segment, value->place, with_value(nullptr, segments, at + 1, value)});
  } else {
    entry->value = with_value(entry->value, segments, at + 1, value);
  }
  return copy;
}

YamlNodePtr merged(const YamlNodePtr& node, const YamlNodePtr& over) {
  const bool both =
      node && over && node->kind == YamlNode::Kind::mapping && over->kind == YamlNode::Kind::mapping;
  if (!over) return node;
  if (!both) return over;
  auto copy = std::make_shared<YamlNode>(*node);
  for (const YamlEntry& change : over->entries) {
    const auto entry = std::find_if(copy->entries.begin(), copy->entries.end(),
                                    [&](const YamlEntry& e) { return e.key == change.key; });
    if (entry == copy->entries.end()) {
      copy->entries.push_back(change);
    } else {
      *entry = {change.key, change.key_place, merged(entry->value, change.value)};
    }
  }
  return copy;
}

YamlNodePtr without_key(const YamlNodePtr& node, std::string_view key) {
  if (!node || node->find(key) == nullptr) return node;
  auto copy = std::make_shared<YamlNode>(*node);
  std::erase_if(copy->entries, [&](const YamlEntry& e) { return e.key == key; });
  return copy;
}

}  // namespace kvcast
