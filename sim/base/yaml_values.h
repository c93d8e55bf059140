/// What a Config reads from the nodes of a YAML tree: scalars of a type and a range, and values replaced by
/// path.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/config.h"
#include "sim/base/yaml_tree.h"

namespace kvcast {

/// As messages name it: "a list", the text of a scalar.
[[nodiscard]] std::string describe(const YamlNode& node);

/// \throws InputError "--set a.b=c: message" where the argument itself names the path, "place: a.b: message"
/// otherwise
[[noreturn]] void fail_at(const YamlPlace& place, const std::string& path, const std::string& message);

/// " from 1 to 4096", " of at least 1", " of at most 5" or nothing.
[[nodiscard]] std::string allowed_range(IntRange range);
[[nodiscard]] std::string allowed_range(RealRange range);

/// Reads one scalar of the wanted type; every failure is an InputError at the node.
struct ScalarReader {
  const YamlNode& node;
  const std::string& path;

  [[nodiscard]] std::int64_t integer(IntRange range) const;
  [[nodiscard]] double real(RealRange range) const;
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] std::string string() const;

  [[noreturn]] void wrong_type(const std::string& wanted) const;
};

/// The names of a dotted path. \throws InputError, which `argument` begins, for an empty name or too many
[[nodiscard]] std::vector<std::string> split_path(std::string_view path, const std::string& argument);

/// `node` with the value at segments[at...] replaced; shares everything that the path does not touch.
[[nodiscard]] YamlNodePtr with_value(const YamlNodePtr& node, const std::vector<std::string>& segments,
                                     std::size_t at, const YamlNodePtr& value);

/// `node` with the mapping `over` laid over it: mappings are merged, other values replaced. \param node a
/// mapping or null
[[nodiscard]] YamlNodePtr merged(const YamlNodePtr& node, const YamlNodePtr& over);

/// The mapping `node` without one of its keys. \param node a mapping or null
[[nodiscard]] YamlNodePtr without_key(const YamlNodePtr& node, std::string_view key);

}  // namespace kvcast
