#!/usr/bin/env python3
"""Each planning problem beside this script, searched and simulated exhaustively: docs/planning.md's table.

usage: check.py KVCAST [NAME...]      (needs only the standard library; writes Markdown to standard output)

Problems with traces look for them below $KVCAST_DATA/traces. Exits with 1 where the search's winner costs more than the exhaustive one or is further from its limits than its own
interval explains, or where the search took more than a tenth of the work. Exhaustive runs take minutes.
"""
import json
import os
import pathlib
import subprocess
import sys
import time


def run(kvcast, scenario, *options):
    start, cpu = time.monotonic(), os.times().children_user
    done = subprocess.run([kvcast, "plan", str(scenario.resolve()), "--json", "-", "--progress", "off", *options],
                          capture_output=True, text=True, check=False,
                          cwd=pathlib.Path(os.environ["KVCAST_DATA"]) / "traces" if "KVCAST_DATA" in os.environ else None)
    seconds = (os.times().children_user - cpu, time.monotonic() - start)
    if done.returncode not in (0, 3):
        sys.exit(f"{scenario}: {done.stderr}")
    return json.loads(done.stdout), seconds


def best(plan):
    return plan["winner"] or plan["nearest"][0]


def closeness(found, true):
    """How far apart two points of equal cost are: none, or within the interval of the term nearest to its limit."""
    if found["label"] == true["label"]:
        return "the same"
    term = max(found["slo"], key=lambda t: t["value_ms"] / t["limit_ms"])
    low, high = term["interval_ms"] or (term["value_ms"], term["value_ms"])
    if low / term["limit_ms"] <= true["strain"] <= high / term["limit_ms"] or found["strain"] <= true["strain"]:
        return "within its interval"
    return "NO"


def main():
    kvcast = str(pathlib.Path(sys.argv[1]).resolve())
    names = sys.argv[2:]
    failures = 0
    print("| problem | points | excluded by bounds | winner | USD/h | exhaustive winner | USD/h | agrees | work | search, CPU s | wall s | simulated exhaustively | CPU s |")
    print("|---|---:|---:|---|---:|---|---:|---|---:|---:|---:|---:|---:|")
    for scenario in sorted(pathlib.Path(__file__).parent.glob("*.yaml")):
        if names and not any(scenario.stem.startswith(name) for name in names):
            continue
        plan, seconds = run(kvcast, scenario)
        everything, long_seconds = run(kvcast, scenario, "--exhaustive")
        found, true = best(plan), best(everything)
        agrees = closeness(found, true) if found["cost_per_hour"] <= true["cost_per_hour"] or not plan["winner"] else "NO"
        if (plan["winner"] is None) != (everything["winner"] is None):
            agrees = "NO"
        search = plan["search"]
        share = search["work_share"]
        failures += agrees == "NO" or share > 0.1
        print(f"| {scenario.stem} | {search['points']:,} | {search['points_excluded_by_bounds']:,} | {found['label']} | "
              f"{found['cost_per_hour']:.2f} | {true['label']} | {true['cost_per_hour']:.2f} | {agrees} | {100 * share:.1f} % | "
              f"{seconds[0]:.1f} | {seconds[1]:.1f} | {everything['search']['runs']} of {search['points']:,} | {long_seconds[0]:.0f} |", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
