/// Model families: from the fields of one architecture's config.json to layers. One function a family.
#pragma once

#include <string>
#include <vector>

#include "hwmodels/hf_config.h"
#include "hwmodels/model_spec.h"

namespace kvcast {

/// What a family's reader sees and fills in.
struct FamilyInput {
  HfConfig root;  // the whole file
  HfConfig text;  // the language model's part: root itself, or its text_config
  ModelSpec* spec;
};

/// A reader fills spec->layers, draft_layers and rope_tables; hidden_size and the like are already there.
using FamilyReader = void (*)(const FamilyInput&);

struct Family {
  const char* model_type;
  FamilyReader read;
  const char* refusal;        // why kvcast does not model it; nullptr where `read` does
  bool no_attention = false;  // recurrent layers alone
};

/// \throws InputError naming the known model types
[[nodiscard]] const Family& find_family(const FamilyInput& input, const std::string& model_type);

// Shared by the readers.

/// A count that only the weights need: where it is missing, weights_refused says so and 0 is returned.
[[nodiscard]] std::int64_t weights_integer(const FamilyInput& input, const HfConfig& config,
                                           std::string_view key);
[[nodiscard]] std::int64_t layer_count(const FamilyInput& input);
/// num_attention_heads, num_key_value_heads, head_dim as the Hugging Face classes default them.
[[nodiscard]] AttentionShape read_attention(const FamilyInput& input);
[[nodiscard]] MlpShape read_dense_mlp(const FamilyInput& input, std::string_view key = "intermediate_size");
/// layer_types checked against the layer count; empty where the key is absent.
[[nodiscard]] std::vector<std::string> read_layer_types(const FamilyInput& input);
/// Adds the rotary table that engines build: max_position_embeddings rows of `dim`, in fp32 under YaRN
/// scaling.
void add_rope_table(const FamilyInput& input, std::int64_t dim);
/// head_dim times the partial rotary factor.
[[nodiscard]] std::int64_t rotary_dim(const FamilyInput& input, std::int64_t head_dim);

// Readers that live in files of their own.
void read_deepseek(const FamilyInput& input);
void read_kimi_linear(const FamilyInput& input);
void read_gated_delta(const FamilyInput& input);
void read_nemotron_h(const FamilyInput& input);
void read_jamba(const FamilyInput& input);
void read_mamba(const FamilyInput& input);
void read_mamba2(const FamilyInput& input);
void read_rwkv(const FamilyInput& input);
/// The vision tower, where the file has one.
void read_vision(const FamilyInput& input);

}  // namespace kvcast
