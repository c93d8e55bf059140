/// The table of a sweep: a row a point, as CSV or as an SQLite database. Equal tables give equal bytes.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace kvcast {

struct SweepColumn {
  std::string name;
  bool text = false;  // never a number, whatever its cells look like
};

struct SweepTable {
  std::vector<SweepColumn> columns;                        // unlike names
  std::vector<std::vector<std::string>> rows;              // a cell for each column; "": nothing is known
  std::vector<std::pair<std::string, std::string>> facts;  // of the whole sweep
};

/// RFC 4180 with plain line feeds: a header, then the rows; cells with commas, quotes or line breaks are
/// quoted.
[[nodiscard]] std::string to_csv(const SweepTable& table);

/// Tables `points` (a row a point, the first column its key) and `sweep` (the facts). A column is INTEGER
/// where all of its cells are whole numbers or all are true or false (1 and 0), REAL where all are numbers,
/// else TEXT; what is not known is NULL. \param path of a file that is empty or not there \throws InputError
/// where the file cannot be written
void write_sqlite(const SweepTable& table, const std::string& path);

}  // namespace kvcast
