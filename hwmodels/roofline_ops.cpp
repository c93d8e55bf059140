#include "hwmodels/roofline_ops.h"

#include <cmath>
#include <iterator>

#include "hwmodels/expert_load.h"
#include "hwmodels/kv_layout.h"
#include "hwmodels/ring_attention.h"
#include "hwmodels/weights.h"
#include "sim/base/error.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

constexpr double kFinePerSecond = 1e9 * (1 << kFineBits);

/// Builds the operators layer by layer, then scales equal ones.
class OpBuilder {
 public:
  OpBuilder(const ModelSpec& model, const GpuSpec& gpu, const TimerOptions& options)
      : model_(model),
        gpu_(gpu),
        options_(options),
        spread_(options.spread),
        tp_(options.tensor_parallel_size),
        bytes_(model.dtype_bytes) {
    if (tp_ * spread_.data_parallel * spread_.context_parallel > 1)
      node_ = spread_.node ? *spread_.node : default_node(gpu);
  }

  std::vector<Op> build() {
    add_host();
    if (spread_.slice.embeds) add_embedding();
    const std::size_t end = std::min(spread_.slice.last, model_.layers.size());
    for (std::size_t i = spread_.slice.first; i < end; ++i)
      add_layer(model_.layers[i], static_cast<std::int64_t>(i));
    if (spread_.slice.samples) {
      add_elementwise("norms", 4 * model_.final_vectors * model_.hidden_size * bytes_);
      add_head();
    }
    if (spread_.ops != OpChoice::all) {
      std::erase_if(ops_, [&](const Op& op) {
        return (op.form.kind == OpKind::collective) != (spread_.ops == OpChoice::communicating);
      });
    }
    return std::move(ops_);
  }

 private:
  [[nodiscard]] std::int64_t memory_time(double bytes) const { return fine(bytes / gpu_.bytes_per_s()); }
  [[nodiscard]] static std::int64_t fine(double seconds) { return std::llround(seconds * kFinePerSecond); }
  [[nodiscard]] std::string_view plain_dtype() const {
    return compute_dtype(WeightFormat::none, model_.dtype);
  }

  /// Fills the times from the bytes and FLOP, and merges with an equal operator of another layer.
  void add(Op op, std::string_view dtype) {
    op.flop_per_s = gpu_.flop_per_s(dtype);
    op.memory_fixed = memory_time(static_cast<double>(op.bytes_fixed));
    op.memory_row = memory_time(static_cast<double>(op.bytes_row));
    op.memory_side = memory_time(static_cast<double>(op.bytes_side));
    op.compute_row = fine(static_cast<double>(op.flop_row) / op.flop_per_s);
    merge(std::move(op));
  }

  void merge(Op op) {
    for (std::size_t i = 0; i < ops_.size(); ++i) {
      const Op& unit = units_[i];
      const bool same = unit.name == op.name && unit.rows == op.rows && unit.window == op.window &&
                        unit.experts == op.experts && unit.top_k == op.top_k &&
                        unit.bytes_fixed == op.bytes_fixed && unit.bytes_row == op.bytes_row &&
                        unit.bytes_side == op.bytes_side && unit.flop_row == op.flop_row &&
                        unit.flop_per_s == op.flop_per_s && unit.memory_fixed == op.memory_fixed &&
                        unit.memory_row == op.memory_row && unit.ways == op.ways && unit.form == op.form;
      if (!same) continue;
      Op& sum = ops_[i];
      ++sum.form.layers;
      sum.memory_fixed += op.memory_fixed;
      sum.memory_row += op.memory_row;
      sum.memory_side += op.memory_side;
      sum.compute_row += op.compute_row;
      sum.bytes_fixed += op.bytes_fixed;
      sum.bytes_row += op.bytes_row;
      sum.bytes_side += op.bytes_side;
      sum.flop_row += op.flop_row;
      for (std::size_t k = 0; k < op.ways.size(); ++k) {
        sum.ways[k].fixed += op.ways[k].fixed;
        sum.ways[k].row += op.ways[k].row;
      }
      sum.ring.transfer_fixed += op.ring.transfer_fixed;
      sum.ring.transfer_row += op.ring.transfer_row;
      return;
    }
    units_.push_back(op);
    ops_.push_back(std::move(op));
  }

