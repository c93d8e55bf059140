/// `--decisions FILE`: every scheduling decision of a run, in the form of its engine's own logs.
#pragma once

#include <memory>

#include "sim/app/compose.h"
#include "sim/app/outputs.h"

namespace kvcast {

/// Contract: lives as long as the run; end() writes what is still held back.
class DecisionWriter {
 public:
  virtual ~DecisionWriter() = default;
  virtual void end() = 0;
};

/// Has the experiment walk step by step (in one thread: lines come in the order of the event loop) and write
/// what it decides: DecisionLog's lines, or SglangDecisionLines' where the engine is SGLang's, `replica`
/// first in each where there are several. \param out, hooks must outlive the run
[[nodiscard]] std::unique_ptr<DecisionWriter> watch_decisions(Experiment& experiment, OutputFile& out,
                                                              RunHooks& hooks);

}  // namespace kvcast
