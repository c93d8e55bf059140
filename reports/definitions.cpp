#include "reports/definitions.h"

#include <fmt/format.h>

#include "reports/html_parts.h"
#include "reports/svg.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

struct Definition {
  const char* key;
  const char* name;
  const char* text;
};

constexpr Definition kDefinitions[] = {
    {"ttft", "TTFT", "time to first token: first token - arrival, queueing included"},
    {"tpot", "TPOT",
     "time per output token: (last token - first token) / (N - 1) of a request with N > 1 output tokens. "
     "GuideLLM "
     "calls it ITL"},
    {"itl", "ITL",
     "inter-token latency: all gaps between tokens of all requests, pooled. AIPerf calls it "
     "inter_chunk_latency"},
    {"ntpot", "NTPOT", "normalised time per output token: E2EL / N. GuideLLM calls it TPOT"},
    {"e2el", "E2EL", "end-to-end latency: last token - arrival"},
    {"queue", "Queue", "time in the queue: first scheduled - arrival"},
    {"percentile", "percentile",
     "p99 is the value that 99 % of the completed requests stay at or below, interpolated linearly as numpy "
     "does"},
    {"throughput", "Throughput", "completed requests / duration"},
    {"output", "Output throughput", "generated tokens of completed requests / duration"},
    {"goodput", "Goodput", "requests that meet every term of the SLO / duration"},
    {"duration", "Duration", "last token - first arrival, in simulated time"},
    {"slo", "SLO", "service level objective: the latencies that were asked for"},
    {"kv_usage", "KV usage", "blocks of the KV cache in use / all blocks"},
    {"kv_waste", "KV waste", "slots of blocks in use that hold no token (internal fragmentation)"},
    {"kv_fragmentation", "KV external fragmentation", "free slots outside the largest free run / free slots"},
    {"speculative", "Speculative decoding",
     "a cheap drafter proposes tokens and one step of the model verifies them all; the answer stays the "
     "same"},
    {"copy_on_write", "Saved by copy on write",
     "blocks that the answers of one request share / blocks that they "
     "would hold without sharing"},
    {"preemption", "Preemption",
     "a running sequence gave its KV blocks back because none was free; it is computed again or copied back "
     "later"},
    {"prefix_hit", "Prefix hit rate",
     "cached prompt tokens / prompt tokens, at first admission; tokens, not requests"},
    {"running", "Running", "sequences in the batch of an engine"},
    {"waiting", "Waiting", "requests in the queue of an engine, not in its batch"},
    {"busy", "GPU busy", "time in engine steps / (duration x replicas)"},
    {"hbm", "HBM bandwidth", "bytes moved / bytes that the data sheet's bandwidth moves in the duration"},
    {"flop", "Tensor cores", "FLOP done / FLOP that the data sheet's rate does in the duration"},
    {"step", "Step",
     "one pass of the engine over its batch; every sequence in it computes a chunk of its prompt or one "
     "token"},
    {"closed_form", "Closed form",
     "runs of steps that are computed at once, by a formula that equals the steps one by one"},
    {"budget", "KV budget", "what is left of a GPU's memory for the KV cache after everything else"},
    {"kv_tokens", "KV cache", "tokens that the blocks of one replica hold, as the engine reports it"},
    {"kv_concurrency", "At once", "requests of max_model_len tokens that the KV cache holds side by side"},
    {"kv_longest", "Longest request", "the largest max_model_len that passes the engine's check"},
    {"weights", "Weights", "parameters, buffers and copies made after loading"},
    {"per_gpu", "tok/s a GPU", "generated tokens a second / GPUs of the cluster"},
    {"interactivity", "tok/s a user", "interactivity: 1 / median TPOT, the tokens a second that a user sees"},
    {"pareto", "Pareto front", "the points that no other beats in both directions"},
    {"knee", "Knee", "the rate beyond which more requests offered no longer bring more goodput"},
    {"head_room", "Head room", "1 - value / limit: how far a latency stays below its limit"},
    {"nearest_term", "Nearest term",
     "the term of the SLO whose value is nearest to its limit (value / limit), or "
     "furthest above it"},
    {"probability", "Probability", "the share of resampled traffics for which every term of the SLO is met"},
    {"interval", "90 % interval",
     "the range that holds the number in 90 % of resampled traffics, or of the errors that "
     "a calibration states"},
    {"interval95", "95 % interval", "the range that holds the change with 95 % confidence"},
    {"significant", "Significant",
     "the difference stands out from chance, with at most 10 % of all marks expected to "
     "be false (Benjamini and Hochberg)"},
    {"cost_hour", "USD an hour", "GPUs x price of a GPU and hour; nothing but GPUs"},
    {"cost_tokens", "Cost of a million tokens",
     "price of the GPUs while the run lasts / generated tokens, at this load"},
    {"held_out", "Held out", "measured, but kept from the fit that is judged here"},
    {"fit_error", "Error", "|forecast / measured - 1|"},
    {"log_error", "Error", "|log(forecast / measured)|: 0.1 is about 10 %"},
    {"error", "Error", "forecast / measured - 1"},
    {"cause", "Cause", "the part of the forecast that most of the largest error comes from"},
    {"efficiency", "Efficiency", "time that the data sheet's bandwidth and rate allow / measured time"},
    {"noise_floor", "Threshold",
     "what noise alone may change: 5 % of kernels below 20 us, 3 % below 100 us, else 2 %; up to 1.3 times "
     "that where "
     "unchanged kernels scatter more, and at least 8 % between two devices"},
    {"sentinel", "Sentinel",
     "a workload that does not change between builds; it tells whether the device did"},
};

const Definition& find(std::string_view key) {
  const Definition* found = nullptr;
  for (const Definition& definition : kDefinitions) {
    if (key == definition.key) found = &definition;
  }
  KVCAST_CHECK(found != nullptr);
  return *found;
}

std::string reference(const char* key) { return fmt::format("aria-describedby=\"def-{}\"", key); }

}  // namespace

const char* definition_of(std::string_view key) { return find(key).text; }

std::string html_term(std::string_view key, std::string_view text) {
  const Definition& definition = find(key);
  return fmt::format("<span class=\"term\" tabindex=\"0\" {} data-tip=\"{}\">{}</span>",
                     reference(definition.key), escaped(definition.text),
                     escaped(text.empty() ? definition.name : text));
}

std::string html_glossary(const std::string& html) {
  std::string list;
  for (const Definition& definition : kDefinitions) {
    if (html.find(reference(definition.key)) == std::string::npos) continue;
    list += fmt::format("<dt>{}</dt><dd id=\"def-{}\">{}</dd>\n", escaped(definition.name), definition.key,
                        escaped(definition.text));
  }
  if (list.empty()) return "";
  return html_section(
      "definitions", "Definitions",
      "Tools give the same names to different numbers. Here they mean:", "<dl>\n" + list + "</dl>\n");
}

}  // namespace kvcast
