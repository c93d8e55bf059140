#!/usr/bin/env bash
# Does `kvcast completion bash` complete? Calls the function as bash does, with COMP_WORDS set.
#
#   tests/first_use/completion.sh KVCAST
set -uo pipefail
kvcast=$(readlink -f "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
ln -s "$kvcast" "$folder/kvcast"
PATH="$folder:$PATH"
source <(kvcast completion bash)
faults=0

# reply WORD...: what is offered for the last word
reply() {
  COMP_WORDS=(kvcast "$@")
  COMP_CWORD=$#
  COMPREPLY=()
  _kvcast
}
# offers WHAT NOT WORD...: WHAT is among the replies, NOT is none of them ("-": nothing is excluded)
offers() {
  local what=$1 never=$2
  shift 2
  reply "$@"
  local all=" ${COMPREPLY[*]} "
  if [[ "$all" != *" $what "* ]]; then
    echo "kvcast $*: $what is not offered, but:$all"
    faults=$((faults + 1))
  fi
  if [[ "$never" != - && "$all" == *" $never "* ]]; then
    echo "kvcast $*: $never is offered"
    faults=$((faults + 1))
  fi
}

offers simulate --seed ""
offers simulate sweep si
offers stats simulate trace ""
offers import - calibrate ""
offers --prometheus --replicas simulate --
offers --json --seed simulate --j
offers --eviction - trace cache --
offers auto - simulate --progress ""
offers off auto simulate --progress of
offers default - simulate def
offers llama-3.1-8b - init --model llama-3.1-8
offers h200 h100-sxm memory --gpu h2
offers routers - list ""
offers fish bash completion f
offers cuda - calibrate --device ""
offers vllm-0.32 - init --engine-profile vllm
touch "$folder/a scenario.yaml"
cd "$folder"
reply simulate a
[[ "${COMPREPLY[*]}" == *"a scenario.yaml"* ]] || { echo "files are not offered: ${COMPREPLY[*]}"; faults=$((faults + 1)); }

for shell in zsh fish; do
  kvcast completion "$shell" >"$folder/script.$shell"
  if command -v "$shell" >/dev/null; then
    "$shell" -n "$folder/script.$shell" || { echo "$shell cannot read its script"; faults=$((faults + 1)); }
  fi
done
((faults > 0)) || echo "bash completes"
exit $((faults > 0))
