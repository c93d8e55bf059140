#include "reports/sweep_report.h"

#include <sqlite3.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/base/error.h"
#include "tests/support/temporary_folder.h"

namespace kvcast {
namespace {

namespace fs = std::filesystem;

SweepTable example() {
  SweepTable table;
  table.columns = {{"id", false},    {"hash", true},     {"engine.block_size", false},
                   {"dtype", false}, {"slo.met", false}, {"p99_ttft_ms", false},
                   {"reason", true}};
  table.rows = {{"0", "0123456789012345", "16", "auto", "true", "12.5", ""},
                {"1", "00ff000000000000", "32", "fp8", "false", "13", ""},
                {"2", "1111111111111111", "32", "8", "", "", "does not fit: \"a\", b\nc"}};
  table.facts = {{"version", "0.1.0"}};
  return table;
}

std::string content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Every row of a query, cells parted by "|".
std::vector<std::string> query(const fs::path& path, const char* sql) {
  sqlite3* base = nullptr;
  BOOST_REQUIRE(sqlite3_open_v2(path.c_str(), &base, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK);
  sqlite3_stmt* statement = nullptr;
  BOOST_REQUIRE(sqlite3_prepare_v2(base, sql, -1, &statement, nullptr) == SQLITE_OK);
  std::vector<std::string> rows;
  while (sqlite3_step(statement) == SQLITE_ROW) {
    std::string row;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      const unsigned char* cell = sqlite3_column_text(statement, i);
      row += i == 0 ? "" : "|";
      for (; cell != nullptr && *cell != 0; ++cell) row += static_cast<char>(*cell);
    }
    rows.push_back(row);
  }
  sqlite3_finalize(statement);
  sqlite3_close(base);
  return rows;
}

BOOST_AUTO_TEST_CASE(csv_quotes_what_needs_it) {
  BOOST_TEST(to_csv(example()) ==
             "id,hash,engine.block_size,dtype,slo.met,p99_ttft_ms,reason\n"
             "0,0123456789012345,16,auto,true,12.5,\n"
             "1,00ff000000000000,32,fp8,false,13,\n"
             "2,1111111111111111,32,8,,,\"does not fit: \"\"a\"\", b\nc\"\n");
}

BOOST_AUTO_TEST_CASE(a_database_has_typed_columns) {
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "a.db";
  write_sqlite(example(), path.string());
  const std::vector<std::string> types = {"id|INTEGER", "hash|TEXT",       "engine.block_size|INTEGER",
                                          "dtype|TEXT", "slo.met|INTEGER", "p99_ttft_ms|REAL",
                                          "reason|TEXT"};
  BOOST_TEST(query(path, "SELECT name, type FROM pragma_table_info('points')") == types);
  const std::vector<std::string> first = {"0|0123456789012345|16|auto|1|12.5|"};
  BOOST_TEST(query(path, "SELECT * FROM points WHERE id = 0") == first);
  const std::vector<std::string> nulls = {"2"};
  BOOST_TEST(query(path, "SELECT id FROM points WHERE p99_ttft_ms IS NULL AND reason IS NOT NULL") == nulls);
  const std::vector<std::string> facts = {"version|0.1.0"};
  BOOST_TEST(query(path, "SELECT * FROM sweep") == facts);
}

BOOST_AUTO_TEST_CASE(equal_tables_give_equal_bytes) {
  const test::TemporaryFolder folder;
  write_sqlite(example(), (folder.path() / "a.db").string());
  write_sqlite(example(), (folder.path() / "b.db").string());
  BOOST_TEST((content(folder.path() / "a.db") == content(folder.path() / "b.db")));
  BOOST_TEST(folder.count() == 2U);
}

BOOST_AUTO_TEST_CASE(a_database_that_cannot_be_written_is_said) {
  BOOST_CHECK_THROW(write_sqlite(example(), "/nowhere/at/all.db"), InputError);
}

}  // namespace
}  // namespace kvcast
