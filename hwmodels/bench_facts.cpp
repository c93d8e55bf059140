#include "hwmodels/bench_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "hwmodels/json_fields.h"

namespace kvcast {
namespace {

double member(const MeasurementRecord& record, std::string_view name) {
  const JsonValue* value = record.shape.find(name);
  return value == nullptr ? 0 : value->real;
}

/// The record of an operator and variant with the most bytes; nullptr: none.
const MeasurementRecord* largest(const std::vector<MeasurementRecord>& records, std::string_view op,
                                 std::string_view variant) {
  const MeasurementRecord* best = nullptr;
  for (const MeasurementRecord& record : records)
    if (record.op == op && record.kernel == variant && (best == nullptr || record.bytes > best->bytes))
      best = &record;
  return best;
}

double gb_per_s(const MeasurementRecord& record) { return record.bytes / record.ns.median; }

void add_bandwidths(const std::vector<MeasurementRecord>& records, std::vector<BenchFact>& facts) {
  const auto add = [&](const char* op, const char* variant, const std::string& name,
                       const std::string& title) {
    if (const MeasurementRecord* record = largest(records, op, variant))
      facts.push_back(
          {name + "_gb_per_s", gb_per_s(*record), fmt::format("{}: {:.4g} GB/s", title, gb_per_s(*record))});
  };
  add("memory", "read", "memory_read", "memory read");
  add("memory", "write", "memory_write", "memory written");
  add("memory", "copy", "memory_copy", "memory copied (read and written)");
  double cached = 0;  // the fastest of the smaller arrays
  for (const MeasurementRecord& record : records)
    if (record.op == "memory" && (record.kernel == "read" || record.kernel == "l2_read"))
      cached = std::max(cached, gb_per_s(record));
  if (cached > 0)
    facts.push_back({"cache_read_gb_per_s", cached, fmt::format("cache read, at best: {:.4g} GB/s", cached)});
  add("pcie", "h2d", "pcie_to_device", "host to device");
  add("pcie", "d2h", "pcie_to_host", "device to host");
  add("pcie", "duplex", "pcie_duplex", "both ways at once");
}

void add_rates(const std::vector<MeasurementRecord>& records, std::vector<BenchFact>& facts) {
  std::map<std::string, double> rates;  // by dtype, TFLOP/s
  for (const MeasurementRecord& record : records)
    if (record.op == "gemm")
      rates[record.dtype] = std::max(rates[record.dtype], record.flop / record.ns.median * 1e-3);
  for (const auto& [dtype, rate] : rates)
    facts.push_back({"gemm_" + dtype + "_tflops", rate,
                     fmt::format("matrix products in {}, at best: {:.4g} TFLOP/s", dtype, rate)});
  for (const MeasurementRecord& record : records) {
    if (record.op != "launch" || member(record, "kernels") <= 0) continue;
    const double us = record.ns.median * 1e-3 / member(record, "kernels");
    const std::string kind = record.kernel.empty() ? "" : "_" + record.kernel;
    facts.push_back({"launch" + kind + "_us", us,
                     fmt::format("an empty kernel{}: {:.3g} us",
                                 record.kernel.empty() ? "" : " by " + record.kernel, us)});
  }
}

void add_overlaps(const std::vector<MeasurementRecord>& records, std::vector<BenchFact>& facts) {
  std::map<std::string, std::map<int, double>> parts;  // by what runs beside what
  for (const MeasurementRecord& record : records)
    if (record.op == "overlap")
      parts[record.kernel][static_cast<int>(member(record, "part"))] = record.ns.median;
  for (const auto& [name, times] : parts) {
    if (times.size() != 3 || !times.contains(0) || !times.contains(1) || !times.contains(2)) continue;
    const double longer = std::max(times.at(1), times.at(2)), factor = times.at(0) / longer;
    facts.push_back(
        {"overlap_" + name, factor,
         fmt::format("{} at once: {:.2f} times the longer one alone (one after the other: {:.2f})", name,
                     factor, (times.at(1) + times.at(2)) / longer)});
  }
}

}  // namespace

std::vector<BenchFact> bench_facts(const std::vector<MeasurementRecord>& records) {
  std::vector<BenchFact> facts;
  add_bandwidths(records, facts);
  add_rates(records, facts);
  add_overlaps(records, facts);
  return facts;
}

std::string format_bench_facts(const std::vector<BenchFact>& facts) {
  std::string text;
  for (const BenchFact& fact : facts)
    text += fmt::format("{}{}: {:.5g}", text.empty() ? "" : ", ", json_quoted(fact.key), fact.value);
  return "{" + text + "}";
}

}  // namespace kvcast
