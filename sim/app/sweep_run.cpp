// kvcast sweep run: one shard of a sweep, from where it was left.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <mutex>

#include "reports/format.h"
#include "reports/progress.h"
#include "reports/report.h"
#include "sim/app/sweep.h"
#include "sim/app/sweep_store.h"
#include "sim/base/embedded.h"
#include "sim/base/hash.h"
#include "sim/base/text.h"
#include "sim/plan/parallel.h"
#include "sim/plan/sweep_points.h"

namespace kvcast {
namespace {

constexpr std::int64_t kShardsMax = kSweepPointsMax;

struct Shard {
  std::size_t index = 1;  // from 1
  std::size_t count = 1;
};

Shard parse_shard(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos)
    throw InputError("--shard " + text + ": a shard reads i/n, for example --shard 3/64");
  const std::int64_t count = parse_integer("--shard " + text, text.substr(slash + 1), 1, kShardsMax);
  const std::int64_t index = parse_integer("--shard " + text, text.substr(0, slash), 1, count);
  return {static_cast<std::size_t>(index), static_cast<std::size_t>(count)};
}

void check_input(const InputHash& input, const std::string& found) {
  if (found == input.hash) return;
  throw InputError(
      fmt::format("{}: changed since the sweep was planned (hash {}, planned with {}): plan again, "
                  "or bring the old file back",
                  input.path, found, input.hash),
      ExitCode::bad_data);
}

std::string hash_of_input(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    for (const EmbeddedFile& file : embedded_files()) {
      if (file.path == path) return content_hash(file.text);
    }
    throw InputError(
        path + ": there is no such file here; run the sweep from the folder that it was planned in",
        ExitCode::bad_data);
  }
  return file_hash(path);
}

/// Everything that the results rest on is as it was.
void check_inputs(const SweepManifest& manifest) {
  if (manifest.version != KVCAST_VERSION) {
    throw InputError(
        fmt::format("the manifest was made by kvcast {}, this is {}: forecasts may differ; plan again",
                    manifest.version, KVCAST_VERSION),
        ExitCode::bad_data);
  }
  check_input(manifest.scenario, hash_of_input(manifest.scenario.path));
  for (const InputHash& input : manifest.inputs) check_input(input, hash_of_input(input.path));
}

/// A run's own list of inputs against the manifest's: a file may change between two points.
void check_inputs(const SweepManifest& manifest, const SweepPoint& point, const Forecast& forecast) {
  for (const InputHash& used : forecast.inputs) {
    if (used.path == manifest.scenario.path) {
      check_input(manifest.scenario, used.hash);
      continue;
    }
    const auto planned = std::find_if(point.inputs.begin(), point.inputs.end(), [&](std::size_t input) {
      return manifest.inputs[input].path == used.path;
    });
    if (planned == point.inputs.end())
      throw InputError(used.path + ": the sweep was planned without this file; plan again",
                       ExitCode::bad_data);
    check_input(manifest.inputs[*planned], used.hash);
  }
}

/// Said of every run alike, or not asked for in a sweep: no column.
bool is_column(const std::string& name) {
  return name != "schema_version" && name != "seed" && !name.starts_with("uncertainty.");
}

SweepResult run_one(const SweepManifest& manifest, std::size_t index) {
  const SweepPoint& point = manifest.points[index];
  SweepResult result;
  result.point = index;
  result.hash = point.hash;
  const RanPoint ran = run_point(manifest.scenario.path, manifest.settings, settings_of(point));
  result.reason = ran.reason;
  if (!ran.run) {
    result.status = ran.refused == Refusal::impossible ? "impossible" : "infeasible";
    return result;
  }
  check_inputs(manifest, point, ran.run->forecast);
  result.status = "run";
  for (const NamedNumber& number : numbers_of(ran.run->forecast)) {
    if (is_column(number.name)) result.numbers.emplace_back(number.name, number.text);
  }
  return result;
}

/// What the shard has left to do: what no log in the folder holds, however it was sharded before.
std::vector<std::size_t> points_left(const SweepManifest& manifest, const std::string& dir,
                                     const Shard& shard) {
  std::vector<char> done(manifest.points.size(), 0);
  for (const LogOnDisk& log : read_logs(dir, manifest)) {
    for (const SweepResult& result : log.results) done[result.point] = 1;
  }
  std::vector<std::size_t> left = points_of_shard(manifest.points.size(), shard.index, shard.count);
  left.erase(std::remove_if(left.begin(), left.end(), [&](std::size_t point) { return done[point] != 0; }),
             left.end());
  return left;
}

void run_points(const SweepManifest& manifest, const std::vector<std::size_t>& left, ShardLog& log,
                const SweepProgress& watch) {
  Progress progress(watch.quiet ? ProgressMode::off : parse_progress(watch.progress),
                    static_cast<std::int64_t>(left.size()), "points");
  std::mutex writing;
  std::int64_t done = 0;
  std::atomic<bool> stopped{false};  // after an error the others end; what they have is kept
  for_each_parallel(left.size(), parse_threads(watch.threads), [&](std::size_t i) {
    if (stopped) return;
    try {
      const std::string payload = to_json(run_one(manifest, left[i]));
      const std::lock_guard<std::mutex> lock(writing);
      log.append(payload);
      progress.update(++done);
    } catch (...) {
      stopped = true;
      throw;
    }
  });
}

}  // namespace

ExitCode sweep_run(const SweepRunOptions& options) {
  const Shard shard = parse_shard(options.shard);
  const SweepManifest manifest = read_manifest(options.manifest);
  check_inputs(manifest);
  adopt_manifest(options.out, options.manifest, manifest, fmt::format("{}-of-{}", shard.index, shard.count));
  ShardLog log(log_path(options.out, shard.index, shard.count), manifest);
  const std::vector<std::size_t> left = points_left(manifest, options.out, shard);
  const std::size_t mine = points_of_shard(manifest.points.size(), shard.index, shard.count).size();
  if (!options.watch.quiet) {
    if (log.cut_bytes() > 0)
      fmt::print(stderr, "kvcast: the last result was not whole and is run again ({} bytes cut)\n",
                 log.cut_bytes());
    if (left.size() < mine)
      fmt::print(stderr, "kvcast: {} of {} points are done already\n",
                 grouped(static_cast<std::int64_t>(mine - left.size())),
                 grouped(static_cast<std::int64_t>(mine)));
  }
  run_points(manifest, left, log, options.watch);
  if (!options.watch.quiet)
    fmt::print(stderr, "kvcast: shard {}/{} is done: {} points in {}\n", shard.index, shard.count,
               grouped(static_cast<std::int64_t>(mine)), options.out);
  return ExitCode::fine;
}

}  // namespace kvcast
