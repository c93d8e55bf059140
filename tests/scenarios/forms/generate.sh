#!/bin/sh
# Writes the scenarios of this folder: every form of KV cache on three kinds of models under a scheduler each, and
# forms that need an engine of their own. Their output is the requests' rows, timed by a formula, so that it depends on
# what a form decides and not on a data sheet: KVCAST_REWRITE=1 ctest -R scenario/forms writes it.
set -eu
cd "$(dirname "$0")"
# Only what this script wrote: the folder holds others' scenarios too.
grep -l '^# Written by generate.sh.$' ./*.yaml | xargs -r rm -f

# scenario NAME MODEL ENGINE WORKLOAD: the last two are further lines of those sections
scenario() {
  cat >"$1.yaml" <<END
# args: simulate $1.yaml --quiet --requests -
# Written by generate.sh.
model: $2
cluster: {gpu: h100-sxm, replicas: 2}
engine:
  max_model_len: 8192
  step_time: {affine: {base_us: 5000, per_token_us: 20, per_context_token_us: 0.05}}
$3workload:
  synthetic:
    requests: 10
    arrivals: {process: poisson, rate: 30}
    input: {lognormal: {mean: 900, cv: 1}}
    output: {lognormal: {mean: 60, cv: 1}}
    max: 4096
    prefix: {groups: 2, tokens: 200}
$4seed: 7
END
}

# The lines that make a form of the engine.
form_lines() {
  case $1 in
    paged) ;;
    prefix-arc) echo '  enable_prefix_caching: true'; echo '  prefix_cache_eviction: arc' ;;
    ring) echo '  allocator: ring'; echo '  ring: {window: 512}' ;;
    sinks) echo '  allocator: sinks'; echo '  sinks: {window: 508}' ;;
    sinks-in-layers) echo '  allocator: sinks'; echo '  sinks: {window: 508, layers: [1, 3, 5]}' ;;
    h2o | tova | scissorhands | quest) echo "  allocator: $1"; echo "  $1: {budget: 256}" ;;
    snapkv | pyramidkv) echo "  allocator: $1"; echo "  $1: {prompt_budget: 256}" ;;
    kivi)
      echo '  block_size: 32'
      echo '  max_num_seqs: 64'
      echo '  kv_quantization: {dtype: int2, keys: per_channel, group_size: 32, residual_window: 128}'
      ;;
    fp8-skip) echo '  kv_cache_dtype: fp8'; echo '  kv_cache_dtype_skip_layers: [0, 1]' ;;
    cla) echo '  model_overrides: {cross_layer_sharing: 2}' ;;
    yoco) echo '  model_overrides: {yoco_window: 512}' ;;
    k-is-v) echo '  model_overrides: {key_value_sharing: true}' ;;
    linear) echo '  model_overrides: {linear_attention_layers: [1, 3, 5]}' ;;
    streaming) echo '  model_overrides: {streaming_layers: [1, 3, 5], streaming_window: 512}' ;;
    gqa-4) echo '  model_overrides: {num_key_value_heads: 4}' ;;
  esac
}

turn=0
for form in paged prefix-arc ring sinks sinks-in-layers h2o tova scissorhands snapkv pyramidkv quest kivi fp8-skip cla \
  yoco k-is-v linear streaming gqa-4; do
  for model in llama-3.1-8b gpt-oss-20b qwen3-30b-a3b; do
    turn=$((turn + 1))
    scheduler=$(echo 'vllm-v1 vllm-v0 sarathi continuous static tensorrt-llm' | cut -d' ' -f$((turn * 5 % 6 + 1)))
    scenario "$form-$model-$scheduler" "$model" "  scheduler: $scheduler
$(form_lines "$form")
" ''
  done
done
for model in llama-3.1-8b gpt-oss-20b qwen3-30b-a3b; do
  scenario "tiers-$model" "$model" '  kv_offload: {host_gib: 8, ssd_gib: 64}
' ''
  scenario "samples-$model-vllm-v0" "$model" '  scheduler: vllm-v0
  enable_prefix_caching: false
' '  n: 4
'
  scenario "beams-$model-vllm-v0" "$model" '  scheduler: vllm-v0
  enable_prefix_caching: false
' '  beam_width: 4
'
  scenario "samples-$model-vllm-v1" "$model" '' '  n: 4
'
  scenario "swap-$model-vllm-v0" "$model" '  scheduler: vllm-v0
  preemption: swap
' ''
  scenario "sglang-$model" "$model" '  profile: sglang-0.5
' ''
done
