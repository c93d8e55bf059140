/// What a scenario may ask of each scheduler beside its own parameters.
#pragma once

#include <string>

#include "sim/base/catalog.h"

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

/// The scheduler that brings an engine of its own: no policy of scheduler_catalog().
inline constexpr const char* kSglangScheduler = "sglang";

/// Every name that engine.scheduler takes: the policies of scheduler_catalog(), and engines of their own.
[[nodiscard]] const Catalog<SchedulerFeatures>& schedulers();

/// \param scheduler a name of schedulers()
[[nodiscard]] SchedulerFeatures features_of(const std::string& scheduler);

}  // namespace kvcast
