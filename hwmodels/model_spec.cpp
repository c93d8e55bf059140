#include "hwmodels/model_spec.h"

#include <fmt/format.h>

#include <filesystem>

#include "hwmodels/model_families.h"
#include "hwmodels/model_sharing.h"
#include "sim/base/config.h"
#include "sim/base/embedded.h"
#include "sim/base/error.h"
#include "sim/base/file.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

constexpr std::size_t kConfigBytesMax = std::size_t{4} << 20;
constexpr std::string_view kModelsFolder = "configs/models/";
constexpr std::string_view kHubNames = "configs/models/hub_names.yaml";
constexpr std::string_view kJsonSuffix = ".json";

/// JSON text, or a bare word that stands for a string (float16).
JsonValue parse_override(const std::string& key, const std::string& text) {
  const bool bare =
      !text.empty() &&
      text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
          std::string::npos &&
      text != "true" && text != "false" && text != "null" && text.find_first_of("0123456789-") != 0;
  return parse_json(bare ? "\"" + text + "\"" : text, "model_overrides." + key);
}

/// Clears positions, so that messages about overridden values do not name lines of the file.
void forget_position(JsonValue& value) {
  value.line = value.column = 0;
  for (JsonValue& item : value.items) forget_position(item);
  for (auto& member : value.members) forget_position(member.second);
}

void apply_override(JsonValue& root, const std::string& dotted, const std::string& text) {
  JsonValue* at = &root;
  std::size_t begin = 0;
  while (true) {
    const std::size_t dot = dotted.find('.', begin);
    const std::string key = dotted.substr(begin, dot == std::string::npos ? dot : dot - begin);
    if (key.empty() || at->type != JsonValue::Type::object) {
      throw InputError("model_overrides." + dotted + ": no such place in the model's config",
                       ExitCode::usage);
    }
    JsonValue* next = nullptr;
    for (auto& member : at->members) {
      if (member.first == key) next = &member.second;
    }
    if (next == nullptr) {
      at->members.emplace_back(key, JsonValue{});
      next = &at->members.back().second;
      if (dot != std::string::npos) next->type = JsonValue::Type::object;
    }
    if (dot == std::string::npos) {
      *next = parse_override(dotted, text);
      forget_position(*next);
      return;
    }
    at = next;
    begin = dot + 1;
  }
}

void read_dtype(const FamilyInput& input) {
  ModelSpec& spec = *input.spec;
  std::string dtype = "bfloat16";
  for (const HfConfig* config : {&input.text, &input.root}) {
    const std::string_view key = config->has("dtype") ? "dtype" : "torch_dtype";
    if (!config->has(key)) continue;
    dtype = config->text(key);
    if (dtype != "bfloat16" && dtype != "float16" && dtype != "float32") {
      config->fail(key, "unknown dtype \"" + dtype + "\" (known: bfloat16, float16, float32)");
    }
    break;
  }
  // Engines load float32 checkpoints in half precision unless told otherwise.
  spec.dtype = dtype == "float32" ? "bfloat16" : dtype;
  spec.dtype_bytes = 2;
}

/// The language model of a multimodal file.
HfConfig text_config(const HfConfig& root) {
  for (const std::string_view key : {"text_config", "language_config", "llm_config"}) {
    if (const std::optional<HfConfig> text = root.child(key)) return *text;
  }
  return root;
}

std::string first_architecture(const FamilyInput& input) {
  for (const HfConfig* config : {&input.root, &input.text}) {
    if (!config->has("architectures")) continue;
    const std::vector<std::string> names = config->strings("architectures");
    if (!names.empty()) return names.front();
  }
  return {};
}

std::string find_model_type(const FamilyInput& input) {
  if (input.text.has("model_type")) return input.text.text("model_type");
  if (input.root.has("model_type")) return input.root.text("model_type");
  input.text.fail("model_type", "required but missing");
}

/// A token's experts are different ones.
void check_experts(const FamilyInput& input) {
  for (const LayerSpec& layer : input.spec->layers) {
    if (layer.mlp.experts == 0 || layer.mlp.top_k <= layer.mlp.experts) continue;
    const char* key = "num_experts_per_tok";
    for (const char* other : {"num_experts_per_token", "top_k_experts"}) {
      if (input.text.has(other)) key = other;
    }
    input.text.fail(key, fmt::format("{} experts for each token, but a layer has {}", layer.mlp.top_k,
                                     layer.mlp.experts));
  }
}

std::string_view base_name(std::string_view path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool ends_with_json(std::string_view text) {
  return text.size() > kJsonSuffix.size() && text.substr(text.size() - kJsonSuffix.size()) == kJsonSuffix;
}

std::string without_suffix(std::string_view name) {
  return std::string(ends_with_json(name) ? name.substr(0, name.size() - kJsonSuffix.size()) : name);
}

}  // namespace

std::string_view to_string(LayerKind kind) {
  switch (kind) {
    case LayerKind::full_attention:
      return "full_attention";
    case LayerKind::sliding_window:
      return "sliding_window";
    case LayerKind::chunked_local:
      return "chunked_local";
    case LayerKind::mla:
      return "mla";
    case LayerKind::recurrent:
      return "recurrent";
    case LayerKind::shared_kv:
      return "shared_kv";
    case LayerKind::no_attention:
      return "no_attention";
  }
  return "";
}

