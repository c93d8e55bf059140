// kvcast sweep merge and status: what the logs of all shards hold together.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include "reports/format.h"
#include "reports/sweep_report.h"
#include "sim/app/sweep.h"
#include "sim/app/sweep_store.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

struct Gathered {
  SweepManifest manifest;
  std::vector<LogOnDisk> logs;
  std::vector<std::optional<SweepResult>> results;  // by point
};

bool equal(const SweepResult& a, const SweepResult& b) {
  return a.status == b.status && a.reason == b.reason && a.numbers == b.numbers;
}

void add_log(const LogOnDisk& log, Gathered& gathered, std::vector<const LogOnDisk*>& source) {
  for (const SweepResult& result : log.results) {
    std::optional<SweepResult>& known = gathered.results[result.point];
    if (!known) {
      known = result;
      source[result.point] = &log;
    } else if (!equal(*known, result)) {
      throw InputError(fmt::format("point {} has two results that differ, in {} and {}", result.point,
                                   source[result.point]->path, log.path),
                       ExitCode::bad_data);
    }
  }
}

Gathered gather(const std::vector<std::string>& dirs) {
  Gathered gathered;
  gathered.manifest = manifest_of(dirs.front());
  for (const std::string& dir : dirs) {
    if (manifest_of(dir).hash != gathered.manifest.hash)
      throw InputError(fmt::format("{} and {} hold results of unlike manifests", dirs.front(), dir),
                       ExitCode::bad_data);
    std::vector<LogOnDisk> logs = read_logs(dir, gathered.manifest);
    std::move(logs.begin(), logs.end(), std::back_inserter(gathered.logs));
  }
  gathered.results.resize(gathered.manifest.points.size());
  std::vector<const LogOnDisk*> source(gathered.results.size());
  for (const LogOnDisk& log : gathered.logs) add_log(log, gathered, source);
  return gathered;
}

std::vector<std::size_t> missing_points(const Gathered& gathered) {
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < gathered.results.size(); ++i) {
    if (!gathered.results[i]) missing.push_back(i);
  }
  return missing;
}

/// "3, 7-12, 40": at most twenty parts.
std::string ranges_of(const std::vector<std::size_t>& points) {
  constexpr int kPartsMax = 20;
  std::string text;
  int parts = 0;
  for (std::size_t i = 0; i < points.size();) {
    std::size_t end = i;
    while (end + 1 < points.size() && points[end + 1] == points[end] + 1) ++end;
    if (++parts > kPartsMax) return text + fmt::format(", and {} more", points.size() - i);
    text += (text.empty() ? "" : ", ") + std::to_string(points[i]);
    if (end > i) text += "-" + std::to_string(points[end]);
    i = end + 1;
  }
  return text;
}

/// Columns in order of the first point that has them; one that comes later stands behind its own neighbour.
std::vector<std::string> number_columns(const Gathered& gathered) {
  std::vector<std::string> columns;
  std::set<std::string> known;
  for (const auto& result : gathered.results) {
    if (!result) continue;
    std::string before;
    for (const auto& [name, text] : result->numbers) {
      if (known.insert(name).second) {
        const auto neighbour = std::find(columns.begin(), columns.end(), before);
        columns.insert(before.empty() ? columns.begin() : neighbour + 1, name);
      }
      before = name;
    }
  }
  return columns;
}

