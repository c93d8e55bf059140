// Writes the small input files of the reports that need measurements: a table of kernel timings, a step log, two files of
// kernel timings of which some got slower. All are made up from a formula and a fixed sequence of numbers.
//
//   node inputs.mjs FOLDER
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = process.argv[2];
mkdirSync(folder, { recursive: true });
let state = 12345;
const uniform = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
const noise = (spread) => 1 + spread * (uniform() + uniform() + uniform() - 1.5);

const gemm = ["framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency"];
for (const [n, k] of [[4096, 4096], [6144, 4096], [14336, 4096], [28672, 4096], [4096, 14336], [8192, 8192], [1024, 8192], [5120, 5120]])
  for (const m of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192]) {
    const ms = (1.5e-3 + Math.max((2 * n * k) / 2.9e9, (2 * m * n * k) / 6.5e11)) * noise(0.08);
    gemm.push(`VLLM,0.24.0,NVIDIA H100 80GB HBM3,gemm,default,bfloat16,${m},${n},${k},${ms.toFixed(6)}`);
  }
writeFileSync(join(folder, "gemm_perf.csv"), gemm.join("\n") + "\n");

const stepLog = (count, slow) => {
  const lines = [];
  let at = 0;
  for (let i = 0; i < count; ++i) {
    const decodes = 1 + Math.floor(uniform() * 24);
    const chunk = i % 5 === 0 ? 16 + Math.floor(uniform() * 480) : 0;
    const scheduled = Array.from({ length: decodes }, (_, s) => [`r${s}`, 1, 100 + Math.floor(uniform() * 900)]);
    if (chunk) scheduled.push([`p${i}`, chunk, 0]);
    const context = scheduled.reduce((sum, [, , computed]) => sum + computed, 0);
    const us = (5200 + 90 * decodes + 0.9 * context + 34 * chunk) * noise(0.05) * slow;
    lines.push(JSON.stringify({ step: { start_us: Math.round(at), dur_us: Math.round(us), scheduled } }));
    at += us;
  }
  return lines.join("\n") + "\n";
};
writeFileSync(join(folder, "steps.jsonl"), stepLog(900, 1));
writeFileSync(join(folder, "steps-slow.jsonl"), stepLog(400, 1.06));

// A second file of timings from a first: some kernels slower, some faster, one gone.
//
//   node inputs.mjs FOLDER BASE.jsonl   -> FOLDER/slower.jsonl
if (process.argv[3]) {
  const changed = [];
  let count = 0;
  for (const line of readFileSync(process.argv[3], "utf8").trim().split("\n")) {
    const parsed = JSON.parse(line);
    if (!parsed.record) { changed.push(line); continue; }
    const record = parsed.record;
    const turn = count++ % 12;
    if (turn === 11 && !record.sentinel) continue;
    const factor = record.sentinel ? 1 : turn === 3 ? 1.13 : turn === 7 ? 0.88 : 1;
    for (const key of ["min", "p5", "q1", "median", "q3", "p95"]) if (record.ns[key]) record.ns[key] *= factor;
    if (record.samples_ns) record.samples_ns = record.samples_ns.map((ns) => Math.round(ns * factor * noise(0.004)));
    changed.push(JSON.stringify(parsed));
  }
  writeFileSync(join(folder, "slower.jsonl"), changed.join("\n") + "\n");
}
