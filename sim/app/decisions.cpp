#include "sim/app/decisions.h"

#include <fmt/format.h>

#include <vector>

#include "sim/app/decision_log.h"
#include "sim/app/scenario_elasticity.h"
#include "sim/sglang/decision_lines.h"
#include "sim/sglang/sglang_engine.h"

namespace kvcast {
namespace {

class VllmDecisions final : public DecisionWriter {
 public:
  VllmDecisions(OutputFile& out, DecisionLog::Form form) : log_(out, form) {}
  [[nodiscard]] StepObserver& log() { return log_; }
  void end() override {}

 private:
  DecisionLog log_;
};

class SglangDecisions final : public DecisionWriter {
 public:
  SglangDecisions(OutputFile& out, std::int64_t replicas) {
    for (std::int64_t i = 0; i < replicas; ++i) {
      const std::string start = replicas > 1 ? fmt::format("{{\"replica\":{},", i) : "{";
      lines_.push_back(std::make_unique<SglangDecisionLines>(
          [&out, start](const std::string& line) { out.write(start + line.substr(1) + '\n'); }));
    }
  }
  [[nodiscard]] SglangObserver* of(ReplicaId id) { return lines_[to_index(id)].get(); }
  void end() override {
    for (const auto& lines : lines_) lines->end();
  }

 private:
  std::vector<std::unique_ptr<SglangDecisionLines>> lines_;
};

}  // namespace

std::unique_ptr<DecisionWriter> watch_decisions(Experiment& experiment, OutputFile& out, RunHooks& hooks) {
  refuse_elasticity(experiment.cluster,
                    "--decisions is the log of one engine, and replicas are replaced here");
  if (!experiment.cluster.further_pools.empty())
    throw InputError(
        "--decisions: the log's header says one engine's settings; it cannot hold replicas of several "
        "shapes");
  EngineSetup& engine = experiment.cluster.engine;
  engine.path = StepPath::step_by_step;
  if (experiment.sglang) {
    auto writer = std::make_unique<SglangDecisions>(out, experiment.cluster.replicas);
    SglangSettings settings = *experiment.sglang;
    settings.observer = [lines = writer.get()](ReplicaId id) { return lines->of(id); };
    engine.make = make_sglang_engine(std::move(settings));
    return writer;
  }
  const DecisionLog::Form form{.replicas = experiment.cluster.replicas,
                               .asynchronous = engine.batch.asynchronous};
  auto writer = std::make_unique<VllmDecisions>(out, form);
  hooks.steps = &writer->log();
  return writer;
}

}  // namespace kvcast