  void add_host() {
    if (options_.host_overhead_us <= 0) return;
    Op op;
    op.name = "host";
    op.rows = OpRows::fixed;
    op.memory_bound = OpBound::host;
    op.form.kind = OpKind::host;
    op.memory_fixed = fine(options_.host_overhead_us * 1e-6);
    op.flop_per_s = gpu_.flop_per_s(plain_dtype());
    merge(std::move(op));
  }

  /// \param kernels that it takes in one layer
  void add_elementwise(const char* name, std::int64_t bytes_per_token, std::int64_t kernels = 1,
                       OpForm form = {}, OpRows rows = OpRows::tokens) {
    Op op;
    op.name = name;
    op.rows = rows;
    op.form = form;
    op.form.kernels = kernels;
    op.bytes_row = bytes_per_token;
    if (bytes_per_token > 0) add(std::move(op), plain_dtype());
  }

  [[nodiscard]] OpForm gemm_form(WeightFormat format, std::int64_t in, std::int64_t out) const {
    OpForm form;
    form.kind = OpKind::gemm;
    form.in_latent = in_latent_;
    form.format = format;
    form.in = in;
    form.out = out;
    return form;
  }

  /// A GEMM on `rows`: its weights once, inputs and outputs per row.
  void add_gemm(const char* name, OpRows rows, LinearRole role, std::int64_t in, std::int64_t out) {
    const bool quantized = is_quantized(model_.quantization, role, index_);
    const WeightFormat format = quantized ? model_.quantization.format : WeightFormat::none;
    Op op;
    op.name = name;
    op.rows = rows;
    op.bytes_fixed = linear_bytes(model_.quantization, format, {in, out, 1}, bytes_);
    op.bytes_row = (in + out) * bytes_;
    op.flop_row = 2 * in * out;
    op.form = gemm_form(format, in, out);
    add(std::move(op), compute_dtype(format, model_.dtype));
  }

  /// A GEMM whose weights are never quantised.
  void add_plain_gemm(const char* name, OpRows rows, std::int64_t in, std::int64_t out) {
    Op op;
    op.name = name;
    op.rows = rows;
    op.bytes_fixed = in * out * bytes_;
    op.bytes_row = (in + out) * bytes_;
    op.flop_row = 2 * in * out;
    op.form = gemm_form(WeightFormat::none, in, out);
    add(std::move(op), plain_dtype());
  }

  /// A collective of `bytes_row` for each row, by the fastest of the ways that the group's link has.
  void add_collective(const char* name, CollectiveOp collective, const RankGroup& group, OpRows rows,
                      double bytes_row) {
    if (group.size == 1 || bytes_row <= 0) return;
    const GroupLink link = group_link(*node_, gpu_, group);
    Op op;
    op.name = name;
    op.rows = rows;
    op.memory_bound = OpBound::link;
    op.form.kind = OpKind::collective;
    op.form.collective = collective;
    op.form.ranks = group.size;
    op.form.across_nodes = link.nodes > 1;
    op.form.bytes_row = std::llround(bytes_row);
    for (const CollectiveLine& line : lower_envelope(collective_lines(collective, group.size, link)))
      op.ways.push_back({fine(line.fixed_us * 1e-6), fine(line.us_per_byte * bytes_row * 1e-6)});
    op.flop_per_s = gpu_.flop_per_s(plain_dtype());
    merge(std::move(op));
  }

  /// Of one hidden state per token over the tensor-parallel ranks.
  void add_all_reduce() {
    add_collective("all_reduce", CollectiveOp::all_reduce, {tp_, 1}, OpRows::tokens,
                   static_cast<double>(model_.hidden_size * bytes_));
  }

  void add_embedding() { add_elementwise("embedding", 2 * model_.hidden_size * bytes_); }

  /// The LM head on the sampled rows, the gathering of its parts, and one pass of the sampler over the fp32
  /// logits.
  void add_head() {
    const std::int64_t padded = ceil_div(model_.vocab_size, 64) * 64;
    add_plain_gemm("lm_head", OpRows::sampled, model_.hidden_size, padded / tp_);
    add_collective("logits_gather", CollectiveOp::all_gather, {tp_, 1}, OpRows::sampled,
                   static_cast<double>(padded * bytes_));
    Op sampling;
    sampling.name = "sampling";
    sampling.rows = OpRows::sampled;
    sampling.bytes_row = model_.vocab_size * (bytes_ + 4 + 4);  // read, widened to fp32, read again
    add(std::move(sampling), plain_dtype());
    add_sort();
  }

