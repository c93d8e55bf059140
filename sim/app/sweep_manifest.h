/// The manifest of a sweep: every point that will be run, and what it rests on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/app/grid.h"
#include "sim/metrics/forecast.h"

namespace kvcast {

/// One run of a sweep. Its number is its place in SweepManifest::points.
struct SweepPoint {
  std::vector<Setting> settings;  // a value for each variation, in their order
  std::uint64_t seed = 1;
  std::vector<std::size_t> inputs;  // places in SweepManifest::inputs, beside the scenario
  std::string hash;                 // point_hash()
};

struct SweepManifest {
  std::string version;  // of the kvcast that made it; another one may forecast other numbers
  InputHash scenario;
  std::vector<Setting> settings;  // of all points (--set)
  std::vector<Variation> variations;
  std::vector<InputHash> inputs;  // model files, traces, calibrations; in order of path
  std::vector<SweepPoint> points;
  std::string hash;  // of the file's bytes; set by parse_manifest()
};

inline constexpr std::int64_t kSweepPointsMax = 100'000;

/// Tells what decides a point's result: version, scenario, settings, seed and the content of its inputs.
[[nodiscard]] std::string point_hash(const SweepManifest& manifest, const SweepPoint& point);

/// The settings that run a point, beside SweepManifest::settings.
[[nodiscard]] std::vector<Setting> settings_of(const SweepPoint& point);

/// JSON, one point a line. \throws InputError where a path is not UTF-8
[[nodiscard]] std::string to_json(const SweepManifest& manifest);

/// \param name stands for the file in messages
/// \throws InputError (bad_data) "name:line:column: ..." for what to_json() does not write, hashes that do
/// not fit their points included
[[nodiscard]] SweepManifest parse_manifest(std::string_view text, const std::string& name);

/// Column type and place of "seed" among the variations; nullptr where the seed is not varied.
[[nodiscard]] const Setting* varied_seed(const SweepPoint& point);

/// One result of a sweep's log.
struct SweepResult {
  std::size_t point = 0;
  std::string hash;    // of the point
  std::string status;  // "run", "infeasible", "impossible"
  std::string reason;  // why it was not run
  /// Name and JSON text of each number, as simulate --csv has them; "": unknown.
  std::vector<std::pair<std::string, std::string>> numbers;
};

/// The first record of a log: whose results these are.
struct SweepLogHeader {
  std::string manifest;  // SweepManifest::hash
};

[[nodiscard]] std::string to_json(const SweepResult& result);
/// \param line of the file, for messages
/// \throws InputError (bad_data) for what to_json() does not write
[[nodiscard]] SweepResult parse_result(std::string_view payload, const std::string& name, int line);

[[nodiscard]] std::string to_json(const SweepLogHeader& header);
/// \throws InputError (bad_data)
[[nodiscard]] SweepLogHeader parse_log_header(std::string_view payload, const std::string& name);

}  // namespace kvcast
