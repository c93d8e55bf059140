#include "sim/app/compare_traffic.h"

#include <algorithm>
#include <map>

#include "sim/base/error.h"

namespace kvcast {
namespace {

/// What decides a cell's requests.
std::string workload_of(const CellScenario& cell) {
  std::string text = cell.scenario;
  for (const Setting& setting : cell.settings) {
    if (setting.path.starts_with("workload") || setting.path == "seed")
      text += "\n" + setting.path + "=" + setting.value;
  }
  return text;
}

/// Whether another seed gives another sample of the traffic; true for cells that cannot be read at all.
bool drawn_by_seed(const CellScenario& cell) {
  try {
    return !open_scenario(cell.scenario, cell.settings).config.child("workload").has("trace");
  } catch (const InputError&) {
    return true;
  }
}

}  // namespace

CellTraffics::CellTraffics(const std::vector<CellScenario>& cells, std::uint64_t seed,
                           std::size_t requests_max)
    : of_cell_(cells.size()) {
  if (std::all_of(cells.begin(), cells.end(), drawn_by_seed)) {
    replicating_ = Replicating::by_seed;
    return;
  }
  read_all(cells, seed, requests_max);
  if (replicating_ == Replicating::by_outcomes) of_cell_.assign(cells.size(), nullptr);
}

void CellTraffics::read_all(const std::vector<CellScenario>& cells, std::uint64_t seed,
                            std::size_t requests_max) {
  std::map<std::string, std::shared_ptr<const TrafficResampler>> known;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    std::shared_ptr<const TrafficResampler>& resampler = known[workload_of(cells[i])];
    if (resampler == nullptr) {
      Traffic traffic;
      try {
        ScenarioText text = open_scenario(cells[i].scenario, cells[i].settings);
        const Scenario scenario = read_scenario(text);
        if (scenario.workload.has_feedback) return;
        const auto source = scenario.workload.make_source();
        traffic = read_traffic(*source, requests_max + 1);
      } catch (const InputError&) {
        continue;  // its run says so
      }
      if (traffic->empty() || traffic->size() > requests_max) return;
      resampler = std::make_shared<TrafficResampler>(traffic, seed);
    }
    of_cell_[i] = resampler;
  }
  replicating_ = Replicating::by_blocks;
}

}  // namespace kvcast
