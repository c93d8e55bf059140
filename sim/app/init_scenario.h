/// A scenario to begin with: the text that `kvcast init` writes.
#pragma once

#include <string>

namespace kvcast {

struct InitChoice {
  std::string model;    // as `model:` takes it
  std::string gpu;      // a name of the catalogue
  std::string profile;  // of the engine
  std::string trace;    // a file; empty: synthetic requests
  std::string format;   // of the trace; empty: told by its content
  std::string out;  // where the text goes; paths in it are relative to its folder. "-": the working directory
};

/// A scenario in which every key says what it does and what else it may be. It is read and composed before it
/// is returned, so it runs as written. The smallest tensor-parallel size of 1, 2, 4, 8 is chosen on which the
/// model fits with room for the trace's longest request; max_model_len is lowered where the model's own does
/// not fit. \throws InputError for unknown models, GPUs, profiles and traces; with ExitCode::infeasible where
/// no size fits
[[nodiscard]] std::string init_scenario(const InitChoice& choice);

}  // namespace kvcast