ModelSpec parse_model(std::string_view json, const std::string& name, const ModelOverrides& overrides) {
  JsonValue document = parse_json(json, name);
  if (document.type != JsonValue::Type::object) {
    throw InputError(name + ":1:1: expected an object, found " + std::string(to_string(document.type)),
                     ExitCode::bad_data);
  }
  for (const auto& [key, value] : overrides) apply_override(document, key, value);
  ModelSpec spec;
  const HfConfig root(document, name);
  const FamilyInput input{root, text_config(root), &spec};
  spec.name = without_suffix(base_name(name));
  spec.source = name;
  spec.architecture = first_architecture(input);
  spec.model_type = find_model_type(input);
  const Family& family = find_family(input, spec.model_type);
  spec.quantization = read_quantization(input.root, input.text, spec.weights_refused);
  read_dtype(input);
  spec.hidden_size = input.text.integer("hidden_size", 1);
  // Models without attention name no longest context, or one that they were trained on.
  constexpr std::int64_t kNoAttentionPositions = std::int64_t{1} << 20;
  spec.max_position_embeddings =
      family.no_attention && !input.text.has("max_position_embeddings")
          ? input.text.integer_or("context_length", kNoAttentionPositions, 1, HfConfig::kPositionsMax)
          : input.text.integer("max_position_embeddings", 1, HfConfig::kPositionsMax);
  const HfConfig& vocabulary = input.text.has("vocab_size") ? input.text : input.root;
  constexpr std::int64_t kVocabularyMax = std::int64_t{1} << 26;
  if (vocabulary.has("vocab_size")) {
    spec.vocab_size = vocabulary.integer("vocab_size", 1, kVocabularyMax);
  } else if (spec.weights_refused.empty()) {
    spec.weights_refused = "vocab_size is not in the file";
  }
  const bool tied_by_class =
      spec.model_type.rfind("gemma", 0) == 0;  // the class's default, where files leave it out
  spec.tied_embeddings = input.text.boolean_or("tie_word_embeddings",
                                               input.root.boolean_or("tie_word_embeddings", tied_by_class));
  family.read(input);
  check_experts(input);
  read_sharing(input);
  read_vision(input);
  return spec;
}

void set_dtype(ModelSpec& model, std::string_view dtype) {
  if (dtype != "bfloat16" && dtype != "float16" && dtype != "float32") {
    throw InputError("dtype: unknown dtype " + quoted(dtype) +
                     known_names(dtype, {"bfloat16", "float16", "float32"}));
  }
  const std::int64_t bytes = dtype == "float32" ? 4 : 2;
  for (RopeTable& table : model.rope_tables) {
    if (table.element_bytes == model.dtype_bytes) table.element_bytes = bytes;  // YaRN's stay in fp32
  }
  model.dtype = std::string(dtype);
  model.dtype_bytes = bytes;
}

namespace {

/// The embedded file that stands for a model of the Hugging Face Hub; other names as they are.
std::string name_of_hub_id(const std::string& name) {
  if (name.find('/') == std::string::npos) return name;
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.path != kHubNames) continue;
    Config names = Config::from_text(file.text, std::string(file.path));
    if (names.has(name)) return names.get_string(name);
  }
  return name;
}

}  // namespace

ModelSpec load_model(const std::string& path_or_name, const ModelOverrides& overrides,
                     const std::string& where) {
  std::error_code ignored;
  std::string path = path_or_name;
  if (std::filesystem::is_directory(path, ignored)) path += "/config.json";
  if (std::filesystem::exists(path, ignored)) {
    ModelSpec spec = parse_model(read_file(path, kConfigBytesMax, ExitCode::bad_data), path, overrides);
    if (base_name(path) == "config.json") {  // a Hugging Face snapshot: the folder names the model
      const std::string folder(base_name(std::filesystem::path(path).parent_path().string()));
      if (!folder.empty() && folder != ".") spec.name = folder;
    }
    return spec;
  }
  std::string name = without_suffix(path_or_name);
  if (name.rfind(kModelsFolder, 0) == 0) name = name.substr(kModelsFolder.size());
  name = name_of_hub_id(name);
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.path != std::string(kModelsFolder) + name + std::string(kJsonSuffix)) continue;
    ModelSpec spec = parse_model(file.text, std::string(file.path), overrides);
    spec.source = "embedded:" + std::string(file.path);
    return spec;
  }
  const std::string prefix = where.empty() ? "model" : where;
  throw InputError(prefix + ": no file, folder or known model \"" + path_or_name + "\"" +
                   known_names(name, list_models()));
}

std::vector<std::string> list_models() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.path.substr(0, kModelsFolder.size()) == kModelsFolder && ends_with_json(file.path)) {
      names.push_back(without_suffix(file.path.substr(kModelsFolder.size())));
    }
  }
  return names;
}

bool has_recurrent_state(const ModelSpec& model) {
  for (const LayerSpec& layer : model.layers) {
    if (layer.kind == LayerKind::recurrent) return true;
  }
  return false;
}

}  // namespace kvcast
