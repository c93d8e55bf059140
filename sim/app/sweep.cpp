// kvcast sweep: the command line of its commands.
#include "sim/app/sweep.h"

#include <memory>

#include "sim/app/commands.h"

namespace kvcast {
namespace {

void need(const std::string& value, const char* command, const char* what) {
  if (value.empty())
    throw InputError(std::string(command) + " needs " + what + "; see kvcast " + command + " --help");
}

void add_watch_options(CommandParser app, SweepProgress& watch) {
  app.add_option("--threads", watch.threads,
                 "Threads, one point on each; results are equal for any number (default: all cores)")
      .type_name("N");
  app.add_option("--progress", watch.progress, "Progress on standard error: auto, on, off (default: auto)")
      .type_name("MODE");
  app.add_flag("--quiet", watch.quiet, "No messages: only the files asked for and the exit code");
}

Command add_plan_command(CommandParser parent) {
  auto options = std::make_shared<SweepPlanOptions>();
  const CommandParser app =
      parent.add_subcommand("plan", "Write the manifest: every point, its inputs and their hashes");
  app.add_option("scenario", options->scenario,
                 "Scenario file, or a built-in one of kvcast list scenarios (default: default)")
      .type_name("FILE");
  app.add_option("--vary", options->vary,
                 "Values to take; several --vary make a grid: --vary engine.block_size=16,32 --vary "
                 "cluster.replicas=1,2,4")
      .type_name("A.B=C,D")
      .expected(1)
      .take_all();
  app.add_option("--set", options->settings,
                 "Change a value of every point, as path=value: --set cluster.gpu=h200 (repeatable)")
      .type_name("A.B=C")
      .expected(1)
      .take_all();
  app.add_option("--random", options->random, "Take N combinations of the grid at random instead of all")
      .type_name("N");
  app.add_option("--replications", options->replications,
                 "Run each combination with N seeds: the seed and those after it (default: 1)")
      .type_name("N");
  app.add_option("--seed", options->seed, "First seed (default: the scenario's, else 1); also draws --random")
      .type_name("N");
  app.add_option("--out", options->out, "Where the manifest goes (-: standard output; required)")
      .type_name("FILE");
  add_watch_options(app, options->watch);
  return {app,
          [options] {
            need(options->out, "sweep plan", "--out FILE");
            return sweep_plan(*options);
          },
          {}};
}

Command add_run_command(CommandParser parent) {
  auto options = std::make_shared<SweepRunOptions>();
  const CommandParser app =
      parent.add_subcommand("run", "Run the points, or a shard of them; goes on where it was stopped");
  app.add_option("manifest", options->manifest, "Manifest of kvcast sweep plan").type_name("FILE");
  app.add_option("--out", options->out,
                 "Folder for the results, made if needed; shards may share it (required)")
      .type_name("DIR");
  app.add_option("--shard", options->shard, "Run part i of n alone, for example 3/64 (default: 1/1, all)")
      .type_name("I/N");
  add_watch_options(app, options->watch);
  return {app,
          [options] {
            need(options->manifest, "sweep run", "a manifest");
            need(options->out, "sweep run", "--out DIR");
            return sweep_run(*options);
          },
          {}};
}

Command add_merge_command(CommandParser parent) {
  auto options = std::make_shared<SweepMergeOptions>();
  const CommandParser app =
      parent.add_subcommand("merge", "Write the results of all shards as one table, a row a point");
  app.add_option("dirs", options->dirs, "Folders that kvcast sweep run wrote").type_name("DIR...");
  app.add_option("--csv", options->csv, "Write the table as CSV (-: standard output)").type_name("FILE");
  app.add_option("--sqlite", options->sqlite, "Write the table as an SQLite database, columns typed")
      .type_name("FILE");
  app.add_flag("--partial", options->partial, "Merge although points are missing");
  app.add_flag("--quiet", options->quiet, "No messages: only the files asked for and the exit code");
  return {app,
          [options] {
            need(options->dirs.empty() ? "" : options->dirs.front(), "sweep merge", "a folder");
            return sweep_merge(*options);
          },
          {}};
}

Command add_status_command(CommandParser parent) {
  auto dirs = std::make_shared<std::vector<std::string>>();
  const CommandParser app = parent.add_subcommand(
      "status", "Say what is done and what is missing; exit code 1 while points are missing");
  app.add_option("dirs", *dirs, "Folders that kvcast sweep run wrote").type_name("DIR...");
  return {app,
          [dirs] {
            need(dirs->empty() ? "" : dirs->front(), "sweep status", "a folder");
            return sweep_status(*dirs);
          },
          {}};
}

Command add_export_to(CommandParser parent, const std::string& system, const std::string& description) {
  auto options = std::make_shared<SweepExportOptions>();
  const CommandParser app = parent.add_subcommand(system, description);
  app.add_option("manifest", options->manifest, "Manifest of kvcast sweep plan, as the job will name it")
      .type_name("FILE");
  app.add_option("--shards", options->shards, "Number of shards (required)").type_name("N");
  app.add_option("--out", options->out, "Where the job file goes (-: standard output; required)")
      .type_name("FILE");
  app.add_option("--results", options->results, "Folder for the results (default: results)").type_name("DIR");
  app.add_option("--threads", options->threads, "Threads of each shard (default: 1)").type_name("N");
  if (system == "k8s") {
    options->claim = "kvcast";
    app.add_option("--image", options->image, "Container image with kvcast in its path (required)")
        .type_name("IMAGE");
    app.add_option("--claim", options->claim, "Persistent volume claim, mounted at /work (default: kvcast)")
        .type_name("NAME");
  }
  return {app,
          [options, system] {
            const std::string command = "sweep export " + system;
            need(options->manifest, command.c_str(), "a manifest");
            need(options->shards, command.c_str(), "--shards N");
            need(options->out, command.c_str(), "--out FILE");
            return sweep_export(system, *options);
          },
          {}};
}

Command add_export_command(CommandParser parent) {
  const CommandParser app =
      parent.add_subcommand("export", "Write a job file that runs the shards on a batch system");
  return {app,
          {},
          {add_export_to(app, "slurm", "A Slurm array script, for sbatch"),
           add_export_to(app, "k8s", "A Kubernetes indexed Job, for kubectl apply"),
           add_export_to(app, "mpi", "A script that deals the shards to MPI ranks, for mpirun or srun")}};
}

}  // namespace

Command add_sweep(CommandParser root) {
  const CommandParser app =
      root.add_subcommand("sweep", "Thousands of points: plan, run in shards, resume, merge, export");
  return {app,
          {},
          {add_plan_command(app), add_run_command(app), add_status_command(app), add_merge_command(app),
           add_export_command(app)}};
}

}  // namespace kvcast
