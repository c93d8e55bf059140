#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>

#include "reports/sweep_report.h"
#include "sim/base/error.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

enum class ColumnType : std::uint8_t { boolean, integer, real, text };

bool is_boolean(const std::string& cell) { return cell == "true" || cell == "false"; }

std::optional<std::int64_t> as_integer(const std::string& cell) {
  std::int64_t value = 0;
  const char* end = cell.data() + cell.size();
  const auto parsed = std::from_chars(cell.data(), end, value);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return value;
}

ColumnType type_of(const SweepTable& table, std::size_t column) {
  const auto all = [&](const auto& is) {
    return std::all_of(table.rows.begin(), table.rows.end(), [&](const std::vector<std::string>& row) {
      return row[column].empty() || is(row[column]);
    });
  };
  if (table.columns[column].text) return ColumnType::text;
  if (all([](const std::string& cell) { return as_integer(cell).has_value(); })) return ColumnType::integer;
  if (all(is_boolean)) return ColumnType::boolean;
  if (all([](const std::string& cell) { return parse_real(cell).has_value(); })) return ColumnType::real;
  return ColumnType::text;
}

const char* sql_name(ColumnType type) {
  switch (type) {
    case ColumnType::boolean:
    case ColumnType::integer:
      return "INTEGER";
    case ColumnType::real:
      return "REAL";
    case ColumnType::text:
      return "TEXT";
  }
  KVCAST_CHECK(false);
}

std::string sql_quoted(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + "\"";
}

/// An open database; errors name its file.
class Database {
 public:
  explicit Database(const std::string& path) : path_(path) {
    sqlite3* opened = nullptr;
    const int code =
        sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    base_.reset(opened);
    check(code);
  }

  void run(const std::string& sql) {
    check(sqlite3_exec(base_.get(), sql.c_str(), nullptr, nullptr, nullptr));
  }

  void check(int code) const {
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW) return;
    const char* reason = base_ ? sqlite3_errmsg(base_.get()) : sqlite3_errstr(code);
    throw InputError(path_ + ": cannot be written: " + reason);
  }

  [[nodiscard]] sqlite3* get() const { return base_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* base) const { (void)sqlite3_close(base); }
  };
  std::string path_;
  std::unique_ptr<sqlite3, Close> base_;
};

/// An INSERT that is used again for every row.
class Insert {
 public:
  Insert(Database& base, const std::string& table, std::size_t columns) : base_(base) {
    std::string sql = "INSERT INTO " + table + " VALUES (";
    for (std::size_t i = 0; i < columns; ++i) sql += i == 0 ? "?" : ",?";
    sqlite3_stmt* made = nullptr;
    base_.check(sqlite3_prepare_v2(base.get(), (sql + ")").c_str(), -1, &made, nullptr));
    statement_.reset(made);
  }

  void bind(std::size_t column, const std::string& cell, ColumnType type) {
    const int place = static_cast<int>(column) + 1;
    sqlite3_stmt* statement = statement_.get();
    if (cell.empty()) {
      base_.check(sqlite3_bind_null(statement, place));
    } else if (type == ColumnType::boolean) {
      base_.check(sqlite3_bind_int64(statement, place, cell == "true" ? 1 : 0));
    } else if (type == ColumnType::integer) {
      base_.check(sqlite3_bind_int64(statement, place, *as_integer(cell)));
    } else if (type == ColumnType::real) {
      base_.check(sqlite3_bind_double(statement, place, *parse_real(cell)));
    } else {
      // The cell outlives the step that reads it: no copy is needed.
      base_.check(sqlite3_bind_text(statement, place, cell.data(), static_cast<int>(cell.size()), nullptr));
    }
  }

  void step() {
    base_.check(sqlite3_step(statement_.get()));
    base_.check(sqlite3_reset(statement_.get()));
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { (void)sqlite3_finalize(statement); }
  };
  Database& base_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

void write_points(Database& base, const SweepTable& table) {
  std::vector<ColumnType> types;
  std::string sql = "CREATE TABLE points (";
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    types.push_back(type_of(table, i));
    sql += fmt::format("{}{} {}{}", i == 0 ? "" : ", ", sql_quoted(table.columns[i].name), sql_name(types[i]),
                       i == 0 ? " PRIMARY KEY" : "");
  }
  base.run(sql + ")");
  Insert insert(base, "points", types.size());
  for (const std::vector<std::string>& row : table.rows) {
    for (std::size_t i = 0; i < types.size(); ++i) insert.bind(i, row[i], types[i]);
    insert.step();
  }
}

void write_facts(Database& base, const SweepTable& table) {
  base.run("CREATE TABLE sweep (key TEXT, value TEXT)");
  Insert insert(base, "sweep", 2);
  for (const auto& [key, value] : table.facts) {
    insert.bind(0, key, ColumnType::text);
    insert.bind(1, value, ColumnType::text);
    insert.step();
  }
}

}  // namespace

void write_sqlite(const SweepTable& table, const std::string& path) {
  Database base(path);
  // The caller renames the finished file: no journal is needed, and none may be left behind.
  base.run("PRAGMA journal_mode = OFF");
  base.run("BEGIN");
  write_points(base, table);
  write_facts(base, table);
  base.run("COMMIT");
}

}  // namespace kvcast
