#include "sim/app/plan_space.h"

#include <algorithm>

#include "hwmodels/gpu_spec.h"
#include "sim/base/error.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

/// A list under `key`; a single value is a list of one. Values are checked where they are used, as any --set
/// is.
std::vector<std::string> read_list(Config& plan, const char* key) {
  if (!plan.has(key)) return {};
  std::vector<std::string> values =
      plan.is_sequence(key) ? plan.get_strings(key) : std::vector<std::string>{plan.get_string(key)};
  if (values.empty()) plan.fail(key, "is empty; leave it out for the scenario's own value");
  for (const std::string& value : values) {
    if (std::count(values.begin(), values.end(), value) > 1)
      plan.fail(key, kvcast::quoted(value) + " is listed twice");
  }
  return values;
}

std::map<std::string, double> read_prices(Config& plan) {
  std::map<std::string, double> prices;
  Config section = plan.child("prices");
  for (const std::string& gpu : section.names()) {
    (void)find_gpu(gpu, section.where(gpu));
    prices[gpu] = section.get_real(gpu, {0, 1e6});
  }
  return prices;
}

std::map<std::string, std::vector<std::string>> read_vary(Config& plan) {
  std::map<std::string, std::vector<std::string>> vary;
  Config section = plan.child("vary");
  for (const std::string& path : section.names()) {
    refuse_fixed_path(section.where(path), path);
    vary[path] = read_list(section, path.c_str());
  }
  return vary;
}

}  // namespace

void refuse_fixed_path(const std::string& where, const std::string& path) {
  constexpr std::pair<const char*, const char*> kFixed[] = {
      {"cluster.replicas", "plan searches the number of replicas itself, up to max_gpus"},
      {"cluster.price_per_gpu_hour", "prices are given in plan.prices, or by --price"},
      {"cluster.gpu", "GPUs are chosen by plan.gpus, or by --gpu"},
      {"cluster.tensor_parallel_size", "is chosen by plan.tensor_parallel_size, or by --tp"},
      {"workload", "every design sees the same traffic"},
      {"slo", "every design is held to the same SLO"},
      {"seed", "every design sees the same traffic"},
      {"plan", "a plan does not search over itself"},
      {"limits", "a plan simulates its traffic to the end"}};
  for (const auto& [fixed, why] : kFixed) {
    if (path != fixed && !path.starts_with(std::string(fixed) + ".")) continue;
    throw InputError(where + ": " + path + " cannot be varied: " + why);
  }
}

PlanSpace read_plan_space(Config& root) {
  PlanSpace space;
  Config plan = root.child("plan");
  const std::string goal = plan.get_choice("goal", {"cost", "goodput", "rate"}, "cost");
  space.goal = goal == "cost" ? PlanGoal::cost : goal == "goodput" ? PlanGoal::goodput : PlanGoal::rate;
  space.gpus = read_list(plan, "gpus");
  for (const std::string& gpu : space.gpus) (void)find_gpu(gpu, plan.where("gpus"));
  space.tensor_parallel_size = read_list(plan, "tensor_parallel_size");
  space.kv_cache_dtype = read_list(plan, "kv_cache_dtype");
  space.block_size = read_list(plan, "block_size");
  space.max_num_seqs = read_list(plan, "max_num_seqs");
  space.max_num_batched_tokens = read_list(plan, "max_num_batched_tokens");
  space.enable_prefix_caching = read_list(plan, "enable_prefix_caching");
  space.router = read_list(plan, "router");
  space.vary = read_vary(plan);
  space.max_gpus = plan.get_int("max_gpus", {1, 1 << 16}, space.max_gpus);
  space.prices = read_prices(plan);
  space.growth = plan.get_real("growth", {1e-3, 1e3}, space.growth);
  space.requests_max = plan.get_int("requests_max", {100, 10'000'000}, space.requests_max);
  return space;
}

std::string to_string(PlanGoal goal) {
  switch (goal) {
    case PlanGoal::cost:
      return "cost";
    case PlanGoal::goodput:
      return "goodput";
    case PlanGoal::rate:
      return "rate";
  }
  check_failed("no such goal", __FILE__, __LINE__);
}

}  // namespace kvcast