  /// PyTorch's sort of each sampled row's logits, on every rank alike: a measured time, neither bandwidth nor
  /// FLOP bound it.
  void add_sort() {
    if (options_.sort_ns_per_logit <= 0) return;
    Op op;
    op.name = "logits_sort";
    op.rows = OpRows::sampled;
    op.form.kind = OpKind::sort;
    op.memory_row = fine(options_.sort_ns_per_logit * 1e-9 * static_cast<double>(model_.vocab_size));
    op.flop_per_s = gpu_.flop_per_s(plain_dtype());
    merge(std::move(op));
  }

  void add_layer(const LayerSpec& layer, std::int64_t index) {
    index_ = index;
    switch (layer.kind) {
      case LayerKind::full_attention:
      case LayerKind::sliding_window:
      case LayerKind::chunked_local:
      case LayerKind::shared_kv:
        add_attention(layer);
        break;
      case LayerKind::mla:
        add_mla(layer);
        break;
      case LayerKind::recurrent:
        add_recurrent(layer.state);
        break;
      case LayerKind::no_attention:
        break;
    }
    if (layer.kind != LayerKind::no_attention) add_all_reduce();
    add_mlp(layer.mlp);
    // Each norm reads an input and the residual and writes both.
    add_elementwise("norms", 4 * (layer.norms + layer.residual_norms) * model_.hidden_size * bytes_,
                    layer.norms + layer.residual_norms);
  }

  /// Attention over a cache of `kv_bytes` per token; flop per query-key pair.
  void add_decode_attention(std::int64_t window, std::int64_t kv_bytes, std::int64_t flop,
                            std::int64_t query_bytes, const OpForm& form) {
    // A rank attends to its part of every cache: with its own heads where whole ranks share it, with the
    // heads of all that share it where these are of one tensor-parallel group.
    const std::int64_t dcp = spread_.decode_context_parallel, parts = spread_.context_parallel;
    Op op;
    op.name = "decode_attention";
    op.form = form;
    op.form.heads *= dcp;
    op.form.context_parts = parts * dcp;
    op.rows = OpRows::decode_context;
    op.window = window;
    op.bytes_row = options_.enable_kv_cache ? kv_bytes / (parts * dcp) : 0;
    op.bytes_side = query_bytes * dcp;
    op.flop_row = flop / parts;
    add(std::move(op), plain_dtype());
    // Queries to all, outputs with their sums of exponentials merged (flash-decoding's rule, over ranks).
    const auto queries = static_cast<double>(query_bytes) / 2, merged = queries * static_cast<double>(dcp);
    add_collective("query_gather", CollectiveOp::all_gather, {dcp, 1}, OpRows::decode_seqs, merged);
    add_collective("output_merge", CollectiveOp::reduce_scatter, {dcp, 1}, OpRows::decode_seqs, merged);
    add_collective("output_merge", CollectiveOp::all_reduce, {parts, tp_}, OpRows::decode_seqs, queries);
  }

  void add_prefill_attention(std::int64_t window, std::int64_t kv_bytes, std::int64_t flop,
                             std::int64_t query_bytes, const OpForm& form) {
    Op op;
    op.name = "prefill_attention";
    op.form = form;
    op.rows = OpRows::prefill_pairs;
    op.window = window;
    op.bytes_row = options_.enable_kv_cache ? kv_bytes : 0;
    op.bytes_side = query_bytes;
    op.flop_row = flop;
    if (spread_.context_parallel > 1) op.ring = ring_of(kv_bytes);
    add(std::move(op), plain_dtype());
    add_collective("context_gather", CollectiveOp::all_gather, {spread_.decode_context_parallel, 1},
                   OpRows::cached_context, options_.enable_kv_cache ? static_cast<double>(kv_bytes) : 0);
  }

