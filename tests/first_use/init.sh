#!/usr/bin/env bash
# Does what `kvcast init` writes run as written, from the folder that it is for?
#
#   tests/first_use/init.sh KVCAST FOLDER
set -euo pipefail
kvcast=$(readlink -f "$1")
folder=$2
rm -rf "$folder"
mkdir -p "$folder/traces" "$folder/scenarios"
cd "$folder"
{
  echo "TIMESTAMP,ContextTokens,GeneratedTokens"
  for i in $(seq 0 99); do printf '2023-11-16 18:%02d:%02d.0000000,%d,%d\n' $((15 + i / 60)) $((i % 60)) $((100 + 37 * i)) $((20 + i)); done
} >traces/day.csv
run() {  # a forecast that misses an SLO would be no fault of the file
  "$kvcast" simulate "$1" --quiet --json - --set "${2:-seed=1}" >"$1.json"
  grep -q '"completed": [1-9]' "$1.json"
}
"$kvcast" init --model llama-3.1-8b --trace traces/day.csv --out scenarios/day.yaml
(cd scenarios && run day.yaml)
run scenarios/day.yaml
grep -q '"completed": 100,' scenarios/day.yaml.json
for model in qwen3-30b-a3b llama-3.1-70b gpt-oss-20b deepseek-v3; do
  gpu=h100-sxm
  [[ $model != deepseek-v3 ]] || gpu=h200
  "$kvcast" init --model "$model" --gpu "$gpu" --out "$model.yaml"
  run "$model.yaml" workload.synthetic.requests=50
done
# Every line that is commented out is a default: with all of them in force the result is the same.
sed -E 's/^( *)# ([a-z_]+: [^ ]+)$/\1\2/' llama-3.1-70b.yaml >all.yaml
! cmp -s all.yaml llama-3.1-70b.yaml
run all.yaml workload.synthetic.requests=50
diff <(grep -E '"(completed|mean_ttft_ms|p99_tpot_ms|duration)"' all.yaml.json) \
     <(grep -E '"(completed|mean_ttft_ms|p99_tpot_ms|duration)"' llama-3.1-70b.yaml.json)
if "$kvcast" init --model llama-3.1-8b --out all.yaml 2>/dev/null; then echo "a file was overwritten" && exit 1; fi
echo "what init writes runs"
