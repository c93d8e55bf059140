#!/usr/bin/env bash
# A sweep that is killed with -9 again and again ends with the same bytes as one that is not, however it is sharded.
#
#   tests/sweep/check.sh build/kvcast FOLDER            200 points, 5 kills: what ctest runs
#   tests/sweep/check.sh build/kvcast FOLDER 2000 10    the long form
#
# Where they are installed, Slurm's and MPI's job files are tried for real: KVCAST_SWEEP_MPIRUN="mpirun --oversubscribe"
# runs the MPI script; sbatch --test-only reads the Slurm script where a cluster answers.
set -euo pipefail

kvcast=$(realpath "$1")
work=$2
points=${3:-200}
kills=${4:-5}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

fail() {
  echo "check.sh: $*" >&2
  exit 1
}

# expect CODE TEXT COMMAND...: the command ends with CODE and says TEXT.
expect() {
  local code=$1 text=$2 got=0 said
  shift 2
  said=$("$@" 2>&1) || got=$?
  [[ "$got" == "$code" ]] || fail "exit code $got instead of $code of: $* ($said)"
  [[ "$said" == *"$text"* ]] || fail "'$text' is not in what was said by: $* ($said)"
}

same() { cmp "$1" "$2" || fail "$1 and $2 differ"; }

results_in() {
  local found
  found=$(grep -c '"status"' "$1" 2>/dev/null) || true
  echo "${found:-0}"
}

rm -rf "$work"
mkdir -p "$work"
cd "$work"
cp "$here/base.yaml" .
for ((i = 0; i < 300; ++i)); do
  printf '{"id": "r%d", "arrival_us": %d, "input_tokens": %d, "output_tokens": %d}\n' \
    "$i" $((i * 5000 + i * i % 997)) $((1 + i * 37 % 900)) $((1 + i * 53 % 200))
done >trace.jsonl

# Some points are impossible (more sequences than a step's tokens): results too.
replications=$((points / 40))
plan=("$kvcast" sweep plan base.yaml --quiet --vary "engine.max_num_seqs=4,16,64,256"
  --vary "engine.max_num_batched_tokens=128,2048" --vary "engine.scheduler=vllm-v1,vllm-v0,sarathi,static,tensorrt-llm")
"${plan[@]}" --replications "$replications" --out manifest.json
"${plan[@]}" --replications "$replications" --out again.json --threads 1
same manifest.json again.json
total=$((40 * replications))
run=("$kvcast" sweep run manifest.json --progress off)

# The unbroken run.
"${run[@]}" --quiet --out whole
"$kvcast" sweep merge whole --quiet --csv whole.csv --sqlite whole.db
[[ $(wc -l <whole.csv) == $((total + 1)) ]] || fail "whole.csv has $(wc -l <whole.csv) lines"
expect 0 "points are done (100.0 %)" "$kvcast" sweep status whole

# Killed with -9 again and again: nothing that was done is done twice.
log=killed/results-1-of-1.log
for ((kill = 1; kill <= kills; ++kill)); do
  "${run[@]}" --quiet --out killed &
  pid=$!
  target=$((kill * total / (kills + 1)))
  while (($(results_in "$log") < target)); do
    kill -0 "$pid" 2>/dev/null || fail "the run ended before kill $kill"
    sleep 0.002
  done
  kill -9 "$pid"
  wait "$pid" 2>/dev/null && fail "run $kill was not killed"
done
expect 1 "Missing" "$kvcast" sweep status killed
expect 4 "points have no result" "$kvcast" sweep merge killed --csv partial.csv
"$kvcast" sweep merge killed --quiet --partial --csv partial.csv
"${run[@]}" --quiet --out killed
[[ $(results_in "$log") == "$total" ]] || fail "the log of the killed run holds $(results_in "$log") results"
"$kvcast" sweep merge killed --quiet --csv killed.csv --sqlite killed.db
same whole.csv killed.csv
same whole.db killed.db

# Three shards in folders of their own, other numbers of threads, merged in any order; five in one folder, at once.
for shard in 1 2 3; do "${run[@]}" --quiet --out "third-$shard" --shard "$shard/3" --threads "$shard"; done
"$kvcast" sweep merge third-3 third-1 third-2 --quiet --csv thirds.csv --sqlite thirds.db
same whole.csv thirds.csv
same whole.db thirds.db
for shard in 1 2 3 4 5; do "${run[@]}" --quiet --out fifths --shard "$shard/5" --threads 1 & done
wait
"$kvcast" sweep merge fifths --quiet --csv fifths.csv
same whole.csv fifths.csv
expect 0 "are done already" "${run[@]}" --out fifths --shard 1/2 # sharded otherwise: nothing is left

# Torn ends are cut and run again; damage before whole results is refused.
cp -r killed torn
size=$(stat -c %s torn/results-1-of-1.log)
truncate -s $((size - 7)) torn/results-1-of-1.log
expect 0 "the last result was not whole" "${run[@]}" --out torn
"$kvcast" sweep merge torn --quiet --csv torn.csv
same whole.csv torn.csv
cp -r killed flipped
printf 'X' | dd of=flipped/results-1-of-1.log bs=1 seek=$((size / 2)) conv=notrunc status=none
expect 4 "is damaged" "${run[@]}" --out flipped
expect 4 "is damaged" "$kvcast" sweep merge flipped --csv -

# Job files: read by their shell, and run where the systems are there.
for system in slurm mpi; do
  "$kvcast" sweep export "$system" manifest.json --shards 4 --out "job.$system"
  bash -n "job.$system"
done
"$kvcast" sweep export k8s manifest.json --shards 4 --image kvcast:latest --out job.yaml
for rank in 2 0 1; do
  KVCAST="$kvcast" OMPI_COMM_WORLD_RANK=$rank OMPI_COMM_WORLD_SIZE=3 bash job.mpi 2>/dev/null
done
"$kvcast" sweep merge results --quiet --csv ranks.csv
same whole.csv ranks.csv
rm -r results
for task in 4 2 1 3; do KVCAST="$kvcast" SLURM_ARRAY_TASK_ID=$task bash job.slurm 2>/dev/null; done
"$kvcast" sweep merge results --quiet --csv tasks.csv
same whole.csv tasks.csv
if [[ -n "${KVCAST_SWEEP_MPIRUN:-}" ]]; then
  rm -r results
  KVCAST="$kvcast" $KVCAST_SWEEP_MPIRUN -n 4 bash job.mpi
  "$kvcast" sweep merge results --quiet --csv mpirun.csv
  same whole.csv mpirun.csv
fi

# An input that changed is refused, a manifest that changed too, and another manifest's folder.
sed 's/"seed":1,/"seed":7,/' manifest.json >changed.json
expect 4 "does not fit it" "$kvcast" sweep run changed.json --out changed
"${plan[@]}" --seed 5 --out other.json
expect 4 "is another manifest" "$kvcast" sweep run other.json --out whole
sed -i 's/"output_tokens": 1}/"output_tokens": 2}/' trace.jsonl
expect 4 "trace.jsonl: changed since the sweep was planned" "${run[@]}" --out late
echo "check.sh: $total points, $kills kills: equal bytes"
