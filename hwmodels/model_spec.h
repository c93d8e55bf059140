/// ModelSpec: what kvcast knows of a model's architecture, read from an unmodified Hugging Face config.json.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/kv_storage.h"
#include "hwmodels/quantization.h"
#include "hwmodels/retention.h"

namespace kvcast {

/// What a layer keeps of the past.
enum class LayerKind : std::uint8_t {
  full_attention,  // K and V of every token
  sliding_window,  // K and V of the last `window` tokens
  chunked_local,   // K and V of the tokens in the current chunk of `window` tokens
  mla,  // one latent and one rotary vector per token, shared by all heads (DeepSeek-V2 report, sec. 2.1)
  recurrent,     // a state of constant size per sequence (Mamba-2, gated delta net, KDA)
  shared_kv,     // attends to an earlier layer's cache: no entry of its own
  no_attention,  // nothing (an MLP-only layer, or one that a search removed)
};
[[nodiscard]] std::string_view to_string(LayerKind kind);

/// Dot-product attention. Widths are elements per head; K and V may differ.
struct AttentionShape {
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim_k = 0;
  std::int64_t head_dim_v = 0;
  std::int64_t window = 0;  // tokens, for sliding_window and chunked_local
  bool qkv_bias = false;
  bool output_bias = false;
  bool output_gate = false;        // queries carry a gate of the same width (Qwen3-Next)
  bool qk_norm = false;            // a norm of one head's width for queries and one for keys
  bool qk_norm_all_heads = false;  // those norms span all heads and are split over the ranks (MiniMax-M2)
  bool sinks = false;              // a learnt sink logit per head
};

/// Multi-head latent attention.
struct MlaShape {
  std::int64_t heads = 0;
  std::int64_t q_lora_rank = 0;  // 0: queries are projected directly
  std::int64_t kv_lora_rank = 0;
  std::int64_t rope_dim = 0;
  std::int64_t nope_dim = 0;
  std::int64_t v_dim = 0;
  bool output_gate = false;      // Kimi-K3: a full-rank gate of the output
  std::int64_t index_heads = 0;  // sparse attention's indexer; 0: none in this layer
  std::int64_t index_head_dim = 0;
  std::int64_t index_topk =
      0;  // tokens that the sparse layer attends to; 0: dense. May be set without an own indexer
};

enum class StateFamily : std::uint8_t {
  mamba1,
  mamba2,
  gated_delta_net,
  kimi_delta,
  linear_attention,  // sums of k v^T and of k for each head (Katharopoulos et al. 2020)
  rwkv,              // RWKV-5 to 7: a matrix for each head, and the last token's inputs of both mixings
};

/// A recurrent layer. Source of the shapes: each family's public reference implementation.
struct RecurrentShape {
  StateFamily family = StateFamily::mamba2;
  std::int64_t heads = 0;       // value heads (GDN), heads (Mamba-2, KDA); inner width (Mamba-1)
  std::int64_t key_heads = 0;   // GDN only
  std::int64_t head_dim_k = 0;  // state rows: key dim (GDN, KDA), state size (Mamba)
  std::int64_t head_dim_v = 0;  // state columns: value dim (GDN, KDA), head dim (Mamba-2), 1 (Mamba-1)
  std::int64_t groups = 0;      // Mamba-2
  std::int64_t conv_kernel = 0;
  std::int64_t intermediate = 0;  // Mamba: heads * head_dim
  std::int64_t state_bytes = 4;   // bytes of one element of the recurrent part
  bool conv_bias = false;
  bool proj_bias = false;
  bool full_rank_gate = false;  // KDA
  std::int64_t dt_rank = 0;     // Mamba-1
  std::int64_t shifted = 0;     // RWKV: width of the token that is shifted, hidden_size
};

/// The second half of a layer.
struct MlpShape {
  std::int64_t intermediate = 0;  // dense MLP; 0: none. May stand beside experts (Gemma 4)
  bool gated = true;              // gate and up projections, else up only
  bool bias = false;
  std::int64_t experts = 0;  // routed; 0: no MoE
  std::int64_t top_k = 0;
  std::int64_t expert_intermediate = 0;
  std::int64_t expert_hidden =
      0;                     // width that the routed experts see behind latent projections; 0: hidden_size
  bool latent_norm = false;  // a norm of that width
  std::int64_t shared_intermediate = 0;  // all shared experts together; 0: none
  bool shared_gate = false;              // a sigmoid gate of hidden_size elements on the shared expert
  bool router_correction = false;        // score-correction bias of the router, fp32
  bool router_bias = false;              // gpt-oss: bias of the router's projection
  bool router_scales = false;            // Gemma 4: an input scale of hidden_size and one scale per expert
  bool expert_bias = false;              // gpt-oss
};

struct LayerSpec {
  LayerKind kind = LayerKind::full_attention;
  AttentionShape attention;  // full_attention, sliding_window, chunked_local, shared_kv
  MlaShape mla;
  RecurrentShape state;
  Retention retention;      // what a bounded cache keeps; all: as the kind says
  KvStorage storage;        // how K and V are kept, where kv_cache_dtype does not say it all
  bool projects_kv = true;  // false: a layer that reads another's cache makes no keys and values
  MlpShape mlp;
  std::int64_t norms = 2;  // norm vectors of hidden_size elements
  std::int64_t residual_norms =
      0;  // Kimi-K3's attention residuals: norm vectors and mixing vectors of hidden_size elements
  std::int64_t residual_vectors = 0;
};

/// The tables of rotary positions that an engine keeps beside the weights.
struct RopeTable {
  std::int64_t rows = 0;
  std::int64_t dim = 0;
  std::int64_t element_bytes = 2;
};

/// The vision tower and projector of a multimodal model, as far as its weights are needed.
struct VisionShape {
  std::int64_t heads = 0;             // 0: no tower. The tower is split only where the ranks divide its heads
  std::int64_t parameters = 0;        // whole on every rank
  std::int64_t parameters_split = 0;  // divided over the tensor-parallel ranks
  std::int64_t buffer_bytes = 0;
  /// The largest item of the profiling run; 0 tokens: not described.
  std::int64_t item_tokens = 0;      // positions of the prompt that it takes
  std::int64_t item_embeddings = 0;  // vectors that the encoder hands to the text model
  std::int64_t item_patches = 0;     // encoded at once; 0: in chunks that fit beside the text model
  std::int64_t hidden = 0;           // width of a patch in the tower
  std::int64_t widest_split = 0;     // elements per patch of its widest part, divided over the ranks
};

struct ModelSpec {
  std::string name;          // file name or catalogue name, for messages and outputs
  std::string source;        // path that was read; "embedded:configs/models/x.json"
  std::string architecture;  // architectures[0]
  std::string model_type;
  std::int64_t hidden_size = 0;
  std::int64_t vocab_size = 0;
  std::int64_t max_position_embeddings = 0;
  std::string dtype = "bfloat16";  // of weights and activations
  std::int64_t dtype_bytes = 2;
  bool tied_embeddings = false;
  std::vector<LayerSpec> layers;
  std::vector<LayerSpec>
      draft_layers;  // multi-token-prediction layers in the checkpoint; counted only with speculation on
  Quantization quantization;
  std::vector<RopeTable> rope_tables;
  VisionShape vision;
  /// Why the weights cannot be counted although the KV cache can ("vocab_size is not in the file"); empty:
  /// they can.
  std::string weights_refused;
  std::int64_t final_vectors = 1;  // norm vectors of hidden_size elements after the last layer
};

/// Values that replace or add keys of the config before it is read: dotted key -> JSON text
/// ("text_config.num_hidden_layers" -> "2").
using ModelOverrides = std::map<std::string, std::string>;

/// Reads a model: a path to a config.json, a folder that holds one, or a name below configs/models
/// ("llama-3.1-8b", also as "configs/models/llama-3.1-8b.json" when no such file exists on disk), or an id of
/// the Hugging Face Hub that configs/models/hub_names.yaml lists. \param where "file:line:column" of the name
/// for messages; empty: the command line \throws InputError (exit code 4) "file:line:column: what, and what
/// is allowed" for JSON errors, for keys that are missing, of the wrong
///   type or impossible, and for architectures that kvcast does not model; (exit code 2) when there is no
///   such file or name
[[nodiscard]] ModelSpec load_model(const std::string& path_or_name, const ModelOverrides& overrides = {},
                                   const std::string& where = {});

/// The same from text already in memory. \param name stands for the file in messages
[[nodiscard]] ModelSpec parse_model(std::string_view json, const std::string& name,
                                    const ModelOverrides& overrides = {});

/// Sets the dtype of what the checkpoint does not quantise, and of activations: "bfloat16", "float16" or
/// "float32" (engine.dtype). \throws InputError naming the known ones
void set_dtype(ModelSpec& model, std::string_view dtype);

/// Names below configs/models that load_model() takes, in order.
[[nodiscard]] std::vector<std::string> list_models();

/// Parameters of the text model as published (unquantised elements, embeddings once when tied), and those
/// active per token.
struct ParameterCount {
  std::int64_t total = 0;
  std::int64_t active = 0;
};
[[nodiscard]] ParameterCount count_parameters(const ModelSpec& model);

/// True where some layer keeps a recurrent state.
[[nodiscard]] bool has_recurrent_state(const ModelSpec& model);

}  // namespace kvcast
