// What each layer stores, how layers form groups, and what is refused, against vLLM 0.32's own code
// (data/oracles/vllm_kv_capacity: layers.csv, groups.csv, rejected.csv).
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <map>
#include <set>

#include "hwmodels/json_document.h"
#include "hwmodels/weights.h"
#include "sim/base/error.h"
#include "tests/oracles/memory_rows.h"

namespace kvcast::test {
namespace {

/// One layer, or its sparse index: (layer, is_index).
using LayerRef = std::pair<std::int64_t, bool>;

/// "model.layers.{0-2,4}.self_attn.indexer.k_cache mtp.layers.{0}.self_attn.attn"; prediction layers under
/// "mtp." are numbered anew.
std::set<LayerRef> parse_layers(const std::string& names, std::int64_t model_layers) {
  std::set<LayerRef> refs;
  for (std::size_t begin = 0; begin < names.size();) {
    const std::size_t end = std::min(names.find(' ', begin), names.size());
    const std::string name = names.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t open = name.find('{'), close = name.find('}');
    const bool is_index = name.find("indexer") != std::string::npos;
    const std::int64_t base = name.rfind("mtp.", 0) == 0 ? model_layers : 0;
    for (std::size_t at = open + 1; at < close;) {
      const std::size_t stop = std::min(name.find(',', at), close);
      const std::string range = name.substr(at, stop - at);
      const std::size_t dash = range.find('-');
      const std::int64_t first = std::stoll(range);
      const std::int64_t last = dash == std::string::npos ? first : std::stoll(range.substr(dash + 1));
      for (std::int64_t layer = first; layer <= last; ++layer) refs.insert({base + layer, is_index});
      at = stop + 1;
    }
  }
  return refs;
}

LayerKind parse_kind(const std::string& spec) {
  static const std::map<std::string, LayerKind> kinds = {
      {"FullAttentionSpec", LayerKind::full_attention},
      {"SlidingWindowSpec", LayerKind::sliding_window},
      {"ChunkedLocalAttentionSpec", LayerKind::chunked_local},
      {"MLAAttentionSpec", LayerKind::mla},
      {"MambaSpec", LayerKind::recurrent},
  };
  return kinds.at(spec);
}

/// Collects the columns that differ.
class Difference {
 public:
  explicit Difference(const CsvRow& row) : row_(row) {}
  void column(const char* name, std::int64_t value) {
    if (std::to_string(value) != row_.at(name)) add(name, std::to_string(value));
  }
  void column(const char* name, const std::string& value) {
    if (value != row_.at(name)) add(name, value);
  }
  void note(const std::string& what) { text_ += " " + what; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void add(const char* name, const std::string& value) {
    text_ += std::string(" ") + name + " " + value + " not " + row_.at(name);
  }
  const CsvRow& row_;
  std::string text_;
};

/// Options and layout of every instance; instances differ in nothing that shapes the pool between their rows.
struct Instance {
  const ModelSpec* model = nullptr;
  MemoryOptions options;
  KvLayout layout;
};

/// vLLM keeps the name that was given, "fp8", where kvcast says which fp8 that is.
std::string dtype_name(KvDtype dtype) {
  return dtype == KvDtype::fp8_e4m3 ? "fp8" : std::string(to_string(dtype));
}

std::map<std::string, Instance> load_instances(const std::filesystem::path& folder, ModelCache& models) {
  const GpuSpec h100 = find_gpu("h100-sxm", "test");
  std::map<std::string, Instance> instances;
  for (const CsvRow& row : csv_rows(folder / "kv_capacity.csv.gz")) {
    Instance& instance = instances[row.at("instance")];
    if (instance.model != nullptr) continue;
    instance.model = &models.at(row.at("model"));
    instance.options = capacity_options(row, h100);
    instance.layout = memory_layout(*instance.model, instance.options);
    BOOST_TEST(std::to_string(instance.layout.block_size_resolved) == row.at("block_size_resolved"),
               row.at("instance"));
    BOOST_TEST(dtype_name(instance.layout.dtype) == row.at("resolved_kv_cache_dtype"), row.at("instance"));
  }
  return instances;
}

/// The layer whose shape an entry has; drafters come after the model's.
const LayerSpec& spec_of(const Instance& instance, const KvEntry& entry) {
  const auto index = static_cast<std::size_t>(entry.layer);
  const ModelSpec& model = *instance.model;
  if (index < model.layers.size()) return model.layers[index];
  return instance.options.spec_method == "mtp" ? model.draft_layers.at(index - model.layers.size())
                                               : model.layers.front();
}

std::string quant_mode(KvDtype dtype) {
  switch (dtype) {
    case KvDtype::fp8_e4m3:
    case KvDtype::fp8_e5m2:
    case KvDtype::fp8_ds_mla:
      return "FP8_PER_TENSOR";
    case KvDtype::int8_per_token_head:
      return "INT8_PER_TOKEN_HEAD";
    case KvDtype::fp8_per_token_head:
      return "FP8_PER_TOKEN_HEAD";
    case KvDtype::int4_per_token_head:
      return "INT4_PER_TOKEN_HEAD";
    default:
      return "NONE";
  }
}

void compare_attention(const Instance& instance, const KvEntry& entry, Difference& difference) {
  const LayerSpec& layer = spec_of(instance, entry);
  const bool latent = entry.kind == LayerKind::mla;
  const std::int64_t heads =
      latent ? 1 : kv_heads_per_rank(layer.attention.kv_heads, instance.options.tensor_parallel_size);
  difference.column("num_kv_heads", heads);
  difference.column("bytes_per_head_token", entry.page_bytes / entry.block_size / heads);
  if (entry.is_index) return;
  difference.column("head_size_k",
                    latent ? layer.mla.kv_lora_rank + layer.mla.rope_dim : layer.attention.head_dim_k);
  difference.column("head_size_v", latent ? 0 : layer.attention.head_dim_v);
  difference.column("quant_mode", quant_mode(instance.layout.dtype));
  if (latent) difference.column("cache_dtype_str", dtype_name(instance.layout.dtype));
}

void compare_state(const Instance& instance, const KvEntry& entry, Difference& difference) {
  const bool delta_net = spec_of(instance, entry).state.family != StateFamily::mamba2;
  difference.column("mamba_type", std::string(delta_net ? "GDN_ATTN" : "MAMBA2"));
  difference.column("mamba_cache_mode",
                    std::string(*instance.options.enable_prefix_caching ? "align" : "none"));
  difference.column("speculative_blocks", instance.options.num_speculative_tokens);
  difference.column("prefill_checkpoint_blocks", entry.checkpoint ? 1 : 0);
}

/// One row of layers.csv: each layer it names must ask for exactly this.
std::string layer_differences(const CsvRow& row, const Instance& instance, std::size_t& covered) {
  Difference difference(row);
  const auto model_layers = static_cast<std::int64_t>(instance.model->layers.size());
  const std::set<LayerRef> refs = parse_layers(row.at("layer_names"), model_layers);
  difference.column("layers", static_cast<std::int64_t>(refs.size()));
  const std::int64_t stages = instance.options.pipeline_parallel_size, stage = std::stoll(row.at("stage"));
  const auto [begin, end] = stage_layers(*instance.model, stages, stage);
  std::size_t found = 0;
  for (const KvEntry& entry : instance.layout.layers) {
    if (refs.count({entry.layer, entry.is_index}) == 0) continue;
    ++found;
    const auto layer = static_cast<std::size_t>(entry.layer);
    const bool drafter = entry.layer >= model_layers;
    if (drafter ? stage != stages - 1 : (layer < begin || layer >= end)) difference.note("stage");
    if (entry.kind != parse_kind(row.at("spec")))
      difference.note("kind " + std::string(to_string(entry.kind)));
    difference.column("block_size", entry.block_size);
    difference.column("page_size_bytes", entry.page_bytes);
    difference.column("unpadded_page_bytes", entry.unpadded_bytes);
    if (entry.page_bytes != entry.unpadded_bytes || !row.at("page_size_padded").empty())
      difference.column("page_size_padded", entry.page_bytes);
    const std::string window = std::to_string(entry.window);
    difference.column("sliding_window", entry.kind == LayerKind::sliding_window ? window : "");
    difference.column("attention_chunk_size", entry.kind == LayerKind::chunked_local ? window : "");
    if (entry.kind == LayerKind::recurrent) {
      compare_state(instance, entry, difference);
    } else {
      compare_attention(instance, entry, difference);
    }
    if (!difference.text().empty()) break;
  }
  if (found != refs.size()) difference.note("layers missing");
  covered += found;
  return difference.text();
}

std::string page_list(const KvLayoutGroup& group) {
  std::set<std::int64_t> pages;
  for (const KvEntry& entry : group.entries) pages.insert(entry.page_bytes);
  std::string text;
  for (const std::int64_t page : pages) text += (text.empty() ? "" : "+") + std::to_string(page);
  return text;
}

/// One row of groups.csv.
std::string group_differences(const CsvRow& row, const Instance& instance) {
  Difference difference(row);
  const std::size_t index = std::stoul(row.at("group"));
  if (index >= instance.layout.groups.size()) return " no such group";
  const KvLayoutGroup& group = instance.layout.groups[index];
  if (group.kind != parse_kind(row.at("spec"))) difference.note("kind " + std::string(to_string(group.kind)));
  difference.column("layers", static_cast<std::int64_t>(group.entries.size()));
  difference.column("block_size", group.block_size);
  difference.column("page_bytes_per_layer", page_list(group));
  std::int64_t bytes = 0;
  std::set<LayerRef> refs;
  for (const KvEntry& entry : group.entries) {
    bytes += entry.page_bytes;
    refs.insert({entry.layer, entry.is_index});
  }
  difference.column("group_bytes_per_block", bytes);
  const bool widened =
      group.kind == LayerKind::full_attention && instance.options.disable_hybrid_kv_cache_manager;
  if (!widened) {  // vLLM keeps the widened windows' width as a remark: the group holds every token
    const std::string window = std::to_string(group.window);
    difference.column("sliding_window", group.kind == LayerKind::sliding_window ? window : "");
    difference.column("attention_chunk_size", group.kind == LayerKind::chunked_local ? window : "");
  } else if (group.window != 0) {
    difference.note("window kept");
  }
  if (refs != parse_layers(row.at("layer_names"), static_cast<std::int64_t>(instance.model->layers.size())))
    difference.note("composition");
  return difference.text();
}

struct Tally {
  int rows = 0, equal = 0;
  void count(const CsvRow& row, const std::string& wrong) {
    ++rows;
    equal += wrong.empty() ? 1 : 0;
    if (!wrong.empty() && rows - equal <= 20)
      std::printf("%s %s:%s\n", row.at("instance").c_str(), row.at("variant").c_str(), wrong.c_str());
  }
};

MemoryOptions rejected_options(const JsonValue& settings, const GpuSpec& h100) {
  MemoryOptions options;
  options.profile = load_engine_profile("vllm-0.32", h100);
  options.available_kv_bytes = std::int64_t{1} << 40;
  for (const auto& [key, value] : settings.members) {
    if (key == "decode_context_parallel_size") {
      options.decode_context_parallel_size = value.integer;
    } else if (key == "tensor_parallel_size") {
      options.tensor_parallel_size = value.integer;
    } else if (key == "block_size") {
      options.block_size = value.integer;
    } else if (key == "kv_cache_dtype") {
      options.kv_cache_dtype = parse_kv_dtype(value.text, "row");
    } else if (key == "disable_hybrid_kv_cache_manager") {
      options.disable_hybrid_kv_cache_manager = value.boolean;
    } else {
      BOOST_FAIL("unknown setting " + key);
    }
  }
  return options;
}

/// What a refusal is about: words of vLLM's reason and of kvcast's.
struct Reason {
  const char* name;
  const char* theirs;
  const char* theirs_too;
  const char* ours;
};
const Reason kReasons[] = {
    {"context parallelism without copies of the KV heads",
     "to be greater than the model's total number of KV", "",
     "decode_context_parallel_size: needs copies of the KV heads"},
    {"more context ranks than copies of a KV head", "exceeds the maximum supported value", "",
     "copies of a KV head, tensor_parallel_size"},
    {"recurrent layers without the hybrid manager", "Failed to promote local KV cache specs", "",
     "disable_hybrid_kv_cache_manager: the recurrent layers"},
    {"sparse record on dense latent attention", "kv_cache_dtype=fp8_ds_mla", "use_sparse=False",
     "kv_cache_dtype: no latent-attention kernel reads fp8_ds_mla"},
    {"block size of sparse attention", "No valid attention backend", "use_sparse=True",
     "is not a multiple of 64, which the sparse-attention kernels"},
    {"context parallelism of sparse attention in 16 bits", "requires an fp8_ds_mla kv-cache", "",
     "decode_context_parallel_size: the sparse latent attention"},
};

const Reason* reason_of(const std::string& theirs) {
  for (const Reason& reason : kReasons) {
    if (theirs.find(reason.theirs) != std::string::npos &&
        theirs.find(reason.theirs_too) != std::string::npos)
      return &reason;
  }
  return nullptr;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(memory_layouts)

BOOST_AUTO_TEST_CASE(every_layer_and_group_of_the_oracle) {
  const auto folder = data_folder("oracles/vllm_kv_capacity");
  const auto configs = data_folder("models/hf_config");
  if (!folder || !configs) return;
  ModelCache models(*configs);
  const std::map<std::string, Instance> instances = load_instances(*folder, models);
  Tally layers, groups;
  std::map<std::string, std::size_t> covered, group_count;
  for (const CsvRow& row : csv_rows(*folder / "layers.csv")) {
    const std::string& name = row.at("instance");
    layers.count(row, layer_differences(row, instances.at(name), covered[name]));
  }
  for (const CsvRow& row : csv_rows(*folder / "groups.csv")) {
    const std::string& name = row.at("instance");
    groups.count(row, group_differences(row, instances.at(name)));
    ++group_count[name];
  }
  std::size_t complete = 0;
  for (const auto& [name, instance] : instances) {
    complete +=
        covered[name] == instance.layout.layers.size() && group_count[name] == instance.layout.groups.size()
            ? 1U
            : 0U;
  }
  std::printf(
      "layers.csv: %d of %d rows equal; groups.csv: %d of %d; nothing beside them in %zu of %zu instances\n",
      layers.equal, layers.rows, groups.equal, groups.rows, complete, instances.size());
  BOOST_TEST(layers.equal == layers.rows);
  BOOST_TEST(groups.equal == groups.rows);
  BOOST_TEST(complete == instances.size());
  BOOST_TEST(layers.rows >= 1110);
  BOOST_TEST(groups.rows >= 1681);
}

BOOST_AUTO_TEST_CASE(every_refusal_of_the_oracle) {
  const auto folder = data_folder("oracles/vllm_kv_capacity");
  const auto configs = data_folder("models/hf_config");
  if (!folder || !configs) return;
  ModelCache models(*configs);
  const GpuSpec h100 = find_gpu("h100-sxm", "test");
  std::map<std::string, int> by_reason;
  int rows = 0, refused = 0;
  for (const CsvRow& row : csv_rows(*folder / "rejected.csv")) {
    ++rows;
    const Reason* reason = reason_of(row.at("reason"));
    BOOST_TEST_REQUIRE(reason != nullptr, "no known reason: " << row.at("reason"));
    std::string ours = "starts";
    try {
      static_cast<void>(memory_report(models.at(row.at("model")), h100,
                                      rejected_options(parse_json(row.at("settings"), "row"), h100)));
    } catch (const InputError& error) {
      ours = error.what();
    }
    const bool same = ours.find(reason->ours) != std::string::npos;
    refused += same ? 1 : 0;
    ++by_reason[reason->name];
    BOOST_TEST(same, row.at("model") << " " << row.at("settings") << ": " << ours << " not " << reason->name);
  }
  for (const auto& [name, count] : by_reason) std::printf("%-55s %3d rows\n", name.c_str(), count);
  std::printf("rejected.csv: %d of %d refused for the same reason\n", refused, rows);
  BOOST_TEST(rows >= 60);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast::test
