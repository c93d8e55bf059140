#include <algorithm>

#include "sim/base/text.h"
#include "workloads/csv.h"
#include "workloads/length_file.h"
#include "workloads/trace_format.h"

namespace kvcast {

const Catalog<TraceFormat>& trace_formats() {
  static const Catalog<TraceFormat> catalog(
      "trace format",
      {
          {"azure", "Azure LLM inference traces 2023 and 2024, CSV (Patel et al., Splitwise, ISCA 2024)",
           azure_format()},
          {"mooncake",
           "Mooncake FAST'25 JSON lines with 512-token block hashes, and their like (Qin et al., FAST 2025)",
           mooncake_format()},
          {"weka",
           "Claude Code agent sessions with 64-token block hashes (kv-cache-tester), JSON or run-length JSON "
           "lines",
           weka_format()},
          {"lmcache", "LMCache agent traces as lengths and hashes in characters, JSON lines",
           lmcache_format()},
          {"llmservingsim", "LLMServingSim workloads, JSON lines, with or without token ids",
           llmservingsim_format()},
          {"servegen", "ServeGen client statistics (Alibaba Model Studio): requests are drawn from them",
           servegen_format()},
          {"burstgpt", "BurstGPT CSV (Wang et al., 2024): Timestamp, Request tokens, Response tokens",
           burstgpt_format()},
          {"vidur", "Vidur's processed traces, CSV: arrived_at, num_prefill_tokens, num_decode_tokens",
           vidur_format()},
          {"engine-log", "the requests of a real engine's log with its steps, JSON lines (header, request, step)",
           engine_log_format()},
          {"kvcast", "kvcast's own JSON lines: lengths, content, priorities, tenants, closed-loop sessions",
           kvcast_format()},
      });
  return catalog;
}

const CatalogEntry<TraceFormat>& detect_format(const TraceFile& file) {
  const std::string head = head_of(file, kHeadBytes);
  for (const auto& entry : trace_formats().entries()) {
    if (entry.make.recognises(head)) return entry;
  }
  if (is_length_file(head)) {
    bad_trace(file.name, 1, 1,
              "these are lengths without arrivals: name the file under workload.synthetic.lengths.empirical "
              "and give arrivals");
  }
  std::string known;
  for (const std::string& name : trace_formats().names()) known += (known.empty() ? "" : ", ") + name;
  if (head.empty()) bad_trace(file.name, 1, 1, "the file is empty");
  bad_trace(file.name, 1, 1, "no known trace format begins like this (known: " + known + ")");
}

}  // namespace kvcast