  /// A rank's keys and values reach the next one.
  [[nodiscard]] RingCost ring_of(std::int64_t kv_bytes) const {
    const std::int64_t ranks = spread_.context_parallel;
    const RankGroup ring{ranks, tp_};
    const CollectiveLine send =
        collective_lines(CollectiveOp::send, ranks, group_link(*node_, gpu_, ring)).front();
    RingCost cost;
    cost.ranks = ranks;
    cost.order = spread_.ring;
    cost.transfer_fixed = fine(send.fixed_us * 1e-6);
    cost.transfer_row =
        fine(send.us_per_byte * 1e-6 * static_cast<double>(kv_bytes) / static_cast<double>(ranks));
    return cost;
  }

  /// Most tokens that a decode attends to; 0: no bound.
  [[nodiscard]] static std::int64_t decode_window(const LayerSpec& layer) {
    const std::int64_t kept = layer.retention.attended_max();
    return kept > 0 ? kept : layer.attention.window;
  }

  /// The newest tokens of a quantised cache are read in 16 bits instead.
  void add_residual(const LayerSpec& layer, std::int64_t kv_heads, std::int64_t kv_bytes) {
    if (layer.storage.residual == 0 || !options_.enable_kv_cache) return;
    Op op;
    op.name = "residual_window";
    op.rows = OpRows::decode_context;
    op.window = layer.storage.residual;
    op.bytes_row = kv_heads * (layer.attention.head_dim_k + layer.attention.head_dim_v) * bytes_ - kv_bytes;
    add(std::move(op), plain_dtype());
  }

  /// What choosing the tokens costs: their scores, decode by decode, and over a prompt.
  void add_scores(const ScoreCost& scores, std::int64_t window, const Retention& retention) {
    if (!options_.enable_kv_cache) return;
    if (scores.read > 0) {
      Op op;
      op.name = "kept_scores";
      op.rows = OpRows::decode_context;
      op.window = retention.form == RetentionForm::quest ? 0 : window;  // quest scores all pages
      op.bytes_row = scores.read;
      op.flop_row = scores.read_flop;
      add(std::move(op), plain_dtype());
    }
    if (scores.prompt > 0) {
      Op op;
      op.name = "prompt_scores";
      op.rows = OpRows::prefill_pairs;
      op.bytes_side = scores.prompt;
      op.flop_row = scores.prompt_pair_flop;
      add(std::move(op), plain_dtype());
    }
  }

  void add_attention(const LayerSpec& layer) {
    const AttentionShape& shape = layer.attention;
    const std::int64_t heads = shape.heads / tp_;
    const std::int64_t kv_heads = kv_heads_per_rank(shape.kv_heads, tp_);
    const std::int64_t q_out = heads * shape.head_dim_k;
    const std::int64_t kv_out = layer.projects_kv ? kv_heads * (shape.head_dim_k + shape.head_dim_v) : 0;
    const std::int64_t projected = q_out * (shape.output_gate ? 2 : 1) + kv_out;
    LayerSpec stored = layer;
    stored.kind = LayerKind::full_attention;  // a layer that shares another's cache reads it as well
    stored.retention = {};
    const ScoreCost scores = score_cost(layer.retention, heads, kv_heads, shape.head_dim_k);
    const std::int64_t kv_bytes = layer_bytes_per_token(stored, tp_, options_.kv_cache_dtype, bytes_);
    add_gemm("qkv_proj", OpRows::tokens, LinearRole::attention, model_.hidden_size, projected);
    const bool appends = options_.enable_kv_cache && layer.kind != LayerKind::shared_kv;
    add_elementwise("rope_and_append",
                    (2 * q_out + kv_out) * bytes_ + (appends ? kv_bytes + scores.stored : 0), 2);
    std::int64_t flop = 2 * heads * (shape.head_dim_k + shape.head_dim_v);
    const std::int64_t query_bytes = heads * (shape.head_dim_k + shape.head_dim_v) * bytes_;
    OpForm form;
    form.kind = OpKind::attention;
    form.heads = heads;
    form.kv_heads = kv_heads;
    form.head_dim = shape.head_dim_k;
    if (layer.storage != KvStorage{})
      form.kv_millibytes = 1000 * kv_bytes / (kv_heads * (shape.head_dim_k + shape.head_dim_v));
    add_residual(layer, kv_heads, kv_bytes);
    add_scores(scores, decode_window(layer), layer.retention);
    const std::int64_t prompt_window = layer.retention.attended_max_in_prompt();
    // Positions inside the cache: a key is rotated when it is read, two by two elements with six operations.
    if (layer.retention.form == RetentionForm::sinks) flop += 3 * kv_heads * shape.head_dim_k;
    add_decode_attention(decode_window(layer), kv_bytes, flop, query_bytes, form);
    add_prefill_attention(prompt_window > 0 ? prompt_window : shape.window, kv_bytes, flop, query_bytes,
                          form);
    add_gemm("o_proj", OpRows::tokens, LinearRole::attention, heads * shape.head_dim_v, model_.hidden_size);
  }

