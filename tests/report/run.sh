#!/usr/bin/env bash
# Makes one report of each kind and checks them in headless Chromium (check.mjs).
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
mkdir -p "$folder"
"$kvcast" simulate --report "$folder/simulate.html" --quiet || (($? == 1))
"$kvcast" simulate with-kv-cache --report "$folder/simulate-small.html" --quiet || (($? == 1))
"$kvcast" compare --vary engine.kv_cache_dtype=auto,fp8 --vary engine.block_size=16,32 --report "$folder/compare.html" --quiet
"$kvcast" plan "$here/../plans/10-out-of-reach.yaml" --report "$folder/plan-infeasible.html" --quiet || (($? == 3))
"$kvcast" plan --report "$folder/plan.html" --quiet || (($? == 3))
options=()
[[ "${3:-}" != --screenshots ]] || options=(--screenshots "$folder/screenshots")
exec node "$here/check.mjs" "${options[@]}" "$folder"/*.html
