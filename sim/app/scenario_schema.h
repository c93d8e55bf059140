/// The JSON Schema of the scenario file, found by trying: the scenario's readers are run on built-in
/// scenarios and on variations of them, and what they ask for is written down (sim/base/config_schema.h).
/// Nothing is listed by hand but descriptions, so a key that a reader takes cannot be missing once a run
/// reaches it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/config_schema.h"

namespace kvcast {

/// Every key that read_scenario() takes, in every form.
[[nodiscard]] MappingSchema explore_scenario();

/// What a key means, one sentence; empty: nothing is written of it. \param path dotted, from the root
[[nodiscard]] std::string_view key_description(std::string_view path);
/// All paths that have a description; a * in them stands for one name.
[[nodiscard]] std::vector<std::string_view> described_keys();
/// Whether a path is one of those that `pattern` stands for.
[[nodiscard]] bool matches_key(std::string_view pattern, std::string_view path);

/// Names of a catalogue that the text at `path` must be one of; empty: any text.
[[nodiscard]] std::vector<std::string> catalogue_names(std::string_view path);

/// draft-07; ends with a newline.
[[nodiscard]] std::string scenario_schema_json();

}  // namespace kvcast
