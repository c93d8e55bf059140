// kvcast sweep export: files that run the shards of a sweep on batch systems. They are made to be read and
// edited.
#include <fmt/format.h>

#include <cstdio>

#include "sim/app/sweep.h"
#include "sim/app/sweep_store.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

/// What every file is made from; words are quoted for a POSIX shell.
struct JobFacts {
  std::string name;  // of the job: "kvcast-1f2e3d4c"
  std::string manifest, results;
  std::string image, claim;
  std::int64_t shards = 1;
  std::int64_t threads = 1;
  std::size_t points = 0;
};

std::string slurm_script(const JobFacts& job) {
  return fmt::format(R"(#!/bin/bash
# {points} points in {shards} shards, one array task each. Submit it in the folder that the sweep was planned in: sbatch FILE
# A task that was stopped goes on where it was; finished points are kept. Then: kvcast sweep merge {results} --csv FILE
#SBATCH --job-name={name}
#SBATCH --array=1-{shards}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={threads}
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
exec "${{KVCAST:-kvcast}}" sweep run {manifest} --out {results} --shard "$SLURM_ARRAY_TASK_ID/{shards}" \
  --threads "${{SLURM_CPUS_PER_TASK:-{threads}}}" --progress off
)",
                     fmt::arg("points", job.points), fmt::arg("shards", job.shards),
                     fmt::arg("name", job.name), fmt::arg("threads", job.threads),
                     fmt::arg("manifest", job.manifest), fmt::arg("results", job.results));
}

std::string mpi_script(const JobFacts& job) {
  return fmt::format(R"(#!/bin/bash
# {points} points in {shards} shards, dealt to the ranks of an MPI job; any number of ranks will do. Run it in the folder that the
# sweep was planned in: mpirun -n {shards} bash FILE   (or, under Slurm: srun -n {shards} bash FILE)
# A job that was stopped goes on where it was; finished points are kept. Then: kvcast sweep merge {results} --csv FILE
set -euo pipefail
rank=${{OMPI_COMM_WORLD_RANK:-${{PMIX_RANK:-${{PMI_RANK:-${{SLURM_PROCID:-}}}}}}}}
size=${{OMPI_COMM_WORLD_SIZE:-${{PMI_SIZE:-${{SLURM_NTASKS:-}}}}}}
if [[ -z "$rank" || -z "$size" ]]; then
  echo "no rank and size in the environment: run this under mpirun or srun" >&2
  exit 2
fi
for ((shard = rank + 1; shard <= {shards}; shard += size)); do
  "${{KVCAST:-kvcast}}" sweep run {manifest} --out {results} --shard "$shard/{shards}" --threads {threads} --progress off
done
)",
                     fmt::arg("points", job.points), fmt::arg("shards", job.shards),
                     fmt::arg("threads", job.threads), fmt::arg("manifest", job.manifest),
                     fmt::arg("results", job.results));
}

std::string kubernetes_job(const JobFacts& job) {
  // A pod that is evicted comes back and goes on; one that always fails must end some day.
  const std::int64_t failures_max = 4 * job.shards;
  return fmt::format(
      R"(# {points} points in {shards} shards, one pod each. The claim's volume holds the folder that the sweep was planned in.
# A pod that was stopped goes on where it was; finished points are kept. Then: kvcast sweep merge {results} --csv FILE
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
  labels:
    app.kubernetes.io/name: kvcast
spec:
  completionMode: Indexed
  completions: {shards}
  parallelism: {shards}
  backoffLimit: {failures_max}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: kvcast
    spec:
      restartPolicy: OnFailure
      containers:
        - name: kvcast
          image: "{image}"
          workingDir: /work
          command:
            - /bin/sh
            - -c
            - >-
              exec "${{KVCAST:-kvcast}}" sweep run {manifest} --out {results}
              --shard "$((JOB_COMPLETION_INDEX + 1))/{shards}" --threads {threads} --progress off
          resources:
            requests:
              cpu: "{threads}"
              memory: 1Gi
          volumeMounts:
            - name: work
              mountPath: /work
      volumes:
        - name: work
          persistentVolumeClaim:
            claimName: "{claim}"
)",
      fmt::arg("points", job.points), fmt::arg("shards", job.shards), fmt::arg("name", job.name),
      fmt::arg("failures_max", failures_max), fmt::arg("image", job.image), fmt::arg("claim", job.claim),
      fmt::arg("threads", job.threads), fmt::arg("manifest", job.manifest), fmt::arg("results", job.results));
}

/// A word that means itself in a POSIX shell inside a YAML block: quotes and line breaks would need both.
std::string plain_path(const char* what, const std::string& path) {
  constexpr const char* kSafe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (path.empty() || path.front() == '-' || path.find_first_not_of(kSafe) != std::string::npos)
    throw InputError(
        fmt::format("{}: {} cannot be written into a job file; letters, digits and _@%+=:,./- can", what,
                    kvcast::quoted(path)));
  return path;
}

std::string job_text(const std::string& system, const JobFacts& job) {
  if (system == "slurm") return slurm_script(job);
  if (system == "mpi") return mpi_script(job);
  KVCAST_CHECK(system == "k8s");
  return kubernetes_job(job);
}

}  // namespace

ExitCode sweep_export(const std::string& system, const SweepExportOptions& options) {
  const SweepManifest manifest = read_manifest(options.manifest);
  JobFacts job;
  job.points = manifest.points.size();
  job.name = "kvcast-" + manifest.hash.substr(0, 8);
  job.manifest = plain_path("the manifest", options.manifest);
  job.results = plain_path("--results", options.results);
  job.shards = parse_integer("--shards", options.shards, 1, static_cast<std::int64_t>(job.points));
  job.threads = options.threads.empty() ? 1 : parse_integer("--threads", options.threads, 1, 1024);
  if (system == "k8s") {
    if (options.image.empty())
      throw InputError("sweep export k8s needs --image, a container image with kvcast in its path");
    job.image = plain_path("--image", options.image);
    job.claim = plain_path("--claim", options.claim);
  }
  OutputFile out(options.out);
  out.write(job_text(system, job));
  out.commit();
  return ExitCode::fine;
}

}  // namespace kvcast
