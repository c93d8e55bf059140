#include "sim/app/sweep_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "sim/app/outputs.h"
#include "sim/base/file.h"
#include "sim/plan/sweep_log.h"

namespace kvcast {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kManifestBytesMax = std::size_t{1} << 30;
constexpr std::size_t kLogBytesMax = std::size_t{1} << 32;
constexpr const char* kManifestName = "manifest.json";

std::string manifest_path(const std::string& dir) { return (fs::path(dir) / kManifestName).string(); }

void check_header(const ScannedLog& log, const std::string& path, const SweepManifest& manifest) {
  if (parse_log_header(log.payloads.front(), path).manifest == manifest.hash) return;
  throw InputError(path + ": holds results of another manifest; give each sweep a folder of its own",
                   ExitCode::bad_data);
}

LogOnDisk parse_log(std::string_view bytes, const std::string& path, const SweepManifest& manifest) {
  const ScannedLog scanned = scan_log(bytes, path);
  LogOnDisk log{path, {}, scanned.good_bytes < bytes.size()};
  if (scanned.payloads.empty()) return log;
  check_header(scanned, path, manifest);
  for (std::size_t i = 1; i < scanned.payloads.size(); ++i) {
    SweepResult result = parse_result(scanned.payloads[i], path, static_cast<int>(i) + 1);
    if (result.point >= manifest.points.size() || manifest.points[result.point].hash != result.hash) {
      throw InputError(fmt::format("{}:{}: is a result of another manifest", path, i + 1),
                       ExitCode::bad_data);
    }
    log.results.push_back(std::move(result));
  }
  return log;
}

void sync_file(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = file >= 0 && fsync(file) == 0;
  const int reason = errno;
  if (file >= 0) (void)close(file);
  if (!synced) throw InputError(path + ": cannot be written: " + std::strerror(reason));
}

}  // namespace

SweepManifest read_manifest(const std::string& path) {
  return parse_manifest(read_file(path, kManifestBytesMax, ExitCode::bad_data), path);
}

SweepManifest manifest_of(const std::string& dir) {
  std::error_code error;
  if (!fs::exists(manifest_path(dir), error)) {
    throw InputError(dir + ": holds no manifest.json: it is no folder that kvcast sweep run --out wrote",
                     ExitCode::bad_data);
  }
  return read_manifest(manifest_path(dir));
}

void adopt_manifest(const std::string& dir, const std::string& path, const SweepManifest& manifest,
                    const std::string& writer) {
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) throw InputError(dir + ": cannot be created: " + error.message());
  const std::string own = manifest_path(dir);
  if (!fs::exists(own, error)) {
    // Shards start together, on machines where process ids may be equal: each writes the same bytes to a file
    // of its own and renames it.
    const std::string mine = own + "." + writer;
    OutputFile file(mine);
    file.write(read_file(path, kManifestBytesMax, ExitCode::bad_data));
    file.commit();
    sync_file(mine);
    fs::rename(mine, own, error);
    if (error) throw InputError(own + ": cannot be created: " + error.message());
    sync_folder(own);
  }
  if (read_manifest(own).hash != manifest.hash) {
    throw InputError(own + ": is another manifest than " + path + "; give each sweep a folder of its own",
                     ExitCode::bad_data);
  }
}

std::vector<LogOnDisk> read_logs(const std::string& dir, const SweepManifest& manifest) {
  std::vector<std::string> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("results-") && name.ends_with(".log")) paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<LogOnDisk> logs;
  for (const std::string& path : paths)
    logs.push_back(parse_log(read_file(path, kLogBytesMax, ExitCode::bad_data), path, manifest));
  return logs;
}

std::string log_path(const std::string& dir, std::size_t shard, std::size_t shards) {
  return (fs::path(dir) / fmt::format("results-{}-of-{}.log", shard, shards)).string();
}

ShardLog::ShardLog(const std::string& path, const SweepManifest& manifest)
    : log_(path, {to_json(SweepLogHeader{manifest.hash}),
                  [&](const ScannedLog& log) { check_header(log, path, manifest); },
                  "another kvcast sweep run is writing this shard; wait for it or stop it"}) {}

}  // namespace kvcast
