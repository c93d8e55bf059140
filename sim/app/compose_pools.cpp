#include "sim/app/compose_pools.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/format.h"

namespace kvcast {
namespace {

PoolForecast pool_of(const std::string& name, const Forecast& frame) {
  PoolForecast pool;
  pool.name = name;
  pool.gpu = frame.gpu;
  pool.engine = frame.engine;
  pool.cluster = frame.cluster;
  pool.timer = frame.timer;
  pool.facts = frame.facts;
  pool.budget = frame.budget;
  pool.price = frame.price;
  return pool;
}

bool equal(const Assumption& a, const Assumption& b) { return a.text == b.text && a.source == b.source; }

/// What is said of several pools is said once.
void add_texts(const std::string& name, const Forecast& from, Forecast& frame) {
  for (const Assumption& assumption : from.assumptions) {
    const bool said = std::any_of(frame.assumptions.begin(), frame.assumptions.end(),
                                  [&](const Assumption& other) { return equal(assumption, other); });
    if (!said)
      frame.assumptions.push_back({fmt::format("Pool {}: {}", name, assumption.text), assumption.source});
  }
  for (const std::string& note : from.notes) {
    if (std::find(frame.notes.begin(), frame.notes.end(), note) == frame.notes.end())
      frame.notes.push_back(fmt::format("Pool {}: {}", name, note));
  }
}

/// "large: ...; small: ...", or the text where all have the same.
std::string text_of_all(const std::vector<PoolForecast>& pools, std::string PoolForecast::*text) {
  const std::string& first = pools.front().*text;
  if (std::all_of(pools.begin(), pools.end(), [&](const PoolForecast& pool) { return pool.*text == first; }))
    return first;
  std::string all;
  for (const PoolForecast& pool : pools)
    all += fmt::format("{}{}: {}", all.empty() ? "" : "; ", pool.name, pool.*text);
  return all;
}

/// What a GPU costs on average; nothing where the price of some is not known.
std::optional<Price> mean_price(const std::vector<PoolForecast>& pools) {
  Price mean;
  double gpus = 0;
  for (const PoolForecast& pool : pools) {
    if (!pool.price) return std::nullopt;
    const auto own = static_cast<double>(pool.facts.gpus);
    mean.per_gpu_hour += pool.price->per_gpu_hour * own;
    gpus += own;
    mean.currency = pool.price->currency;
    mean.source +=
        fmt::format("{}{}: {} {} ({})", mean.source.empty() ? "mean over the GPUs of " : "; ", pool.name,
                    fixed(pool.price->per_gpu_hour, 2), pool.price->currency, pool.price->source);
  }
  mean.per_gpu_hour /= gpus;
  return mean;
}

std::string title_of(const Forecast& frame) {
  std::string title = frame.title.substr(0, frame.title.find(" on "));
  for (std::size_t p = 0; p < frame.pools.size(); ++p) {
    const PoolForecast& pool = frame.pools[p];
    const std::string gpu = pool.gpu.empty() ? "GPU" : pool.gpu.substr(0, pool.gpu.find(": "));
    title += fmt::format("{}{} x {}", p == 0 ? " on " : " and ", pool.facts.gpus, gpu);
  }
  return title;
}

}  // namespace

void add_pools(Experiment& experiment, const std::string& first,
               std::vector<std::pair<std::string, Experiment>> pools) {
  Forecast& frame = experiment.frame;
  frame.pools.push_back(pool_of(first, frame));
  for (auto& [name, pool] : pools) {
    frame.pools.push_back(pool_of(name, pool.frame));
    add_texts(name, pool.frame, frame);
    frame.calibrated = frame.calibrated && pool.frame.calibrated;
    PoolSetup setup;
    setup.name = name;
    setup.engine = std::move(pool.cluster.engine);
    setup.replicas = pool.cluster.replicas;
    setup.timer = std::move(pool.timer);
    experiment.cluster.further_pools.push_back(std::move(setup));
    experiment.model_error = std::max(experiment.model_error, pool.model_error);
    if (pool.timer_note) {
      experiment.timer_note = [before = std::move(experiment.timer_note), own = std::move(pool.timer_note)] {
        const std::string text = before ? before() : "";
        const std::string more = own();
        return text.empty() || more.empty() ? text + more : text + "; " + more;
      };
    }
  }
  if (const auto& plan = experiment.cluster.disaggregation) {
    const auto rate_of_all = [](double rate, const PoolForecast& pool) {
      return std::isinf(rate) ? 0 : rate * static_cast<double>(pool.facts.replicas);
    };
    frame.pools[0].kv_bytes_per_s = rate_of_all(plan->rates.out_bytes_per_s, frame.pools[0]);
    frame.pools[1].kv_bytes_per_s = rate_of_all(plan->rates.in_bytes_per_s, frame.pools[1]);
  }
  DeploymentFacts& facts = frame.facts;
  facts.gpus = facts.replicas = 0;
  for (const PoolForecast& pool : frame.pools) {
    facts.pools.push_back(pool.facts);
    facts.gpus += pool.facts.gpus;
    facts.replicas += pool.facts.replicas;
  }
  if (!frame.model.empty()) frame.title = title_of(frame);
  frame.gpu = text_of_all(frame.pools, &PoolForecast::gpu);
  frame.engine = text_of_all(frame.pools, &PoolForecast::engine);
  frame.cluster = text_of_all(frame.pools, &PoolForecast::cluster);
  frame.timer = text_of_all(frame.pools, &PoolForecast::timer);
  frame.budget.clear();
  frame.price = mean_price(frame.pools);
}

void finish_pools(const RunRecord& record, Forecast& forecast) {
  if (forecast.pools.empty()) return;
  const std::vector<Metrics> metrics = reduce_pools(record, forecast.facts);
  for (std::size_t p = 0; p < metrics.size(); ++p) forecast.pools[p].metrics = metrics[p];
}

}  // namespace kvcast
