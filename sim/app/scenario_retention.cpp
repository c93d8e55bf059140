#include "sim/app/scenario_retention.h"

#include <algorithm>
#include <charconv>

#include "reports/format.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr std::int64_t kDefaultBlock = 16;
constexpr IntRange kTokens{1, std::int64_t{1} << 24};

RetentionForm form_of(const std::string& allocator) {
  for (const RetentionForm form :
       {RetentionForm::ring, RetentionForm::sinks, RetentionForm::h2o, RetentionForm::tova,
        RetentionForm::scissorhands, RetentionForm::snapkv, RetentionForm::pyramidkv, RetentionForm::quest}) {
    if (to_string(form) == allocator) return form;
  }
  return RetentionForm::all;
}

std::vector<std::int64_t> read_layers(Config& section) {
  std::vector<std::int64_t> layers;
  if (!section.has("layers")) return layers;
  for (const std::string& text : section.get_strings("layers")) {
    std::int64_t index = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (error != std::errc{} || end != text.data() + text.size() || index < 0)
      section.fail("layers", "must list indices of layers, which count from 0; found " + text);
    layers.push_back(index);
  }
  if (layers.empty()) section.fail("layers", "is empty; leave it out to bound every layer");
  return layers;
}

void read_form(Config& section, RetentionPlan& plan) {
  Retention& each = plan.each;
  switch (each.form) {
    case RetentionForm::ring:
      if (section.has("window")) each.window = section.get_int("window", kTokens);
      plan.layers = read_layers(section);
      return;
    case RetentionForm::sinks:
      each.sinks = section.get_int("sinks", {1, 1 << 16}, 4);
      each.window = section.get_int("window", kTokens);
      plan.layers = read_layers(section);
      return;
    case RetentionForm::h2o:
    case RetentionForm::tova:
    case RetentionForm::scissorhands:
      each.budget = section.get_int("budget", kTokens);
      plan.layers = read_layers(section);
      return;
    case RetentionForm::snapkv:
    case RetentionForm::pyramidkv:
      each.budget = section.get_int("prompt_budget", kTokens);
      each.observed = section.get_int("observed", {1, 4096}, each.form == RetentionForm::snapkv ? 32 : 8);
      if (each.form == RetentionForm::pyramidkv)
        plan.steepness = section.get_real("steepness", {1, 1000}, 20);
      return;
    case RetentionForm::quest:
      each.budget = section.get_int("budget", kTokens);
      each.page = section.get_int("page", {1, 4096}, 16);
      plan.layers = read_layers(section);
      return;
    case RetentionForm::all:
      return;
  }
}

KvScales read_scales(Config& section, const char* key) {
  const std::string name =
      section.get_choice(key, {"per_tensor", "per_token_head", "per_channel"}, "per_token_head");
  return name == "per_tensor"    ? KvScales::per_tensor
         : name == "per_channel" ? KvScales::per_channel
                                 : KvScales::per_token_head;
}

/// Layers that attend to tokens of their own or another layer's cache.
bool attends(const LayerSpec& layer) {
  return layer.kind != LayerKind::recurrent && layer.kind != LayerKind::no_attention;
}

}  // namespace

RetentionPlan read_retention(Config& engine, const std::string& allocator) {
  RetentionPlan plan;
  plan.each.form = form_of(allocator);
  if (plan.each.form == RetentionForm::all) return plan;
  Config section = engine.child(allocator);
  if (plan.each.form != RetentionForm::ring && !engine.has(allocator)) {
    engine.fail("allocator",
                allocator + " needs its numbers, for example engine." + allocator +
                    (plan.each.form == RetentionForm::sinks ? ": {sinks: 4, window: 1020}"
                     : plan.each.form == RetentionForm::snapkv || plan.each.form == RetentionForm::pyramidkv
                         ? ": {prompt_budget: 1024}"
                         : ": {budget: 1024}"));
  }
  read_form(section, plan);
  return plan;
}

