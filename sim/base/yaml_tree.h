/// YAML text as a tree of nodes that remember where they stood. Internal to sim/base: everybody else reads a
/// Config.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kvcast {

/// Where something stood. Line and column count from 1; line 0 means the source as a whole (a --set
/// argument).
struct YamlPlace {
  std::shared_ptr<const std::string> source;
  int line = 0;
  int column = 0;

  [[nodiscard]] std::string to_string() const;
};

struct YamlNode;
using YamlNodePtr = std::shared_ptr<const YamlNode>;

struct YamlEntry {
  std::string key;
  YamlPlace key_place;
  YamlNodePtr value;
};

/// Immutable once parsed, so that aliases and --set copies can share subtrees.
struct YamlNode {
  enum class Kind { null, scalar, sequence, mapping };

  Kind kind = Kind::null;
  bool plain = false;              // a scalar without quotes: may be a number or a boolean
  std::string text;                // of a scalar
  std::vector<YamlNodePtr> items;  // of a sequence
  std::vector<YamlEntry> entries;  // of a mapping, in the order of the text, keys unique
  YamlPlace place;
  std::size_t size = 1;  // values below and with this one, every alias counted as what it stands for

  [[nodiscard]] const YamlEntry* find(std::string_view key) const;
};

/// Contract: one YAML 1.2 document. Costs time and memory in proportion to the text whatever it says: aliases
/// are shared, never copied. \param one_line the text is a command-line value: messages name the source only
/// \returns the root; a null node for an empty document
/// \throws InputError on what YAML forbids and on what a configuration has no use for: duplicate keys, keys
/// that are not scalars,
///         tags, several documents, text that is not UTF-8, control characters, nesting deeper than
///         kYamlDepthMax, text beyond kYamlBytesMax, values beyond kYamlNodesMax (aliases of aliases can
///         stand for billions)
[[nodiscard]] YamlNodePtr parse_yaml(std::string_view text, const std::string& source, bool one_line);

inline constexpr std::size_t kYamlBytesMax = std::size_t{4} << 20;
inline constexpr std::size_t kYamlDepthMax = 64;
inline constexpr std::size_t kYamlNodesMax = 500'000;

}  // namespace kvcast
