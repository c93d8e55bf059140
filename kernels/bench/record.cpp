#include "kernels/bench/record.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace kvcast::bench {

std::string json_number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

double quantile(const std::vector<double>& sorted, double fraction) {
  const double at = fraction * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::string summary_json(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const double median = quantile(samples, 0.5);
  std::string text =
      "{\"n\": " + std::to_string(samples.size()) + ", \"min\": " + json_number(samples.front());
  const std::pair<const char*, double> members[] = {
      {"p5", 0.05}, {"q1", 0.25}, {"median", 0.5}, {"q3", 0.75}, {"p95", 0.95}};
  for (const auto& [name, fraction] : members)
    text += std::string(", \"") + name + "\": " + json_number(quantile(samples, fraction));
  for (double& sample : samples) sample = std::fabs(sample - median);
  std::sort(samples.begin(), samples.end());
  return text + ", \"mad\": " + json_number(quantile(samples, 0.5)) + "}";
}

std::string record_line(const Case& what, const std::vector<Sample>& samples, std::int64_t repeats,
                        const Device& device, const std::string& run) {
  std::vector<double> ns, cycles, clocks;
  std::string list;
  for (const Sample& sample : samples) {
    ns.push_back(sample.ns);
    if (sample.cycles > 0) cycles.push_back(sample.cycles);
    if (sample.clock_mhz > 0) clocks.push_back(sample.clock_mhz);
    list += (list.empty() ? "" : ", ") + json_number(sample.ns);
  }
  std::string line =
      "{\"record\": {" + what.identity() + ", \"sentinel\": " + (what.sentinel ? "true" : "false") +
      ", \"device\": " + device.describe() + ", \"source\": \"measured\", \"ns\": " + summary_json(ns);
  if (cycles.size() == ns.size()) line += ", \"cycles\": " + summary_json(cycles);
  line += ", \"samples_ns\": [" + list + "]";
  if (what.bytes > 0) line += ", \"bytes\": " + json_number(what.bytes);
  if (what.flop > 0) line += ", \"flop\": " + json_number(what.flop);
  if (!clocks.empty()) line += ", \"clock_mhz\": " + summary_json(clocks);
  return line + ", \"method\": \"" + device.method() + "\", \"inner_repeats\": " + std::to_string(repeats) +
         ", \"cache\": \"rotated\"" + device.state() + run + "}}";
}

}  // namespace kvcast::bench
