// kvcast sweep plan: reads every point of a grid once, so that mistakes show before the first run, and writes
// down what the runs rest on.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <mutex>

#include "reports/format.h"
#include "reports/progress.h"
#include "sim/app/compose.h"
#include "sim/app/sweep.h"
#include "sim/app/sweep_manifest.h"
#include "sim/plan/parallel.h"
#include "sim/plan/sweep_points.h"

namespace kvcast {
namespace {

constexpr std::int64_t kCombinationsMax = std::int64_t{1} << 40;  // to draw from
constexpr std::int64_t kSeedMax = std::numeric_limits<std::int64_t>::max();
constexpr const char* kSeedPath = "seed";

/// What reading a point said.
struct ReadPoint {
  std::vector<InputHash> inputs;
  Refusal refused = Refusal::none;
  std::string reason;
};

bool varies_seed(const std::vector<Variation>& variations) {
  return std::any_of(variations.begin(), variations.end(),
                     [](const Variation& variation) { return variation.path == kSeedPath; });
}

/// The combinations that the sweep takes, by number.
std::vector<std::int64_t> take_combinations(const SweepPlanOptions& options,
                                            const std::vector<Variation>& variations, std::int64_t seed) {
  const std::int64_t wanted =
      options.random.empty() ? 0 : parse_integer("--random", options.random, 1, kSweepPointsMax);
  const std::int64_t count = count_combinations(variations, wanted > 0 ? kCombinationsMax : kSweepPointsMax);
  return draw_points(count, wanted > 0 ? wanted : count, static_cast<std::uint64_t>(seed));
}

/// Each combination once for each seed; the seed changes fastest.
void add_points(const SweepPlanOptions& options, std::int64_t seed, SweepManifest& manifest) {
  const bool seeds_given = varies_seed(manifest.variations);
  if (seeds_given && !options.replications.empty())
    throw InputError("--replications and --vary seed both say which seeds to take; leave one out");
  if (seeds_given && !options.seed.empty())
    throw InputError("--seed and --vary seed both say which seed to take; leave one out");
  const std::int64_t replications =
      options.replications.empty()
          ? 1
          : parse_integer("--replications", options.replications, 1, kSweepPointsMax);
  const std::vector<std::int64_t> taken = take_combinations(options, manifest.variations, seed);
  if (static_cast<std::int64_t>(taken.size()) > kSweepPointsMax / replications)
    throw InputError(fmt::format("more than {} points", kSweepPointsMax));
  if (seed > kSeedMax - replications) throw InputError("--replications: the last seeds are too large");
  for (const std::int64_t index : taken) {
    SweepPoint point;
    point.settings = combination(manifest.variations, index);
    const Setting* own = varied_seed(point);
    for (std::int64_t i = 0; i < replications; ++i) {
      point.seed = static_cast<std::uint64_t>(
          own != nullptr ? parse_integer("--vary seed", own->value, 0, kSeedMax) : seed + i);
      manifest.points.push_back(point);
    }
  }
}

ReadPoint read_point(const SweepManifest& manifest, const SweepPoint& point) {
  ReadPoint read;
  std::vector<Setting> settings = manifest.settings;
  const std::vector<Setting> own = settings_of(point);
  settings.insert(settings.end(), own.begin(), own.end());
  try {
    ScenarioText text = open_scenario(manifest.scenario.path, settings);
    read.inputs = input_files(read_scenario(text));
  } catch (const InputError& error) {
    if (error.code() == ExitCode::bad_data) throw;
    read.refused = error.code() == ExitCode::usage ? Refusal::impossible : Refusal::infeasible;
    read.reason = error.what();
  }
  return read;
}

std::vector<ReadPoint> read_points(const SweepManifest& manifest, const SweepProgress& watch) {
  Progress progress(watch.quiet ? ProgressMode::off : parse_progress(watch.progress),
                    static_cast<std::int64_t>(manifest.points.size()), "points read");
  std::vector<ReadPoint> read(manifest.points.size());
  std::mutex drawing;
  std::int64_t done = 0;
  for_each_parallel(read.size(), parse_threads(watch.threads), [&](std::size_t i) {
    read[i] = read_point(manifest, manifest.points[i]);
    const std::lock_guard<std::mutex> lock(drawing);
    progress.update(++done);
  });
  std::vector<PointOutcome> outcomes;
  for (std::size_t i = 0; i < read.size(); ++i)
    outcomes.push_back({manifest.points[i].settings, read[i].refused, read[i].reason});
  refuse_useless_values(outcomes);
  if (manifest.variations.empty() && read.front().refused != Refusal::none)
    throw InputError(read.front().reason);
  return read;
}

/// The files beside the scenario, in order of path, and which of them each point reads.
void add_inputs(const std::vector<ReadPoint>& read, SweepManifest& manifest) {
  std::map<std::string, std::string> hashes;
  for (const ReadPoint& point : read) {
    for (const InputHash& input : point.inputs) {
      if (input.path == manifest.scenario.path) continue;
      const auto [known, added] = hashes.emplace(input.path, input.hash);
      if (!added && known->second != input.hash)
        throw InputError(input.path + ": changed while the sweep was planned", ExitCode::bad_data);
    }
  }
  for (const auto& [path, hash] : hashes) manifest.inputs.push_back({path, hash});
  for (std::size_t i = 0; i < read.size(); ++i) {
    SweepPoint& point = manifest.points[i];
    for (const InputHash& input : read[i].inputs) {
      const auto place = hashes.find(input.path);
      if (place == hashes.end()) continue;
      point.inputs.push_back(static_cast<std::size_t>(std::distance(hashes.begin(), place)));
    }
    std::sort(point.inputs.begin(), point.inputs.end());
    point.hash = point_hash(manifest, point);
  }
}

void say_planned(const SweepManifest& manifest, const std::vector<ReadPoint>& read, const std::string& out) {
  const auto refused = std::count_if(read.begin(), read.end(),
                                     [](const ReadPoint& point) { return point.refused != Refusal::none; });
  std::string text = fmt::format("{} points", grouped(static_cast<std::int64_t>(manifest.points.size())));
  if (refused > 0)
    text +=
        fmt::format(", of which {} cannot run and will say why", grouped(static_cast<std::int64_t>(refused)));
  fmt::print(stderr, "kvcast: {}; next: kvcast sweep run {} --out DIR\n", text, out == "-" ? "FILE" : out);
}

}  // namespace

ExitCode sweep_plan(const SweepPlanOptions& options) {
  SweepManifest manifest;
  manifest.version = KVCAST_VERSION;
  manifest.settings = parse_settings(options.settings);
  manifest.variations = parse_variations(options.vary);
  ScenarioText text = open_scenario(options.scenario, manifest.settings);
  manifest.scenario = {text.path, text.hash};
  const std::int64_t seed = options.seed.empty() ? text.config.get_int(kSeedPath, {0, kSeedMax}, 1)
                                                 : parse_integer("--seed", options.seed, 0, kSeedMax);
  add_points(options, seed, manifest);
  OutputFile out(options.out);
  const std::vector<ReadPoint> read = read_points(manifest, options.watch);
  add_inputs(read, manifest);
  out.write(to_json(manifest));
  out.commit();
  if (!options.watch.quiet) say_planned(manifest, read, options.out);
  return ExitCode::fine;
}

}  // namespace kvcast
