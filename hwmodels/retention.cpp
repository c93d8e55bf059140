#include "hwmodels/retention.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "hwmodels/model_spec.h"
#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

bool keeps_budget(RetentionForm form) {
  return form == RetentionForm::h2o || form == RetentionForm::tova || form == RetentionForm::scissorhands;
}

bool keeps_part_of_prompt(RetentionForm form) {
  return form == RetentionForm::snapkv || form == RetentionForm::pyramidkv;
}

bool scores_heads(RetentionForm form) {
  return keeps_budget(form) || keeps_part_of_prompt(form) || form == RetentionForm::quest;
}

bool is_windowed(const LayerSpec& layer) {
  return layer.kind == LayerKind::sliding_window || layer.kind == LayerKind::chunked_local;
}

/// Layers whose cache grows with the sequence, or that read another's that does.
bool keeps_all(const LayerSpec& layer) {
  return layer.kind == LayerKind::full_attention || layer.kind == LayerKind::mla ||
         layer.kind == LayerKind::shared_kv;
}

std::string names(RetentionForm form) { return std::string(to_string(form)); }

void check_model(const ModelSpec& model, const Retention& each) {
  for (const LayerSpec& layer : model.layers) {
    if (layer.kind == LayerKind::mla && scores_heads(each.form)) {
      throw InputError("allocator: " + names(each.form) + " chooses tokens head by head, but the heads of " +
                       model.name + " share one latent (MLA); ring and sinks are possible");
    }
    if (is_windowed(layer) && keeps_part_of_prompt(each.form)) {
      throw InputError("allocator: " + names(each.form) +
                       " chooses from whole prompts, which the windowed layers of " + model.name +
                       " do not keep");
    }
  }
}

std::set<std::int64_t> chosen_layers(const ModelSpec& model, const RetentionPlan& plan) {
  std::set<std::int64_t> chosen(plan.layers.begin(), plan.layers.end());
  const auto count = static_cast<std::int64_t>(model.layers.size());
  for (const std::int64_t index : chosen) {
    if (index >= count)
      throw InputError("layers: there is no layer " + std::to_string(index) + " in " + model.name +
                       ", whose layers are 0 to " + std::to_string(count - 1));
    if (!keeps_all(model.layers[static_cast<std::size_t>(index)]))
      throw InputError("layers: layer " + std::to_string(index) + " of " + model.name + " is " +
                       std::string(to_string(model.layers[static_cast<std::size_t>(index)].kind)) +
                       ", which keeps no unbounded cache of its own");
  }
  return chosen;
}

}  // namespace

std::string_view to_string(RetentionForm form) {
  switch (form) {
    case RetentionForm::all:
      return "all";
    case RetentionForm::ring:
      return "ring";
    case RetentionForm::sinks:
      return "sinks";
    case RetentionForm::h2o:
      return "h2o";
    case RetentionForm::tova:
      return "tova";
    case RetentionForm::scissorhands:
      return "scissorhands";
    case RetentionForm::snapkv:
      return "snapkv";
    case RetentionForm::pyramidkv:
      return "pyramidkv";
    case RetentionForm::quest:
      return "quest";
  }
  return "";
}

std::int64_t Retention::attended_max() const {
  if (form == RetentionForm::ring || form == RetentionForm::sinks) return sinks + window;
  return keeps_budget(form) || form == RetentionForm::quest ? budget : 0;
}

std::int64_t Retention::attended_max_in_prompt() const {
  return form == RetentionForm::ring || form == RetentionForm::sinks ? sinks + window : 0;
}

std::int64_t Retention::blocks_max(std::int64_t block_size) const {
  if (form == RetentionForm::ring || form == RetentionForm::sinks)
    return ceil_div(sinks, block_size) + ceil_div(window - 1, block_size) + 1;
  return keeps_budget(form) ? ceil_div(budget, block_size) : 0;
}

std::int64_t Retention::prompt_max() const { return keeps_part_of_prompt(form) ? budget : 0; }

std::int64_t Retention::blocks(std::int64_t tokens, std::int64_t block_size) const {
  const std::int64_t most = blocks_max(block_size);
  const std::int64_t all = ceil_div(tokens, block_size);
  return most > 0 ? std::min(all, most) : all;
}

ScoreCost score_cost(const Retention& retention, std::int64_t heads, std::int64_t kv_heads,
                     std::int64_t head_dim) {
  constexpr std::int64_t kThereAndBack = 2;
  constexpr std::int64_t kProbabilityBytes = 2, kSumBytes = 4, kCounterBytes = 2, kKeyBytes = 2;
  ScoreCost cost;
  switch (retention.form) {
    case RetentionForm::h2o:
    case RetentionForm::scissorhands: {
      const std::int64_t each = retention.form == RetentionForm::h2o ? kSumBytes : kCounterBytes;
      cost.stored = kv_heads * each;
      cost.read = kThereAndBack * (kv_heads * each + heads * kProbabilityBytes);
      cost.prompt = kv_heads * each;
      cost.prompt_pair_flop = 2 * heads * head_dim;
      break;
    }
    case RetentionForm::tova:
      cost.read = cost.prompt = kThereAndBack * heads * kProbabilityBytes;
      break;
    case RetentionForm::snapkv:
    case RetentionForm::pyramidkv:
      cost.prompt = kThereAndBack * retention.observed * heads * kProbabilityBytes;
      break;
    case RetentionForm::quest: {
      constexpr std::int64_t kBounds = 2;  // smallest and largest
      cost.stored = cost.read = ceil_div(kBounds * kv_heads * head_dim * kKeyBytes, retention.page);
      cost.read_flop = ceil_div(kBounds * 2 * heads * head_dim, retention.page);
      break;
    }
    case RetentionForm::all:
    case RetentionForm::ring:
    case RetentionForm::sinks:
      break;
  }
  return cost;
}

