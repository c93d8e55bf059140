// The public traces against totals that awk, jq and the traces' own descriptions give.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/data.h"
#include "workloads/trace_stats.h"
#include "workloads/workload.h"

namespace kvcast {
namespace {

struct Expected {
  std::string path;  // below traces/
  std::string format;
  std::int64_t requests = 0;
  std::int64_t input = 0;
  std::int64_t output = 0;
  std::int64_t last_ns = 0;  // the last arrival; -1: drawn, not known
};

/// Checks one trace, detected by content; false when the data is not there.
bool check(const Expected& expected) {
  const auto path = test::data_folder("traces/" + expected.path);
  if (!path) return false;
  const WorkloadSetup setup = make_trace_workload(path->string(), "", 1);
  const auto source = setup.make_source();
  std::int64_t requests = 0;
  std::int64_t input = 0;
  std::int64_t output = 0;
  Instant last = kStart;
  while (source->next_arrival()) {
    const Request request = source->take();
    BOOST_REQUIRE(to_number(request.id) == static_cast<std::uint64_t>(requests));
    BOOST_REQUIRE(request.arrival >= last);
    last = request.arrival;
    ++requests;
    input += request.input.value;
    output += request.output.value;
    if (request.details == nullptr) continue;
    std::int64_t content = 0;
    for (const PromptSegment& segment : request.details->content) content += segment.length.value;
    BOOST_REQUIRE((content == 0 || content == request.input.value));
  }
  BOOST_TEST(setup.description.ends_with("(" + expected.format + ")"),
             expected.path << ": " << setup.description);
  BOOST_TEST(requests == expected.requests, expected.path << ": " << requests << " requests");
  BOOST_TEST(input == expected.input, expected.path << ": " << input << " input tokens");
  BOOST_TEST(output == expected.output, expected.path << ": " << output << " output tokens");
  if (expected.last_ns >= 0)
    BOOST_TEST(last.time_since_epoch().count() == expected.last_ns, expected.path << ": last arrival");
  return true;
}

BOOST_AUTO_TEST_SUITE(trace_readers)

BOOST_AUTO_TEST_CASE(azure) {
  // awk -F, 'NR>1 {n++; i+=$2; o+=$3}'; last - first timestamp by hand.
  check({"azure_llm_2023/AzureLLMInferenceTrace_conv.csv", "azure", 19'366, 22'361'870, 4'088'665,
         3'501'721'937'000});
  check({"azure_llm_2023/AzureLLMInferenceTrace_code.csv", "azure", 8'819, 18'059'974, 245'896,
         3'435'948'056'000});
}

BOOST_AUTO_TEST_CASE(mooncake) {
  // jq -s 'length, (map(.input_length)|add), (map(.output_length)|add)'; means 12,035 and 343, 15,325 and 149
  // in upstream's README.
  check({"mooncake/conversation_trace.jsonl.gz", "mooncake", 12'031, 144'793'823, 4'122'048,
         3'536'999'000'000});
  check({"mooncake/synthetic_trace.jsonl", "mooncake", 3'993, 61'194'628, 595'432, 1'022'025'000'000});
}

BOOST_AUTO_TEST_CASE(llmservingsim) {
  for (const char* form : {"", ".block16"}) {
    const std::string format = *form == '\0' ? "llmservingsim" : "mooncake";
    check({std::string("llmservingsim/sharegpt-llama-3.1-8b-300-sps10") + form + ".jsonl.gz", format, 300,
           257'239, 195'753, 29'183'763'203});
  }
}

BOOST_AUTO_TEST_CASE(weka) {
  // 49,334 calls in 710 sessions; 27 calls of 0 output tokens count as 1.
  check({"claude_code_weka/all_available_rle.jsonl.gz", "weka", 49'334, 6'037'445'403, 21'709'920 + 27, -1});
}

BOOST_AUTO_TEST_CASE(weka_raw_files_equal_the_derived_sessions) {
  const auto folder = test::data_folder("traces/claude_code_weka/raw_sample");
  if (!folder) return;
  const WorkloadSetup setup = make_trace_workload(folder->string(), "", 1);
  const TraceStats stats = trace_stats(*setup.make_source());
  BOOST_TEST(stats.sessions == 30);
  BOOST_TEST(stats.requests == 2'283);
  BOOST_TEST(setup.inputs.size() == 30U);
  // Summed over all calls, nested ones too, by a few lines of Python.
  BOOST_TEST(stats.input.sum() == 270'976'647);
}

BOOST_AUTO_TEST_CASE(lmcache) {
  // Characters by jq; tokens are ceil(characters / 4), at least 1, so between a quarter of them and that plus
  // one a request.
  const auto path = test::data_folder("traces/lmcache_agent/miniswe_derived.jsonl.gz");
  if (!path) return;
  const TraceStats stats = trace_stats(*make_trace_workload(path->string(), "", 1).make_source());
  BOOST_TEST(stats.requests == 402);
  BOOST_TEST(stats.sessions == 20);
  BOOST_TEST(stats.duration_ns == 552'131'510'000);
  BOOST_TEST(stats.input.sum() >= 9'674'248 / 4);
  BOOST_TEST(stats.input.sum() < 9'674'248 / 4 + 402);
}

BOOST_AUTO_TEST_CASE(servegen) {
  // Rate * 600 s summed over all windows of all 73 clients is 1,383,669 requests to within rounding.
  const auto path = test::data_folder("traces/servegen/deepseek-r1_rate_csv.tar.gz");
  if (!path) return;
  const WorkloadSetup setup = make_trace_workload(path->string(), "", 1);
  BOOST_TEST(setup.inputs.size() == 2U);  // the lengths were found beside it
  const TraceStats stats = trace_stats(*setup.make_source());
  BOOST_TEST(stats.requests == 1'383'669);
  // The means of the distributions themselves, weighted by the rates of the windows (Python); lengths are
  // drawn independently.
  const auto near = [](const TokenCounts& counts, double mean) {
    return std::fabs(counts.mean() - mean) <
           4.5 * counts.std() / std::sqrt(static_cast<double>(counts.count()));
  };
  BOOST_TEST(near(stats.input, 1'268.2496), "input mean " << stats.input.mean());
  BOOST_TEST(near(stats.output, 1'527.4195), "output mean " << stats.output.mean());
}

BOOST_AUTO_TEST_CASE(infinite_cache_hits) {
  // Counted by a set of hashes in a few lines of Python: tokens of the leading blocks whose hash came before.
  const auto folder = test::data_folder("traces/mooncake");
  if (!folder) return;
  const auto shared = [&](const std::string& file) {
    return trace_stats(*make_trace_workload((*folder / file).string(), "", 1).make_source()).shared_tokens;
  };
  BOOST_TEST(shared("conversation_trace.jsonl.gz") == 54'098'411);
  BOOST_TEST(shared("synthetic_trace.jsonl") == 39'852'661);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