void read_storage(Config& engine, std::int64_t block_size, ModelSpec& model) {
  try {
    if (engine.has("kv_cache_dtype_skip_layers"))
      skip_layers(model, engine.get_strings("kv_cache_dtype_skip_layers"));
  } catch (const InputError& error) {
    throw InputError(engine.where("kv_cache_dtype_skip_layers") + ": " + error.what());
  }
  if (!engine.has("kv_quantization")) return;
  Config section = engine.child("kv_quantization");
  KvStorage storage;
  const std::string dtype = section.get_choice("dtype", {"int2", "int4", "int8", "fp8", "nf4"}, "int4");
  storage.bits = dtype == "int2" ? 2 : dtype == "int8" || dtype == "fp8" ? 8 : 4;
  const bool integer = dtype.starts_with("int");
  storage.keys = read_scales(section, "keys");
  storage.values = read_scales(section, "values");
  storage.group_size = section.get_int("group_size", {0, 4096}, 0);
  storage.zero_point = section.get_bool("zero_point", integer);
  if (storage.zero_point && !integer)
    section.fail("zero_point", "is of integers; " + dtype + " is symmetric");
  storage.residual = section.get_int("residual_window", {0, 1 << 16}, 0);
  if (engine.get_string("kv_cache_dtype", "auto") != "auto")
    engine.fail("kv_cache_dtype", "and kv_quantization both say how the cache is kept; leave one out");
  try {
    apply_storage(model, storage, block_size > 0 ? block_size : kDefaultBlock);
  } catch (const InputError& error) {
    throw InputError(engine.where("kv_quantization") + ": " + error.what());
  }
}

void retain(Config& engine, const RetentionPlan& plan, ModelSpec& model) {
  if (plan.each.form == RetentionForm::all) return;
  try {
    apply_retention(model, plan);
  } catch (const InputError& error) {
    throw InputError(engine.where("allocator") + ": " + error.what());
  }
}

bool needs_whole_prompts(const RetentionPlan& plan) {
  return plan.each.form != RetentionForm::all && plan.each.form != RetentionForm::quest &&
         plan.each.attended_max_in_prompt() == 0 && plan.each.form != RetentionForm::ring;
}

Reach reach_of(const ModelSpec& model) {
  Reach reach;
  reach.everywhere = reach.in_prompts = true;
  std::int64_t attending = 0, prompt_sum = 0, prompts = 0;
  bool chunks = true;  // of the bounded layers, all alike
  for (const LayerSpec& layer : model.layers) {
    if (!attends(layer)) continue;
    ++attending;
    const std::int64_t kept = layer.retention.attended_max();
    const bool windowed = layer.kind == LayerKind::sliding_window || layer.kind == LayerKind::chunked_local;
    const bool sparse = layer.kind == LayerKind::mla && layer.mla.index_topk > 0;
    std::int64_t cap = kept > 0 ? kept : windowed ? layer.attention.window : 0;
    if (sparse && cap == 0) cap = layer.mla.index_topk;
    chunks &= cap == 0 ||
              (layer.kind == LayerKind::chunked_local && kept == 0 && (reach.cap == 0 || reach.cap == cap));
    reach.cap = std::max(reach.cap, cap);
    if (cap == 0 || sparse || layer.retention.form == RetentionForm::quest) reach.everywhere = false;
    if (cap > 0 && !windowed && layer.retention.attended_max_in_prompt() == 0) reach.in_prompts = false;
    if (layer.retention.prompt_max() > 0) {
      prompt_sum += layer.retention.prompt_max();
      ++prompts;
    }
  }
  reach.chunks = chunks && reach.cap > 0;
  if (prompts > 0) {  // all layers, as apply_retention() makes sure; their mean counts the same bytes
    reach.prompt = std::max<std::int64_t>(1, prompt_sum / prompts);
    reach.everywhere = prompts == attending;
  }
  return reach.on() ? reach : Reach{};
}

Reach reach_of(const RetentionPlan& plan) {
  Reach reach;
  reach.cap = plan.each.attended_max();
  reach.prompt = plan.each.prompt_max();
  reach.in_prompts = plan.each.attended_max_in_prompt() > 0;
  reach.everywhere = reach.on();
  return reach;
}

void bound_group(const RetentionPlan& plan, KvGroup& group) {
  group.blocks_max = plan.each.blocks_max(group.block_size);
  group.prompt_max = plan.each.prompt_max();
}

std::string describe_retention(const RetentionPlan& plan) {
  const Retention& each = plan.each;
  std::string text(to_string(each.form));
  if (each.form == RetentionForm::all) return "";
  if (each.sinks > 0) text += ", " + grouped(each.sinks) + " first tokens";
  if (each.window > 0) text += ", window " + grouped(each.window);
  if (each.budget > 0)
    text += (each.prompt_max() > 0 ? ", prompt budget " : ", budget ") + grouped(each.budget);
  if (!plan.layers.empty())
    text += " in " + grouped(static_cast<std::int64_t>(plan.layers.size())) + " layers";
  return text;
}

}  // namespace kvcast
