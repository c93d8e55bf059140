/// What a scenario may ask of each scheduler beside its own parameters.
#pragma once

#include <string>

namespace kvcast {

struct SchedulerFeatures {
  enum class Prompts { whole, chunks, as_set };  // as_set: engine.enable_chunked_prefill decides

  Prompts prompts = Prompts::whole;
  bool chunks_by_default =
      false;  // where enable_chunked_prefill decides and neither scenario nor engine profile says
  bool caches_prefixes = false;
  bool asynchronous = false;      // can plan a step while the one before it runs
  bool works_without_kv = false;  // engine.enable_kv_cache may be false
};

/// \param scheduler a name of the catalogue
[[nodiscard]] SchedulerFeatures features_of(const std::string& scheduler);

}  // namespace kvcast