  /// Decoding multiplies the absorbed matrices and attends in the latent space; prompt chunks expand their
  /// context to full heads.
  void add_mla(const LayerSpec& layer) {
    const MlaShape& mla = layer.mla;
    const std::int64_t heads = mla.heads / tp_;
    const std::int64_t kv_a = mla.kv_lora_rank + mla.rope_dim;
    const std::int64_t q_out = heads * (mla.nope_dim + mla.rope_dim);
    const std::int64_t kv_bytes = layer_bytes_per_token(layer, tp_, latent_dtype(mla), bytes_);
    in_latent_ = true;
    if (mla.q_lora_rank > 0) {
      add_gemm("qkv_a_proj", OpRows::tokens, LinearRole::attention, model_.hidden_size,
               mla.q_lora_rank + kv_a);
      add_gemm("q_b_proj", OpRows::tokens, LinearRole::attention, mla.q_lora_rank, q_out);
    } else {
      add_gemm("qkv_a_proj", OpRows::tokens, LinearRole::attention, model_.hidden_size, q_out + kv_a);
    }
    OpForm form;
    form.in_latent = true;
    add_elementwise("rope_and_append",
                    (2 * q_out + kv_a) * bytes_ + (options_.enable_kv_cache ? kv_bytes : 0), 2, form);
    add_plain_gemm("kv_b_proj", OpRows::latent_rows, mla.kv_lora_rank, heads * (mla.nope_dim + mla.v_dim));
    if (mla.index_heads > 0) add_indexer(mla);
    const std::int64_t latent_flop = 2 * heads * (kv_a + mla.kv_lora_rank);
    const std::int64_t expanded_flop = 2 * heads * (mla.nope_dim + mla.rope_dim + mla.v_dim);
    form.kind = OpKind::latent_attention;
    form.heads = heads;
    form.kv_heads = 1;
    form.head_dim = kv_a;
    const std::int64_t kept = layer.retention.attended_max();
    const std::int64_t window =
        kept > 0 && mla.index_topk > 0 ? std::min(kept, mla.index_topk) : std::max(kept, mla.index_topk);
    add_decode_attention(window, kv_bytes, latent_flop, heads * (kv_a + mla.kv_lora_rank) * bytes_, form);
    add_prefill_attention(window, kv_bytes, expanded_flop, (q_out + heads * mla.v_dim) * bytes_, form);
    if (mla.output_gate)
      add_gemm("attention_gate", OpRows::tokens, LinearRole::attention, model_.hidden_size,
               heads * mla.v_dim);
    add_gemm("o_proj", OpRows::tokens, LinearRole::attention, heads * mla.v_dim, model_.hidden_size);
    in_latent_ = false;
  }

  [[nodiscard]] KvDtype latent_dtype(const MlaShape& mla) const {
    const KvDtype dtype = options_.kv_cache_dtype;
    const bool fp8 = dtype == KvDtype::fp8_e4m3 || dtype == KvDtype::fp8_e5m2;
    return fp8 && mla.index_topk > 0 ? KvDtype::fp8_ds_mla : dtype;
  }

  /// The sparse indexer scores every token of the context (in fp8) to choose index_topk of them.
  void add_indexer(const MlaShape& mla) {
    const std::int64_t key_bytes = mla.index_head_dim * kIndexBytesPerElement + kIndexScaleBytes;
    add_gemm("indexer_proj", OpRows::tokens, LinearRole::attention, mla.q_lora_rank,
             mla.index_heads * mla.index_head_dim);
    add_plain_gemm("indexer_keys", OpRows::tokens, model_.hidden_size, mla.index_head_dim + mla.index_heads);
    for (const OpRows rows : {OpRows::decode_context, OpRows::prefill_pairs}) {
      Op op;
      op.name = "indexer_scores";
      op.rows = rows;
      op.bytes_row = key_bytes;
      op.flop_row = 2 * mla.index_heads * mla.index_head_dim;
      add(std::move(op), "fp8");
    }
  }

