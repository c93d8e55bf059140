/// Which rows of measured/vllm_kv_capacity.csv are expressed, and how; and why the others are not.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "hwmodels/model_spec.h"

namespace kvcast::test {

/// How a row of the table is expressed: the model, the version's profile, the GPU, and what is needed beyond
/// the columns.
struct Case {
  std::string id;
  std::string model;  // embedded name, "hf:" file of data/models/hf_config, or "fields:" set
  std::string profile;
  std::string gpu;  // catalogue name; empty: not in the catalogue, then only rows with logged GiB
  ModelOverrides overrides = {};
  bool from_budget = false;  // the logged GiB are the quantity judged
  double memory_gib = 0;     // of a GPU that is not in the catalogue: `gpu` then only stands for its kind
};

[[nodiscard]] const std::vector<Case>& cases();

/// Why the other rows are not expressed, by id.
[[nodiscard]] const std::map<std::string, std::string>& refusals();

/// Rows whose logs cannot both hold in one model of the budget, by id.
[[nodiscard]] const std::map<std::string, std::string>& contradictions();

}  // namespace kvcast::test
