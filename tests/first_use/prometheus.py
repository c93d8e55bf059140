"""Checks `kvcast simulate --prometheus` with readers of its own: Prometheus' Python client parses the text, the histograms'
buckets are those of vLLM 0.32.0, counts add up, and `promtool check metrics` finds no error where promtool is installed.

    python3 prometheus.py KVCAST FOLDER

Exit code 77 (skipped) without the Python package prometheus_client.
"""
import pathlib
import shutil
import subprocess
import sys

try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

# vLLM 0.32.0, vllm/v1/metrics/buckets.py.
LATENCY = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680]
TTFT = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560]
ITL = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80]
TOKENS = [m * 10**e for e in range(5) for m in (1, 2, 5) if m * 10**e <= 32768]
BUCKETS = {
    "vllm:time_to_first_token_seconds": TTFT,
    "vllm:inter_token_latency_seconds": ITL,
    "vllm:request_time_per_output_token_seconds": ITL,
    "vllm:e2e_request_latency_seconds": LATENCY,
    "vllm:request_queue_time_seconds": LATENCY,
    "vllm:request_inference_time_seconds": LATENCY,
    "vllm:request_prefill_time_seconds": LATENCY,
    "vllm:request_decode_time_seconds": LATENCY,
    "vllm:request_prompt_tokens": TOKENS,
    "vllm:request_generation_tokens": TOKENS,
    "vllm:request_max_num_generation_tokens": TOKENS,
    "vllm:request_prefill_kv_computed_tokens": TOKENS,
    "vllm:request_params_max_tokens": TOKENS,
    "vllm:iteration_tokens_total": [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384],
    "vllm:request_params_n": [1, 2, 5, 10, 20],
    "vllm:request_num_preemptions": [1, 2, 3, 4, 5, 10, 20],
}
OTHERS = {"vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc", "vllm:cache_config_info",
          "vllm:prompt_tokens", "vllm:generation_tokens", "vllm:num_preemptions", "vllm:prefix_cache_queries",
          "vllm:prefix_cache_hits", "vllm:prompt_tokens_cached", "vllm:request_success"}

folder = pathlib.Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
path = folder / "metrics.prom"
REQUESTS = 500
subprocess.run([sys.argv[1], "simulate", "default", "--set", f"workload.synthetic.requests={REQUESTS}", "--set", "workload.max_tokens=output",
                "--prometheus", str(path), "--quiet"], check=True)
text = path.read_text()
faults = []


def check(condition, what):
    if not condition:
        faults.append(what)


families = {family.name: family for family in text_string_to_metric_families(text)}
for name in OTHERS | set(BUCKETS):
    check(name in families, f"{name} is missing")
for name, bounds in BUCKETS.items():
    if name not in families:
        continue
    family = families[name]
    check(family.type == "histogram", f"{name} is a {family.type}")
    buckets = [(float(s.labels["le"]), s.value) for s in family.samples if s.name.endswith("_bucket")]
    check([bound for bound, _ in buckets] == [float(b) for b in bounds] + [float("inf")], f"{name} has other buckets than vLLM: {buckets}")
    counts = [count for _, count in buckets]
    check(counts == sorted(counts), f"{name}: buckets are not cumulative")
    count = [s.value for s in family.samples if s.name.endswith("_count")]
    check(count == counts[-1:], f"{name}: _count is not the last bucket")
    if name.startswith("vllm:request_") and "per_output" not in name:
        check(count == [REQUESTS], f"{name} counts {count}, not every request")
done = sum(s.value for s in families["vllm:request_success"].samples)
check(done == REQUESTS, f"{done} requests of {REQUESTS} are done")
promtool = shutil.which("promtool")
if promtool:
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    # Status 3: remarks on style, which are vLLM's names (colons, gauges that end in perc).
    check(checked.returncode in (0, 3), f"promtool: {checked.stdout}{checked.stderr}")
else:
    print("promtool is not installed: that check is left out")
for fault in faults:
    print(fault)
print(f"{len(families)} metrics, {len(faults)} faults")
sys.exit(len(faults) > 0)
