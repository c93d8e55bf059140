#include "sim/sched/queue_order.h"
#include "sim/sched/scheduler.h"

namespace kvcast {

const SchedulerCatalog& scheduler_catalog() {
  static const SchedulerCatalog catalog(
      "scheduler",
      {
          {"vllm-v1", "token budget, chunked prefill, preemption by recompute (vLLM v1)", make_vllm_v1},
          {"vllm-v0", "whole prompts before decodes, preemption by recompute (vLLM v0)", make_vllm_v0},
          {"sarathi", "decodes, then prompts in chunks, in a token budget (Sarathi-Serve, OSDI 2024)",
           make_sarathi},
          {"tensorrt-llm", "in-flight batching: guaranteed_no_evict or max_utilization", make_tensorrt_llm},
          {"continuous", "iteration-level batching, room reserved to the end (Orca, OSDI 2022)",
           make_continuous},
          {"static", "padded batch, run until its longest member ends (Hugging Face generate)", make_static},
      });
  return catalog;
}

const QueueOrderCatalog& queue_order_catalog() {
  static const QueueOrderCatalog catalog(
      "scheduling policy",
      {
          {"fcfs", "first come, first served", make_fcfs},
          {"priority", "smallest priority value first (vLLM)", make_priority},
          {"sjf", "shortest predicted job first", make_shortest_job_first},
          {"edf", "earliest deadline first: arrival and the TTFT target of its SLO class", make_edf},
          {"vtc", "fair share by tenant: virtual token counter (Sheng et al., OSDI 2024)", make_vtc},
      });
  return catalog;
}

}  // namespace kvcast