  void add_recurrent(const RecurrentShape& state) {
    const std::int64_t heads = state.heads / tp_;
    const std::int64_t inner = state.family == StateFamily::mamba1 ? heads : heads * state.head_dim_v;
    std::int64_t in_out = 0;  // outputs of the input projections
    switch (state.family) {
      case StateFamily::mamba1:
        in_out = 2 * inner;
        break;
      case StateFamily::mamba2:
        in_out =
            2 * inner + 2 * (state.groups % tp_ == 0 ? state.groups / tp_ : 1) * state.head_dim_k + heads;
        break;
      case StateFamily::gated_delta_net:
        in_out = 2 * (state.key_heads / tp_) * state.head_dim_k + 2 * inner + 2 * heads;
        break;
      case StateFamily::kimi_delta:
        in_out = 4 * inner + 2 * state.head_dim_v + heads;
        break;
      case StateFamily::linear_attention:
        in_out = heads * state.head_dim_k +
                 kv_heads_per_rank(state.key_heads, tp_) * (state.head_dim_k + state.head_dim_v);
        break;
      case StateFamily::rwkv:  // and the channel mixing's receptance
        in_out = 4 * inner + model_.hidden_size / tp_;
        break;
    }
    add_gemm("state_in_proj", OpRows::tokens, LinearRole::state, model_.hidden_size, in_out);
    Op update;
    update.name = "state_update";
    update.rows = OpRows::state_updates;
    update.bytes_row = 2 * state_bytes(state, tp_, 0, bytes_, 0);
    update.form.kind = OpKind::recurrent;
    if (state.family == StateFamily::gated_delta_net) {
      update.form.key_heads = state.key_heads / tp_;
      update.form.value_heads = heads;
      update.form.head_dim = state.head_dim_k;
    }
    const OpForm update_form = update.form;
    add(std::move(update), plain_dtype());
    // Each token decays the state, adds an outer product and reads it out: three multiply-adds per element of
    // the state.
    Op scan;
    scan.name = "state_scan";
    scan.form = update_form;
    scan.bytes_row = in_out * bytes_ + inner * bytes_;
    scan.flop_row = 6 * heads * state.head_dim_k * state.head_dim_v;
    add(std::move(scan), plain_dtype());
    add_gemm("state_out_proj", OpRows::tokens, LinearRole::state, inner, model_.hidden_size);
  }

  void add_mlp(const MlpShape& mlp) {
    const std::int64_t ups = mlp.gated ? 2 : 1;
    const std::int64_t hidden = model_.hidden_size;
    const auto add_dense = [&](const char* up, const char* down, LinearRole role, std::int64_t inner) {
      add_gemm(up, OpRows::tokens, role, hidden, ups * inner);
      add_elementwise("activation", (ups + 1) * inner * bytes_);
      add_gemm(down, OpRows::tokens, role, inner, hidden);
    };
    if (mlp.intermediate > 0)
      add_dense("gate_up_proj", "down_proj", LinearRole::dense_mlp, mlp.intermediate / tp_);
    if (mlp.experts > 0) {
      add_plain_gemm("router", OpRows::tokens, hidden, mlp.experts);
      if (mlp.shared_intermediate > 0) {
        add_dense("shared_expert_up", "shared_expert_down", LinearRole::shared_expert,
                  mlp.shared_intermediate / tp_);
      }
      if (mlp.expert_hidden > 0) add_plain_gemm("latent_proj", OpRows::tokens, hidden, 2 * mlp.expert_hidden);
      add_experts(mlp, ups);
    }
    if (mlp.intermediate > 0 || mlp.experts > 0) add_all_reduce();
  }

  /// Where tokens travel, experts see those of all ranks.
  [[nodiscard]] OpRows expert_rows() const {
    return spread_.exchanges() ? OpRows::group_tokens : OpRows::tokens;
  }

