#!/bin/sh
# measure.sh KVCAST BLOCK_OPERATIONS TRACE LIMIT [KEY=VALUE...]: instructions (callgrind) for each block operation of a
# plain, a prefix-cached and a tiered run of the same trace, of the whole process and of the simulation alone.
set -eu
kvcast=$1
operations=$2
trace=$3
limit=$4
shift 4
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
instructions() {
  valgrind --tool=callgrind --callgrind-out-file="$work/out" "$@" 2>&1 >"$work/stdout" | sed -n 's/.*Collected : //p'
}
for form in engine.enable_prefix_caching=false engine.enable_prefix_caching=true 'engine.kv_offload={host_gib: 256}'; do
  set -- "$@" "workload={trace: {path: $trace, limit: $limit}}" engine.step_time.roofline=true "$form"
  sum=$("$operations" default "$@" | tee "$work/counts" | sed 's/.*sum //')
  sets=''
  for setting in "$@"; do sets="$sets --set '$setting'"; done
  all=$(eval "instructions '$kvcast' simulate --threads 1 --quiet $sets")
  inside=$(callgrind_annotate --inclusive=yes "$work/out" | sed -n 's/^ *\([0-9,]*\) .*kvcast::run(.*/\1/p' | head -1 | tr -d ,)
  echo "$form"
  echo "  $(cat "$work/counts")"
  awk -v a="$all" -v i="$inside" -v s="$sum" 'BEGIN { printf "  whole process %.1f M, %.1f each; simulation %.1f M, %.1f each\n", a/1e6, a/s, i/1e6, i/s }'
done
