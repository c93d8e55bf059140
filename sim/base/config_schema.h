/// What readers ask of a configuration, gathered over any number of texts: the source of its schema. A key
/// that a reader takes is known here the moment it is read, so a schema made from this cannot go stale.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/config.h"

namespace kvcast {

struct KeySchema;

/// A mapping, as far as readers asked for it. References to its keys and to what is below them stay good.
struct MappingSchema {
  std::list<KeySchema> keys;  // in the order of the first ask
  bool open = false;          // its keys are names of the user's own

  [[nodiscard]] KeySchema& key(std::string_view name);
  [[nodiscard]] const KeySchema* find(std::string_view name) const;
};

/// All forms in which readers take one key.
struct KeySchema {
  std::string name;
  bool asked_for_form = false;  // some reader looks whether it is there, or what it is, before it reads
  bool needed = false;          // some reader has no default for it
  std::optional<IntRange> integer;
  std::optional<RealRange> real;
  bool boolean = false;
  bool text = false;                    // any text, or one of a catalogue's names
  std::vector<std::string> choices;     // or one of these
  std::optional<RealRange> reals;       // a list of numbers
  bool texts = false;                   // a list of texts
  std::optional<std::string> fallback;  // the default, as YAML; the first that was seen
  std::unique_ptr<MappingSchema> mapping;
  std::unique_ptr<MappingSchema> elements;  // what each mapping of a list is

  [[nodiscard]] bool has_form() const {
    return integer || real || boolean || text || !choices.empty() || reals || texts || mapping || elements;
  }
};

}  // namespace kvcast
