/// The runs of a plan, each made once: what is known of them is kept, on disk too where a journal is asked
/// for, so that a plan that was killed goes on where it was.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "sim/app/durable_log.h"
#include "sim/app/plan_bench.h"

namespace kvcast {

/// A number of a point that gets an interval, beside the terms of the SLO.
struct PlanFigureKind {
  const char* key;  // as in a result's JSON
  double (*value)(const Metrics&);
};
[[nodiscard]] const std::vector<PlanFigureKind>& plan_figures();
/// \throws check failure for an unknown key
[[nodiscard]] std::size_t plan_figure_index(std::string_view key);

/// What a plan needs of a run.
struct RunNumbers {
  Score score;
  std::vector<double> terms;    // values of the SLO's terms, ms
  std::vector<double> figures;  // in the order of plan_figures()
};
[[nodiscard]] RunNumbers numbers_of(const PlanBench& bench, const Forecast& forecast);

/// As a journal holds it, and back: exact to the last bit.
[[nodiscard]] std::string to_record(const std::string& key, const RunNumbers& numbers);
/// \param where names the line in messages \throws InputError (bad_data)
[[nodiscard]] std::pair<std::string, RunNumbers> parse_record(std::string_view record,
                                                              const std::string& where);

/// Traffic that is made only where its run is not known yet. The name tells it from every other of the plan.
struct NamedTraffic {
  std::string name;  // empty: the plan's own
  std::function<Traffic()> make;
};

/// Contract: equal runs are simulated once, whoever asks; a second that asks meanwhile waits. Calls from
/// several threads are safe. What is returned depends on no thread and on no journal.
class PlanRuns {
 public:
  /// \param journal file; empty: none. It is made where it is not there
  /// \param simulated told of the requests of each run that was simulated; from one thread at a time
  /// \throws InputError where the journal is damaged, held by another process or of another plan
  PlanRuns(const PlanBench& bench, const std::string& journal,
           std::function<void(std::size_t requests)> simulated);

  /// \param variant its traffic is null where `traffic` is given
  [[nodiscard]] RunNumbers run(const Design& design, const Variant& variant,
                               const NamedTraffic& traffic = {});
  /// With all that reports show of a run; simulated again where only its numbers are known.
  [[nodiscard]] Forecast forecast(const Design& design, const Variant& variant,
                                  const NamedTraffic& traffic = {});

  [[nodiscard]] const PlanBench& bench() const { return bench_; }

 private:
  [[nodiscard]] std::string key_of(const Design& design, const Variant& variant,
                                   const NamedTraffic& traffic) const;
  RunNumbers simulate(const std::string& key, const Design& design, const Variant& variant,
                      const NamedTraffic& traffic);
  void open_journal(const std::string& path);

  const PlanBench& bench_;
  std::function<void(std::size_t)> simulated_;
  std::unique_ptr<DurableLog> journal_;
  std::mutex finding_;  // guards known_
  std::map<std::string, std::shared_future<RunNumbers>> known_;
  std::mutex keeping_;                     // guards the journal, whole_ and calls of simulated_
  std::map<std::string, Forecast> whole_;  // of the plan's own traffic, all of it
};

}  // namespace kvcast
