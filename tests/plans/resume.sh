#!/usr/bin/env bash
# A plan that is killed again and again and started again from its journal gives the bytes of an unbroken one.
# usage: resume.sh KVCAST DIR [KILLS]
set -euo pipefail

kvcast=$(realpath "$1")
dir=$2
kills=${3:-3}
rm -rf "$dir"
mkdir -p "$dir"
cd "$dir"

plan=(plan --gpu 'l40s,h100-sxm' --tp '1,2' --max-gpus 8 --set 'workload.synthetic={profile: azure-conv, requests: 3000, arrivals: {process: poisson, rate: 12}}'
  --progress off --quiet)
"$kvcast" "${plan[@]}" --json unbroken.json

lines() { if [[ -e journal.log ]]; then wc -l <journal.log; else echo 0; fi; }
runs_before=0
for ((kill = 1; kill <= kills; ++kill)); do
  "$kvcast" "${plan[@]}" --journal journal.log --json broken.json &
  pid=$!
  # Some runs further than last time, then without warning.
  while kill -0 "$pid" 2>/dev/null && (($(lines) < runs_before + 8)); do sleep 0.01; done
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  runs=$(lines)
  if ((runs <= runs_before)); then
    echo "kill $kill: the journal did not grow ($runs_before, then $runs lines)" >&2
    exit 1
  fi
  runs_before=$runs
done
# What the kill left of a line that was being written.
printf 'torn' >>journal.log
"$kvcast" "${plan[@]}" --journal journal.log --json broken.json
cmp unbroken.json broken.json
runs=$(lines)

# Everything is known now: nothing is simulated and nothing is added.
"$kvcast" "${plan[@]}" --journal journal.log --json broken.json
cmp unbroken.json broken.json
if (($(lines) != runs)); then
  echo "a finished plan simulated runs again" >&2
  exit 1
fi

# Another plan does not take these runs for its own.
if "$kvcast" "${plan[@]}" --seed 5 --journal journal.log --json other.json 2>refusal.txt; then
  echo "the journal of another plan was taken" >&2
  exit 1
fi
grep -q "is the journal of another plan" refusal.txt
echo "$kills kills, $runs lines: equal bytes"