  /// Tokens to the ranks of their experts, and results back.
  void add_exchange(const MlpShape& mlp, bool back) {
    if (!spread_.exchanges()) return;
    const auto hidden = static_cast<double>(mlp.expert_hidden > 0 ? mlp.expert_hidden : model_.hidden_size);
    const std::int64_t groups = spread_.data_parallel * spread_.context_parallel;
    if (spread_.exchange == ExpertExchange::gather) {
      add_collective(back ? "expert_combine" : "expert_dispatch",
                     back ? CollectiveOp::reduce_scatter : CollectiveOp::all_gather, {groups, tp_},
                     OpRows::group_tokens, hidden * static_cast<double>(bytes_));
      return;
    }
    const std::int64_t ranks = spread_.expert_ranks(tp_);
    const bool fp8 = model_.quantization.format == WeightFormat::fp8_block;  // sent as they are computed with
    constexpr double kScaleBytes = 4.0 / 128;                                // one for 128 values
    const double value_bytes = fp8 && !back ? 1 + kScaleBytes : static_cast<double>(bytes_);
    const double copies = ranks_reached(mlp.top_k, ranks) / static_cast<double>(tp_);  // each rank its share
    add_collective(back ? "expert_combine" : "expert_dispatch", CollectiveOp::all_to_all, {ranks, 1},
                   OpRows::tokens, copies * hidden * value_bytes);
  }

  /// Routed experts: weights of the distinct experts that the step's tokens touch, top_k rows per token.
  /// Slices of all experts on each tensor-parallel rank, or whole experts spread over all ranks that share
  /// them: then the busiest rank sets the pace.
  void add_experts(const MlpShape& mlp, std::int64_t ups) {
    const std::int64_t hidden = mlp.expert_hidden > 0 ? mlp.expert_hidden : model_.hidden_size;
    const std::int64_t ranks = spread_.expert_ranks(tp_);
    const std::int64_t inner = mlp.expert_intermediate / (spread_.expert_parallel ? 1 : tp_);
    const double share = spread_.expert_skew / static_cast<double>(ranks);
    const auto of_rows = [&](std::int64_t value) { return std::llround(share * static_cast<double>(value)); };
    add_exchange(mlp, false);
    const bool quantized = is_quantized(model_.quantization, LinearRole::expert, index_);
    const WeightFormat format = quantized ? model_.quantization.format : WeightFormat::none;
    const auto add_part = [&](const char* name, std::int64_t in, std::int64_t out) {
      Op op;
      op.name = name;
      op.experts = mlp.experts;
      op.top_k = mlp.top_k;
      // Of one expert; a rank has one of `ranks` of those touched.
      op.rows = expert_rows();
      op.bytes_fixed = linear_bytes(model_.quantization, format, {in, out, 1}, bytes_) / ranks;
      op.bytes_row = of_rows(mlp.top_k * (in + out) * bytes_);
      op.flop_row = of_rows(mlp.top_k * 2 * in * out);
      op.form.kind = OpKind::experts;
      op.form.in_experts = true;
      op.form.ranks = ranks;
      op.form.skew = spread_.expert_skew;
      op.form.format = format;
      op.form.in = hidden;
      op.form.out = inner;
      add(std::move(op), compute_dtype(format, model_.dtype));
    };
    add_part("experts_up", hidden, ups * inner);
    OpForm form;
    form.in_experts = true;
    add_elementwise("activation", of_rows(mlp.top_k * (ups + 1) * inner * bytes_), 1, form, expert_rows());
    add_part("experts_down", inner, hidden);
    add_exchange(mlp, true);
  }

  const ModelSpec& model_;
  const GpuSpec& gpu_;
  const TimerOptions& options_;
  const SpreadOptions& spread_;
  std::optional<NodeSpec> node_;  // where there is more than one rank
  std::int64_t tp_;
  std::int64_t bytes_;
  std::int64_t index_ = 0;
  bool in_latent_ = false;  // the operators being added belong to latent attention
  std::vector<Op> units_;   // one layer's
  std::vector<Op> ops_;     // summed over the layers
};

}  // namespace

std::vector<Op> make_roofline_ops(const ModelSpec& model, const GpuSpec& gpu, const TimerOptions& options) {
  if (!model.weights_refused.empty()) {
    throw InputError(
        model.source + ": step times need the weights, which cannot be counted: " + model.weights_refused,
        ExitCode::bad_data);
  }
  check_split(model, {options.tensor_parallel_size, 1, options.spread.expert_parallel, "",
                      options.spread.data_parallel * options.spread.context_parallel});
  return OpBuilder(model, gpu, options).build();
}

}  // namespace kvcast
