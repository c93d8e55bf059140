/// The parts of `kvcast sweep`: one function for each of its commands.
#pragma once

#include <string>
#include <vector>

#include "sim/app/experiments.h"
#include "sim/base/error.h"

namespace kvcast {

/// Options that plan and run share.
struct SweepProgress {
  std::string threads;
  std::string progress = "auto";
  bool quiet = false;
};

struct SweepPlanOptions {
  std::string scenario = "default";
  std::vector<std::string> settings, vary;
  std::string seed, random, replications;
  std::string out;
  SweepProgress watch;
};
/// Writes the manifest. \throws InputError for grids that hold nothing or a useless value
[[nodiscard]] ExitCode sweep_plan(const SweepPlanOptions& options);

struct SweepRunOptions {
  std::string manifest, out;
  std::string shard = "1/1";
  SweepProgress watch;
};
/// Runs what a shard has not run yet. \throws InputError where an input is not as the manifest has it
[[nodiscard]] ExitCode sweep_run(const SweepRunOptions& options);

struct SweepMergeOptions {
  std::vector<std::string> dirs;
  std::string csv, sqlite;
  bool partial = false;
  bool quiet = false;
};
/// Writes the results of all folders as one table, in order of point. \throws InputError (bad_data) for
/// points without a result (unless `partial`) or with two that differ
[[nodiscard]] ExitCode sweep_merge(const SweepMergeOptions& options);
/// Says what is done and what is missing. \returns gate_not_met while points are missing
[[nodiscard]] ExitCode sweep_status(const std::vector<std::string>& dirs);

struct SweepExportOptions {
  std::string manifest, out;
  std::string shards, threads;
  std::string results = "results";
  std::string image, claim;  // Kubernetes
};
/// The file that runs the sweep on a batch system: "slurm", "k8s" or "mpi".
[[nodiscard]] ExitCode sweep_export(const std::string& system, const SweepExportOptions& options);

}  // namespace kvcast
