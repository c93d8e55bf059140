/// One visible list of the built-ins of each kind: names for --help, errors and `kvcast list`; factories for compose.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/error.h"

namespace kvcast {

template <class Factory>
struct CatalogEntry {
  std::string name;
  std::string summary;  // one line; cites the paper or the engine
  Factory make;
};

/// A plain vector behind a lookup that names its entries when it fails. Built by a function, never by static initialisers.
template <class Factory>
class Catalog {
 public:
  Catalog(std::string kind, std::vector<CatalogEntry<Factory>> entries)
      : kind_(std::move(kind)), entries_(std::move(entries)) {}

  [[nodiscard]] const std::vector<CatalogEntry<Factory>>& entries() const { return entries_; }

  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& entry : entries_) result.push_back(entry.name);
    return result;
  }

  /// \param where "file:line:column" of the name, for the message
  /// \throws InputError naming every known entry
  [[nodiscard]] const CatalogEntry<Factory>& find(std::string_view name, const std::string& where) const {
    for (const auto& entry : entries_) {
      if (entry.name == name) return entry;
    }
    throw InputError(where + ": unknown " + kind_ + " \"" + std::string(name) + "\"" + known_names(name, names()));
  }

 private:
  std::string kind_;
  std::vector<CatalogEntry<Factory>> entries_;
};

}  // namespace kvcast
