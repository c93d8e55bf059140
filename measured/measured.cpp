#include "measured/measured.h"

#include <fmt/format.h>

#include <cmath>

#include "measured/readers.h"
#include "sim/base/error.h"
#include "workloads/lines.h"

namespace kvcast {
namespace {

constexpr std::size_t kDocumentBytesMax = std::size_t{256} << 20;
constexpr std::size_t kHeadBytes = 4096;
constexpr const char* kKnown =
    "known: the JSON of vllm bench serve, SGLang bench_serving's JSON lines, GuideLLM's benchmarks.json, "
    "AIPerf's "
    "profile_export_aiperf.json and profile_export.jsonl, inference-perf's *_lifecycle_metrics.json, kvcast "
    "simulate "
    "--requests";

constexpr const char* kGuidellmNote =
    "GuideLLM's inter_token_latency is compared as TPOT and its time_per_output_token (latency / tokens) as "
    "NTPOT";
constexpr const char* kAiperfNote =
    "AIPerf's inter_token_latency is compared as TPOT and its inter_chunk_latency as ITL";
constexpr const char* kInferencePerfNote =
    "inference-perf's inter_token_latency counts gaps between chunks: where chunks hold several tokens it is "
    "longer than "
    "the gaps between tokens";

[[noreturn]] void fail_unknown(const std::string& path) {
  throw InputError(path + ": no result file that kvcast knows (" + kKnown + ")", ExitCode::bad_data);
}

std::string name_of(const MeasuredLoad& load) {
  std::string text;
  if (load.rate) text = std::isinf(*load.rate) ? "all at once" : fmt::format("{:g} requests/s", *load.rate);
  if (load.concurrency) text += fmt::format("{}{} in flight", text.empty() ? "" : ", ", *load.concurrency);
  return text.empty() ? "the run" : text;
}

/// One document that is the whole file.
bool read_document(const JsonValue& root, MeasuredFile& measured) {
  const ResultDocument document{&root, measured.path};
  if (is_guidellm(root)) {
    measured.tool = "GuideLLM";
    measured.note = kGuidellmNote;
    measured.loads = read_guidellm(document);
  } else if (is_inference_perf(root)) {
    measured.tool = "inference-perf";
    measured.note = kInferencePerfNote;
    measured.loads.push_back(read_inference_perf_result(document));
  } else if (is_sglang_bench(root)) {
    measured.tool = "SGLang bench_serving";
    measured.loads.push_back(read_sglang_bench(document));
  } else if (is_vllm_bench(root)) {
    measured.tool = "vllm bench serve";
    measured.loads.push_back(read_vllm_bench(document));
  } else if (is_aiperf(root)) {
    measured.tool = "AIPerf";
    measured.note = kAiperfNote;
    measured.loads.push_back(read_aiperf(document));
  } else {
    return false;
  }
  return true;
}

/// JSON lines: one run a line (vLLM and SGLang append), or one request a line.
void read_lines(const TraceFile& file, MeasuredFile& measured) {
  std::vector<JsonValue> roots;
  LineReader reader(file);
  while (reader.next()) {
    roots.push_back(parse_json(reader.text(), file.name, static_cast<int>(reader.number())));
    if (roots.back().type != JsonValue::Type::object)
      fail_at(roots.back(), file.name, "an object, {...}, is needed");
  }
  if (roots.empty()) fail_unknown(file.name);
  std::vector<ResultDocument> lines;
  for (const JsonValue& root : roots) lines.push_back({&root, file.name});
  if (is_request_row(roots.front())) {
    measured.tool = "kvcast simulate --requests";
    measured.loads.push_back(read_request_rows(lines));
  } else if (is_aiperf_record(roots.front())) {
    measured.tool = "AIPerf";
    measured.note = kAiperfNote;
    measured.loads.push_back(read_aiperf_records(lines));
  } else {
    for (const JsonValue& root : roots) {
      if (!read_document(root, measured))
        fail_at(root, file.name, std::string("no result of a run (") + kKnown + ")");
    }
  }
}

bool is_one_document(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos || text[begin] != '{') return false;
  const std::size_t newline = text.find('\n', begin);
  const std::string first = text.substr(begin, newline == std::string::npos ? newline : newline - begin);
  // A document over several lines breaks after its first brace; a line of JSON lines ends with its last.
  const std::size_t end = first.find_last_not_of(" \t\r");
  return newline == std::string::npos || first[end] != '}' ||
         text.find_first_not_of(" \t\r\n", newline) == std::string::npos;
}

}  // namespace

MeasuredFile read_measured(const TraceFile& file) {
  MeasuredFile measured;
  measured.path = file.name;
  const std::string head = head_of(file, kHeadBytes);
  const std::size_t begin = head.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) throw InputError(file.name + ":1:1: the file is empty", ExitCode::bad_data);
  if (is_request_csv(head)) {
    measured.tool = "kvcast simulate --requests";
    measured.loads.push_back(read_request_csv(file));
  } else if (head[begin] != '{') {
    fail_unknown(file.name);
  } else {
    const std::string text = content_of(file, kDocumentBytesMax);
    if (!is_one_document(text)) {
      read_lines(file, measured);
    } else {
      const JsonValue root = parse_json(text, file.name);
      if (is_request_row(root) || is_aiperf_record(root)) {
        read_lines(file, measured);
      } else if (!read_document(root, measured)) {
        fail_unknown(file.name);
      }
    }
  }
  for (MeasuredLoad& load : measured.loads) {
    if (load.name.empty()) load.name = name_of(load);
    if (load.values.empty())
      throw InputError(file.name + ": no latency and no throughput in it", ExitCode::bad_data);
  }
  if (measured.loads.empty()) throw InputError(file.name + ": no run in it", ExitCode::bad_data);
  return measured;
}

}  // namespace kvcast
