/// Lines of CSV.
#pragma once

#include <string>
#include <vector>

namespace kvcast {

/// A cell after RFC 4180: quoted where it holds commas, quotes or line breaks.
[[nodiscard]] std::string csv_cell(const std::string& text);

/// A number as short as it can be read back from.
[[nodiscard]] std::string csv_number(double value);

/// The plain values of a JSON object and of the objects in it, keys with a dot: a header and one row. Lists,
/// and the object `inputs`, whose keys are paths, are left out.
[[nodiscard]] std::string csv_of_json(const std::string& json);

/// Adds one line that ends with a plain line feed.
void add_csv_row(std::string& text, const std::vector<std::string>& cells);

}  // namespace kvcast