std::vector<std::int64_t> pyramid_budgets(std::int64_t budget, double steepness, std::int64_t layers) {
  KVCAST_CHECK(budget >= 1 && layers >= 1 && steepness >= 1);
  const double last = static_cast<double>(budget) / steepness;
  const double first = 2 * static_cast<double>(budget) - last;
  std::vector<std::int64_t> budgets;
  for (std::int64_t i = 0; i < layers; ++i) {
    const double part = layers == 1 ? 0.5 : static_cast<double>(i) / static_cast<double>(layers - 1);
    budgets.push_back(std::max<std::int64_t>(1, std::llround(first + (last - first) * part)));
  }
  return budgets;
}

void apply_retention(ModelSpec& model, const RetentionPlan& plan) {
  const Retention& each = plan.each;
  if (each.form == RetentionForm::all) return;
  check_model(model, each);
  const std::set<std::int64_t> chosen = chosen_layers(model, plan);
  std::vector<std::int64_t> bounded;
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    LayerSpec& layer = model.layers[i];
    const auto index = static_cast<std::int64_t>(i);
    if (is_windowed(layer) && each.form != RetentionForm::quest) {
      layer.retention = {.form = RetentionForm::ring, .window = layer.attention.window};
      if (each.form == RetentionForm::ring) bounded.push_back(index);
      if (each.form == RetentionForm::ring && each.window > 0)
        layer.retention.window = std::min(each.window, layer.attention.window);
    } else if (keeps_all(layer) && (chosen.empty() || chosen.contains(index)) &&
               (each.form != RetentionForm::ring || each.window > 0)) {
      layer.retention = each;
      bounded.push_back(index);
    }
  }
  if (bounded.empty()) {
    throw InputError(
        "allocator: " + names(each.form) + " finds no layer to bound in " + model.name +
        (each.form == RetentionForm::ring ? ": none has a window; engine.ring.window gives them one" : ""));
  }
  if (each.form != RetentionForm::pyramidkv) return;
  const std::vector<std::int64_t> budgets =
      pyramid_budgets(each.budget, plan.steepness, static_cast<std::int64_t>(bounded.size()));
  for (std::size_t i = 0; i < bounded.size(); ++i)
    model.layers[static_cast<std::size_t>(bounded[i])].retention.budget = budgets[i];
}

std::string quality_note(RetentionForm form) {
  const std::string lead =
      "kvcast forecasts memory and time of " + names(form) + ", not the quality of answers. Known: ";
  const std::string elsewhere =
      "; other tasks lose more: arithmetic reasoning 17 to 43 % with much compressed caches (Liu et al. "
      "2025, "
      "arXiv 2502.01941)";
  switch (form) {
    case RetentionForm::all:
      return "";
    case RetentionForm::ring:
      return lead +
             "a model that was trained with the window loses nothing; one trained with full attention breaks "
             "down when "
             "the first tokens leave it (Llama-2-13B: perplexity 5158 with a window of 1024; Xiao et al. "
             "2023, arXiv 2309.17453, table 1)";
    case RetentionForm::sinks:
      return lead +
             "perplexity stays where a sliding window with recomputation has it (Llama-2-13B: 5.40 with 4 + "
             "1020 tokens), "
             "but nothing outside sinks and window can be recalled (Xiao et al. 2023, arXiv 2309.17453, "
             "table 1 and appendix A)";
    case RetentionForm::h2o:
      return lead +
             "on par with the full cache down to a budget of about 20 % of the tokens on the tasks of Zhang "
             "et al. 2023 "
             "(arXiv 2306.14048)" +
             elsewhere;
    case RetentionForm::tova:
      return lead +
             "nearly on par with the full cache at 1/8 of its size on the long-range tasks of Oren et al. "
             "2024 (arXiv 2401.06104)" +
             elsewhere;
    case RetentionForm::scissorhands:
      return lead +
             "up to 5 times less cache without a drop on the tasks of Liu et al. 2023 (arXiv 2305.17118)" +
             elsewhere;
    case RetentionForm::snapkv:
      return lead +
             "comparable to the full cache on 16 long-prompt datasets (Li et al. 2024, arXiv 2404.14469); "
             "later turns may ask for "
             "what the first question did not" +
             elsewhere;
    case RetentionForm::pyramidkv:
      return lead +
             "matches the full cache on LongBench with 12 % of it (Cai et al. 2024, arXiv 2406.02069)" +
             elsewhere;
    case RetentionForm::quest:
      return lead +
             "negligible loss on long-dependency tasks while self-attention reads a small part of the cache "
             "(Tang et al. 2024, "
             "arXiv 2406.10774); nothing is dropped";
  }
  return "";
}

}  // namespace kvcast
