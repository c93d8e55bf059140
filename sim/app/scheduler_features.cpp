#include "sim/app/scheduler_features.h"

#include "sim/base/error.h"
#include "sim/sched/scheduler.h"

namespace kvcast {
namespace {

using Prompts = SchedulerFeatures::Prompts;

struct Entry {
  const char* scheduler;
  SchedulerFeatures features;
};

constexpr Entry kEntries[] = {
    {"vllm-v1", {Prompts::as_set, true, true, true, false}},
    {"vllm-v0", {Prompts::whole, false, true, false, false}},
    {"sarathi", {Prompts::chunks, false, true, false, false}},
    {"tensorrt-llm", {Prompts::as_set, false, true, false, false}},
    {"continuous", {Prompts::whole, false, false, false, true}},
    {"static", {Prompts::whole, false, false, false, true}},
    {kSglangScheduler, {Prompts::as_set, true, true, true, false}},
};

SchedulerFeatures listed_features(const std::string& scheduler) {
  for (const Entry& entry : kEntries) {
    if (entry.scheduler == scheduler) return entry.features;
  }
  check_failed("every scheduler of the catalogue has its features listed", __FILE__, __LINE__);
}

Catalog<SchedulerFeatures> make_catalog() {
  std::vector<CatalogEntry<SchedulerFeatures>> entries;
  for (const auto& entry : scheduler_catalog().entries())
    entries.push_back({entry.name, entry.summary, listed_features(entry.name)});
  entries.push_back({kSglangScheduler, "prefill first, radix cache, overlap loop, retraction (SGLang 0.5)",
                     listed_features(kSglangScheduler)});
  return {"scheduler", std::move(entries)};
}

}  // namespace

const Catalog<SchedulerFeatures>& schedulers() {
  static const Catalog<SchedulerFeatures> catalog = make_catalog();
  return catalog;
}

SchedulerFeatures features_of(const std::string& scheduler) { return schedulers().find(scheduler, "").make; }

}  // namespace kvcast
