// coverage: do the intervals that kvcast states hold what is true, and do its probabilities come true? Loads
// of which any number of samples can be drawn are judged by one sample after another and held against many
// others.
//
// usage: coverage [--replications 200] [--samples 1000] [--threads N] [--folder DIR] [--svg FILE] [--only
// plan|trace|compare|compare-trace|simulate] [LOAD...] Exits with 1 where intervals of 90 % hold in fewer
// than 85 or in more than 95 % of cases by more than luck explains.
//        coverage --svg FILE --from OUTPUT [--from OUTPUT...] draws the diagram of what earlier runs printed.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "tests/coverage/diagram.h"
#include "tests/coverage/estimators.h"

namespace kvcast::coverage {
namespace {

struct Options {
  Replications replications;
  std::size_t samples = 1000;
  std::string only;               // one estimator: plan, trace, compare, compare-trace, simulate; empty: all
  std::string svg;                // the reliability diagram
  std::vector<std::string> from;  // outputs of earlier runs to draw
  std::vector<std::string> names;

  [[nodiscard]] bool wants(const char* estimator) const { return only.empty() || only == estimator; }
};

Options parse(const std::vector<std::string>& arguments) {
  Options options;
  options.replications.folder = (std::filesystem::temp_directory_path() / "kvcast-coverage").string();
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!argument.starts_with("--")) {
      options.names.push_back(argument);
      continue;
    }
    if (i + 1 == arguments.size()) throw std::invalid_argument(argument + ": a value is needed");
    const std::string& value = arguments[++i];
    if (argument == "--replications") {
      options.replications.count = std::stoul(value);
    } else if (argument == "--samples") {
      options.samples = std::stoul(value);
    } else if (argument == "--threads") {
      options.replications.threads = static_cast<unsigned>(std::stoul(value));
    } else if (argument == "--only") {
      options.only = value;
    } else if (argument == "--folder") {
      options.replications.folder = value;
    } else if (argument == "--svg") {
      options.svg = value;
    } else if (argument == "--from") {
      options.from.push_back(value);
    } else {
      throw std::invalid_argument(
          argument +
          ": unknown; known: --replications, --samples, --threads, --folder, --svg, --from, --only");
    }
  }
  std::filesystem::create_directories(options.replications.folder);
  return options;
}

/// Everything that is stated of the loads, by estimator.
struct Results {
  std::vector<Coverage> plan, trace, compare, compare_trace, simulate;
  std::vector<Stated> stated, stated_trace;
};

void judge(const Load& load, const Options& options, Results& results) {
  const Replications& replications = options.replications;
  const bool calibrated = load.name == "calibrated";
  const std::size_t samples = calibrated ? options.samples / 10 : options.samples;
  const bool compares = options.wants("compare") || options.wants("compare-trace");
  const Truths truths = find_truths(load, samples, compares && !calibrated, replications.threads);
  fmt::print(stderr, "{}: p99 TTFT {:.0f} ms, p99 TPOT {:.1f} ms\n", load.name, truths.limits.ttft_ms,
             truths.limits.tpot_ms);
  if (options.wants("plan")) {
    const Judged plan = judge_plan(load, truths, replications, false);
    results.plan.push_back(plan.coverage);
    results.stated.insert(results.stated.end(), plan.stated.begin(), plan.stated.end());
  }
  if (calibrated) {
    if (options.wants("simulate"))
      results.simulate.push_back(judge_simulate(load, truths, replications).coverage);
    return;
  }
  if (options.wants("trace")) {
    const Judged trace = judge_plan(load, truths, replications, true);
    results.trace.push_back(trace.coverage);
    results.stated_trace.insert(results.stated_trace.end(), trace.stated.begin(), trace.stated.end());
  }
  if (options.wants("compare"))
    results.compare.push_back(judge_compare(load, truths, replications, false).coverage);
  if (options.wants("compare-trace"))
    results.compare_trace.push_back(judge_compare(load, truths, replications, true).coverage);
}

std::vector<std::string> print(const Results& results) {
  std::vector<std::string> failures;
  const auto add = [&](const std::vector<std::string>& more) {
    failures.insert(failures.end(), more.begin(), more.end());
  };
  const auto table = [&](const char* title, const std::vector<Coverage>& all) {
    if (all.empty()) return;
    fmt::print("{}\n\n{}\n", title, coverage_table(all));
    add(failures_of(all));
  };
  const auto diagram = [&](const char* title, const std::vector<Stated>& all) {
    if (all.empty()) return;
    fmt::print("{}\n\n{}\n", title, reliability_table(all));
    add(failures_of(title, all));
  };
  table("plan, synthetic traffic", results.plan);
  table("plan, traces", results.trace);
  table("compare, differences, synthetic traffic", results.compare);
  table("compare, differences, traces", results.compare_trace);
  table("simulate", results.simulate);
  diagram("meets the SLO with probability p: synthetic traffic", results.stated);
  diagram("meets the SLO with probability p: traces", results.stated_trace);
  return failures;
}

void write(const std::string& path, const std::string& text) {
  std::ofstream out(path);
  out << text;
  out.close();
  if (!out.good()) throw std::runtime_error(path + ": cannot be written");
}

int draw(const Options& options) {
  std::string text;
  for (const std::string& path : options.from) {
    std::ifstream in(path);
    if (!in) throw std::runtime_error(path + ": cannot be read");
    text.append(std::istreambuf_iterator<char>(in), {});
  }
  write(options.svg, reliability_diagram(read_bins(text, "synthetic traffic"), read_bins(text, "traces")));
  return EXIT_SUCCESS;
}

int run(const std::vector<std::string>& arguments) {
  const Options options = parse(arguments);
  if (!options.from.empty()) return draw(options);
  Results results;
  for (const Load& load : loads()) {
    const bool wanted = options.names.empty() || std::find(options.names.begin(), options.names.end(),
                                                           load.name) != options.names.end();
    if (wanted) judge(load, options, results);
  }
  const std::vector<std::string> failures = print(results);
  if (!options.svg.empty())
    write(options.svg,
          reliability_diagram(binned(results.stated, false), binned(results.stated_trace, false)));
  for (const std::string& failure : failures) fmt::print(stderr, "{}\n", failure);
  return failures.empty() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace kvcast::coverage

int main(int count, char** arguments) {
  try {
    return kvcast::coverage::run({arguments + 1, arguments + count});
  } catch (const std::exception& error) {
    fmt::print(stderr, "coverage: {}\n", error.what());
    return 2;
  }
}
