#include "sim/app/scheduler_features.h"

#include "sim/base/error.h"

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
};

}  // namespace

SchedulerFeatures features_of(const std::string& scheduler) {
  for (const Entry& entry : kEntries) {
    if (entry.scheduler == scheduler) return entry.features;
  }
  check_failed("every scheduler of the catalogue has its features listed", __FILE__, __LINE__);
}

}  // namespace kvcast
