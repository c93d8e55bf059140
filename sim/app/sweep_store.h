/// A sweep on disk: DIR/manifest.json and a result log for each shard that ran into DIR.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/app/durable_log.h"
#include "sim/app/sweep_manifest.h"

namespace kvcast {

/// \throws InputError (bad_data) where the file cannot be read or is no manifest
[[nodiscard]] SweepManifest read_manifest(const std::string& path);

/// The manifest that DIR's results belong to.
/// \throws InputError (bad_data) where DIR is no folder that `sweep run` wrote
[[nodiscard]] SweepManifest manifest_of(const std::string& dir);

/// Makes DIR and puts the manifest's file into it, byte for byte, where it is not there yet.
/// \param writer tells this process from others that do the same at the same time: the shard
/// \throws InputError where DIR cannot be made, or holds results of another manifest
void adopt_manifest(const std::string& dir, const std::string& manifest_path, const SweepManifest& manifest,
                    const std::string& writer);

/// One log as it stands on the disk.
struct LogOnDisk {
  std::string path;
  std::vector<SweepResult> results;
  bool torn = false;  // its last line is not whole: it is being written, or was when the machine stopped
};

/// Every log of DIR, in order of name. Logs may be growing: a torn end is not an error.
/// \throws InputError (bad_data) for damage, and for results that are not of `manifest`
[[nodiscard]] std::vector<LogOnDisk> read_logs(const std::string& dir, const SweepManifest& manifest);

/// Contract: appends results to one log, as DurableLog does.
class ShardLog {
 public:
  /// Opens or makes the log and cuts off a torn end.
  /// \throws InputError where another process holds it, where it is damaged or of another manifest, and where
  /// the disk says no
  ShardLog(const std::string& path, const SweepManifest& manifest);

  /// \throws InputError where the disk says no
  void append(std::string_view payload) { log_.append(payload); }
  /// Bytes of a torn end that were cut off.
  [[nodiscard]] std::size_t cut_bytes() const { return log_.cut_bytes(); }

 private:
  DurableLog log_;
};

/// DIR's log of a shard: "results-3-of-64.log".
[[nodiscard]] std::string log_path(const std::string& dir, std::size_t shard, std::size_t shards);

}  // namespace kvcast