SweepTable table_of(const Gathered& gathered) {
  const SweepManifest& manifest = gathered.manifest;
  SweepTable table;
  table.facts = {{"manifest", manifest.hash},
                 {"version", manifest.version},
                 {"scenario", manifest.scenario.path},
                 {"scenario_hash", manifest.scenario.hash}};
  for (const InputHash& input : manifest.inputs) table.facts.emplace_back("input " + input.path, input.hash);
  for (const Setting& setting : manifest.settings)
    table.facts.emplace_back("set " + setting.path, setting.value);
  table.columns = {{"id", false}, {"hash", true}};
  for (const Variation& variation : manifest.variations) {
    if (variation.path != "seed") table.columns.push_back({variation.path, false});
  }
  table.columns.insert(table.columns.end(), {{"seed", false}, {"status", true}, {"reason", true}});
  const std::vector<std::string> numbers = number_columns(gathered);
  std::map<std::string, std::size_t> place;
  for (const std::string& name : numbers) {
    place[name] = table.columns.size();
    table.columns.push_back({name, false});
  }
  for (std::size_t i = 0; i < gathered.results.size(); ++i) {
    if (!gathered.results[i]) continue;
    const SweepResult& result = *gathered.results[i];
    std::vector<std::string> row = {std::to_string(i), result.hash};
    for (const Setting& setting : manifest.points[i].settings) {
      if (setting.path != "seed") row.push_back(setting.value);
    }
    row.insert(row.end(), {std::to_string(manifest.points[i].seed), result.status, result.reason});
    row.resize(table.columns.size());
    for (const auto& [name, text] : result.numbers) row[place.at(name)] = text;
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::int64_t count_status(const Gathered& gathered, const char* status) {
  return std::count_if(gathered.results.begin(), gathered.results.end(),
                       [&](const auto& result) { return result && result->status == status; });
}

std::string summary(const Gathered& gathered) {
  return fmt::format("{} run, {} do not fit, {} impossible", grouped(count_status(gathered, "run")),
                     grouped(count_status(gathered, "infeasible")),
                     grouped(count_status(gathered, "impossible")));
}

std::string missing_text(const std::vector<std::size_t>& missing, std::size_t points) {
  return fmt::format("{} of {} points have no result: {}", grouped(static_cast<std::int64_t>(missing.size())),
                     grouped(static_cast<std::int64_t>(points)), ranges_of(missing));
}

}  // namespace

ExitCode sweep_merge(const SweepMergeOptions& options) {
  if (options.csv.empty() && options.sqlite.empty())
    throw InputError("sweep merge needs --csv FILE or --sqlite FILE");
  if (options.sqlite == "-") throw InputError("--sqlite: a database cannot go to standard output");
  const Gathered gathered = gather(options.dirs);
  const std::vector<std::size_t> missing = missing_points(gathered);
  const std::size_t points = gathered.results.size();
  if (!missing.empty() && !options.partial) {
    throw InputError(missing_text(missing, points) +
                         "; run their shards again (finished points are kept), or merge with --partial",
                     ExitCode::bad_data);
  }
  const SweepTable table = table_of(gathered);
  if (!options.csv.empty()) {
    OutputFile file(options.csv);
    file.write(to_csv(table));
    file.commit();
  }
  if (!options.sqlite.empty()) {
    OutputFile file(options.sqlite);
    write_sqlite(table, file.write_path());
    file.commit();
  }
  if (!options.quiet) {
    if (!missing.empty()) fmt::print(stderr, "kvcast: {}\n", missing_text(missing, points));
    fmt::print(stderr, "kvcast: {} points: {}\n", grouped(static_cast<std::int64_t>(table.rows.size())),
               summary(gathered));
  }
  return ExitCode::fine;
}

ExitCode sweep_status(const std::vector<std::string>& dirs) {
  const Gathered gathered = gather(dirs);
  const std::vector<std::size_t> missing = missing_points(gathered);
  const std::size_t points = gathered.results.size();
  fmt::print(
      "{} of {} points are done ({:.1f} %): {}\n",
      grouped(static_cast<std::int64_t>(points - missing.size())), grouped(static_cast<std::int64_t>(points)),
      100 * static_cast<double>(points - missing.size()) / static_cast<double>(points), summary(gathered));
  for (const LogOnDisk& log : gathered.logs) {
    fmt::print("{}: {} results{}\n", log.path, grouped(static_cast<std::int64_t>(log.results.size())),
               log.torn ? ", and one that is being written or was cut off" : "");
  }
  if (missing.empty()) return ExitCode::fine;
  fmt::print("Missing: {}\n", ranges_of(missing));
  return ExitCode::gate_not_met;
}

}  // namespace kvcast
