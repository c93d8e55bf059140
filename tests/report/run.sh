#!/usr/bin/env bash
# Makes reports of every kind and checks them in headless Chromium (check.mjs).
#
#   tests/report/run.sh KVCAST FOLDER [--screenshots]
#
# Exit code 77 (skipped) where node, Chromium or the npm packages puppeteer-core and axe-core are absent. The packages are looked for in
# $KVCAST_NODE_MODULES (a folder that holds node_modules), Chromium in $CHROMIUM; docs/reports.md says how to get them.
set -euo pipefail

kvcast=$1
folder=$2
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
export KVCAST_NODE_MODULES=${KVCAST_NODE_MODULES:-$here}
export CHROMIUM=${CHROMIUM:-$(command -v chromium || true)}
for package in puppeteer-core axe-core; do
  if ! command -v node >/dev/null || [[ -z "$CHROMIUM" || ! -d "$KVCAST_NODE_MODULES/node_modules/$package" ]]; then
    echo "skipped: the pages need node, Chromium and the npm packages puppeteer-core and axe-core (docs/reports.md)"
    exit 77
  fi
done
mkdir -p "$folder/in"
make() { "$kvcast" "$@" --quiet || (($? == 1 || $? == 3)); }  # a missed SLO, a plan without a winner: still a report
make simulate --report "$folder/simulate.html"
make simulate with-kv-cache --report "$folder/simulate-small.html"
make compare --vary engine.kv_cache_dtype=auto,fp8 --vary engine.block_size=16,32 --report "$folder/compare.html"
make plan "$here/../plans/10-out-of-reach.yaml" --report "$folder/plan-infeasible.html"
make plan --report "$folder/plan.html"
make memory --model deepseek-v3 --gpu h200 --tensor-parallel-size 8 --report "$folder/memory.html"
make memory --model llama-3.1-405b --report "$folder/memory-refused.html"
node "$here/inputs.mjs" "$folder/in"
"$kvcast" calibrate import "$folder/in/gemm_perf.csv" --out "$folder/in/import.jsonl" --report "$folder/calibrate-import.html" >"$folder/log"
"$kvcast" calibrate steps "$folder/in/steps.jsonl" "$folder/in/steps-slow.jsonl" --out "$folder/in/steps-fit.jsonl" --report "$folder/calibrate-steps.html" >>"$folder/log"
"$kvcast" calibrate --device cpu --quick --out "$folder/in/cpu.jsonl" --report "$folder/calibrate.html" --progress off >>"$folder/log"
node "$here/inputs.mjs" "$folder/in" "$folder/in/cpu.jsonl"
make regress "$folder/in/cpu.jsonl" "$folder/in/slower.jsonl" --report "$folder/regress.html"
make simulate --requests "$folder/in/rows.jsonl"
make simulate --set workload.synthetic.requests=2000 --seed 2 --requests "$folder/in/rows-2.jsonl"
make validate default --measured "$folder/in/rows.jsonl" "$folder/in/rows-2.jsonl" --set engine.step_time.speed_factor=1.08 --report "$folder/validate.html"
make validate --engine-log "$here/../scenarios/inputs/engine-log.jsonl" --calibration "$folder/in/steps-fit.jsonl" --report "$folder/validate-engine-log.html"
logs=${KVCAST_DATA:-$here/../../../shared/data}/oracles/vllm_schedule
if [[ -d $logs ]]; then
  make validate --decisions "$logs"/fcfs_plain.jsonl.gz "$logs"/chunk_512.jsonl.gz --report "$folder/validate-decisions.html"
else
  echo "the page of validate --decisions is left out: no decision logs in \$KVCAST_DATA"
fi
options=()
[[ "${3:-}" != --screenshots ]] || options=(--screenshots "$folder/screenshots")
exec node "$here/check.mjs" "${options[@]}" "$folder"/*.html
