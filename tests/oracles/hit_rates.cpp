// Prefix hit rates against published and independently computed ones. Every row of the table is printed: with
// its error where the traces at hand can express it, else with the reason why they cannot.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "sim/cluster/prompt_content.h"
#include "sim/kv/cache_replay.h"
#include "tests/oracles/memory_csv.h"
#include "tests/support/data.h"
#include "workloads/workload.h"

namespace kvcast {
namespace {

constexpr double kTolerance = 0.005;  // half a percentage point

ReferenceStream stream_of(const std::string& path, const StreamOptions& options) {
  ReferenceStream stream(options);
  const auto source = make_trace_workload(path, "", 1).make_source();
  while (source->next_arrival()) {
    const Request request = source->take();
    stream.add(content_of(request), request.input, request.output, false);
    source->finished(request.id, request.arrival);
  }
  return stream;
}

struct Verdict {
  std::optional<double> rate;  // ours; none: the row cannot be expressed
  bool counts = true;          // false: shown, but the trace itself rules the row out
  std::string remark;
};

double rate(std::int64_t hits, std::int64_t of) {
  return static_cast<double>(hits) / static_cast<double>(of);
}

/// Blocks of the row's cache; none where the row names no size.
std::optional<std::size_t> capacity_of(const test::CsvRow& row, const ReferenceStream& stream) {
  const std::string& unit = row.at("capacity_unit");
  if (row.at("capacity") == "inf") return stream.distinct();
  const double capacity = std::strtod(row.at("capacity").c_str(), nullptr);
  if (unit == "tokens")
    return static_cast<std::size_t>(capacity) / static_cast<std::size_t>(stream.block_size());
  if (unit.starts_with("fraction of unique blocks"))
    return static_cast<std::size_t>(capacity * static_cast<double>(stream.distinct()));
  return std::nullopt;
}

/// Mooncake's traces: 512-token blocks, the partial last one hashed too. The rows that were computed divide
/// by all of them; the paper's curve is of full blocks.
Verdict mooncake(const test::CsvRow& row, const ReferenceStream& stream) {
  const std::optional<std::size_t> capacity = capacity_of(row, stream);
  if (!capacity) return {{}, true, "names no size of a cache"};
  const std::size_t sizes[] = {*capacity};
  const CacheResult result = replay_lru(stream, sizes).front();
  const bool published = row.at("kind").starts_with("published");
  Verdict verdict{rate(result.hits, published ? stream.full_blocks() : stream.lookups()), true, ""};
  // What nobody asked for before, no cache can have: with all repeats hits, the published trace stays below
  // the published rate.
  const double most =
      rate(stream.lookups() - static_cast<std::int64_t>(stream.distinct()), stream.full_blocks());
  const bool unlike_release = published && row.at("trace") == "mooncake_fast25_conversation";
  if (unlike_release) {
    verdict.counts = false;
    verdict.remark =
        "the published trace repeats " + std::to_string(most * 100).substr(0, 5) +
        " % of its blocks; the figure's curve ends at 40.1 %, so it was not made from that file alone";
  }
  return verdict;
}

std::string why_not(const std::string& trace) {
  if (trace.find("toolagent") != std::string::npos || trace.find("_all") != std::string::npos)
    return "trace not at hand";
  if (trace.find("arxiv_trace") != std::string::npos || trace.find("ailian") != std::string::npos)
    return "trace not at hand";
  if (trace.find("one of") != std::string::npos || trace.find("fast25_idem") != std::string::npos)
    return "a share of the maximum of a curve that the source does not name";
  if (trace.find("739 traces") != std::string::npos)
    return "of consecutive calls, not of a cache, over 739 sessions: the 710 at hand, which lack the 29 "
           "largest, "
           "give 0.929 (mean of sessions, sub-agents left out) if a session's first call counts and 0.963 if "
           "not";
  return "a measured system, its trace not published";
}

BOOST_AUTO_TEST_SUITE(hit_rates)

BOOST_AUTO_TEST_CASE(ground_truth) {
  const auto table = test::data_folder("measured/hit_rate_ground_truth.csv");
  const auto traces = test::data_folder("traces");
  if (!table || !traces) return;
  std::map<std::string, ReferenceStream> streams;
  const StreamOptions hashed{512, true};
  streams.emplace("mooncake_fast25_conversation",
                  stream_of((*traces / "mooncake/conversation_trace.jsonl.gz").string(), hashed));
  streams.emplace("mooncake_fast25_synthetic",
                  stream_of((*traces / "mooncake/synthetic_trace.jsonl").string(), hashed));
  streams.emplace("claude_code_weka 710 available traces",
                  stream_of((*traces / "claude_code_weka/all_available_rle.jsonl.gz").string(), {64, false}));
  int expressed = 0;
  int within = 0;
  int rows = 0;
  for (const test::CsvRow& row : test::csv_rows(*table)) {
    ++rows;
    const std::string& trace = row.at("trace");
    const auto stream = streams.find(trace);
    const Verdict verdict =
        stream == streams.end() ? Verdict{{}, true, why_not(trace)} : mooncake(row, stream->second);
    const std::string label =
        trace + ", " + row.at("policy") + ", " + row.at("capacity") + " " + row.at("capacity_unit");
    const double expected = std::strtod(row.at("hit_rate").c_str(), nullptr);
    if (!verdict.rate) {
      std::printf("  -      %s: %s (%s)\n", row.at("hit_rate").c_str(), label.c_str(),
                  verdict.remark.c_str());
      continue;
    }
    const bool good = std::abs(*verdict.rate - expected) <= kTolerance;
    std::printf("  %s %.4f, ours %.4f: %s, %s %s\n", good ? "ok    " : "differs", expected, *verdict.rate,
                label.c_str(), row.at("kind").c_str(), verdict.remark.c_str());
    ++expressed;
    if (good) ++within;
    if (verdict.counts) BOOST_TEST(good, label << ": " << *verdict.rate << " instead of " << expected);
  }
  std::printf("%d of %d rows are of traces at hand, %d within 0.5 percentage points\n", expressed, rows,
              within);
  BOOST_TEST(2 * within >= expressed);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
