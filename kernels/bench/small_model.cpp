#include "kernels/bench/small_model.h"

#include <cmath>

#include "kernels/bench/random.h"
#include "kernels/cpu/backend.h"

namespace kvcast::bench {
namespace {

using Floats = std::vector<float>;

struct Layer {
  Floats input_norm, qkv, output, mlp_norm, gate_up, down;
  Floats k, v;
};

/// Weights of a magnitude that keeps activations near 1.
Floats matrix(std::int64_t rows, std::int64_t columns, Random& random) {
  Floats values = random_floats(rows * columns, random);
  const auto scale = static_cast<float>(1.7 / std::sqrt(static_cast<double>(columns)));
  for (float& value : values) value *= scale;
  return values;
}

Floats rotation_table(const SmallModelShape& shape) {
  Floats table(static_cast<std::size_t>(shape.positions * shape.head_size));
  const std::int64_t half = shape.head_size / 2;
  for (std::int64_t position = 0; position < shape.positions; ++position) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) *
                           std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
      float* row = table.data() + position * shape.head_size;
      row[i] = static_cast<float>(std::cos(angle));
      row[i + half] = static_cast<float>(std::sin(angle));
    }
  }
  return table;
}

class SmallLlama final : public SmallModel {
 public:
  SmallLlama(const SmallModelShape& shape, std::int64_t sequences, std::uint64_t seed, cpu::Threads& threads)
      : shape_(shape), threads_(threads), blocks_max_(shape.positions / shape.page) {
    Random random(seed);
    embedding_ = random_floats(shape.vocabulary * shape.hidden, random);
    head_ = matrix(shape.vocabulary, shape.hidden, random);
    final_norm_.assign(static_cast<std::size_t>(shape.hidden), 1);
    rotation_ = rotation_table(shape);
    tables_ = shuffled(sequences * blocks_max_, random);
    last_token_.assign(static_cast<std::size_t>(sequences), 0);
    const std::int64_t cached = sequences * shape.positions * shape.kv_heads * shape.head_size;
    for (std::int64_t i = 0; i < shape.layers; ++i) {
      Layer layer;
      layer.input_norm.assign(static_cast<std::size_t>(shape.hidden), 1);
      layer.mlp_norm = layer.input_norm;
      layer.qkv = matrix(shape.qkv(), shape.hidden, random);
      layer.output = matrix(shape.hidden, shape.heads * shape.head_size, random);
      layer.gate_up = matrix(2 * shape.intermediate, shape.hidden, random);
      layer.down = matrix(shape.hidden, shape.intermediate, random);
      layer.k = random_floats(cached, random);
      layer.v = random_floats(cached, random);
      layers_.push_back(std::move(layer));
    }
  }

  std::vector<std::int32_t> step(const std::vector<Scheduled>& scheduled) override {
    lay_out(scheduled);
    const auto tokens = static_cast<std::int64_t>(ids_.size());
    resize(tokens);
    cpu::embed(threads_, {.table = embedding_.data(),
                          .ids = ids_.data(),
                          .y = x_.data(),
                          .rows = tokens,
                          .width = shape_.hidden});
    std::fill(residual_.begin(), residual_.end(), 0.0F);
    for (Layer& layer : layers_) run_layer(layer, tokens);
    return sample(scheduled, tokens);
  }

 private:
  void lay_out(const std::vector<Scheduled>& scheduled) {
    ids_.clear();
    positions_.clear();
    slots_.clear();
    q_start_.assign(1, 0);
    context_.clear();
    step_tables_.clear();
    for (const Scheduled& part : scheduled) {
      const std::int32_t* table = tables_.data() + part.sequence * blocks_max_;
      for (std::int64_t i = 0; i < part.tokens; ++i) {
        const std::int64_t position = part.computed + i;
        const bool generated = part.tokens == 1 && part.computed > 0;
        ids_.push_back(generated ? last_token_[static_cast<std::size_t>(part.sequence)]
                                 : static_cast<std::int32_t>((part.sequence * 977 + position * 131) %
                                                             shape_.vocabulary));
        positions_.push_back(position);
        slots_.push_back(table[position / shape_.page] * shape_.page + position % shape_.page);
      }
      q_start_.push_back(q_start_.back() + part.tokens);
      context_.push_back(part.computed + part.tokens);
      step_tables_.insert(step_tables_.end(), table, table + blocks_max_);
    }
  }

  void resize(std::int64_t tokens) {
    const auto size = [tokens](std::int64_t width) { return static_cast<std::size_t>(tokens * width); };
    x_.resize(size(shape_.hidden));
    residual_.resize(size(shape_.hidden));
    qkv_.resize(size(shape_.qkv()));
    q_.resize(size(shape_.heads * shape_.head_size));
    attended_.resize(size(shape_.heads * shape_.head_size));
    gate_up_.resize(size(2 * shape_.intermediate));
    activated_.resize(size(shape_.intermediate));
  }

  void linear(const Floats& x, const Floats& w, Floats& y, std::int64_t m, std::int64_t n, std::int64_t k) {
    cpu::gemm(threads_, {.x = x.data(), .w = w.data(), .y = y.data(), .m = m, .n = n, .k = k});
  }

  void norm(const Floats& weight, std::int64_t tokens) {
    cpu::rms_norm(threads_, {.x = x_.data(),
                             .weight = weight.data(),
                             .residual = residual_.data(),
                             .y = x_.data(),
                             .rows = tokens,
                             .width = shape_.hidden});
  }

  void run_layer(Layer& layer, std::int64_t tokens) {
    const std::int64_t attended = shape_.heads * shape_.head_size;
    const cpu::FloatCache cache{.k = layer.k.data(),
                                .v = layer.v.data(),
                                .page = shape_.page,
                                .kv_heads = shape_.kv_heads,
                                .head_size = shape_.head_size};
    norm(layer.input_norm, tokens);
    linear(x_, layer.qkv, qkv_, tokens, shape_.qkv(), shape_.hidden);
    cpu::append(threads_, {.qkv = qkv_.data(),
                           .q = q_.data(),
                           .positions = positions_.data(),
                           .slots = slots_.data(),
                           .cos_sin = rotation_.data(),
                           .tokens = tokens,
                           .heads = shape_.heads,
                           .cache = cache});
    const cpu::FloatCacheRows rows(cache, step_tables_.data(), blocks_max_);
    cpu::attention(threads_,
                   {.q = q_.data(),
                    .out = attended_.data(),
                    .kv = &rows,
                    .q_start = q_start_.data(),
                    .context = context_.data(),
                    .seqs = static_cast<std::int64_t>(context_.size()),
                    .heads = shape_.heads,
                    .kv_heads = shape_.kv_heads,
                    .head_size = shape_.head_size,
                    .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(shape_.head_size)))});
    linear(attended_, layer.output, x_, tokens, shape_.hidden, attended);
    norm(layer.mlp_norm, tokens);
    linear(x_, layer.gate_up, gate_up_, tokens, 2 * shape_.intermediate, shape_.hidden);
    cpu::silu_mul(
        threads_,
        {.x = gate_up_.data(), .y = activated_.data(), .rows = tokens, .width = shape_.intermediate});
    linear(activated_, layer.down, x_, tokens, shape_.hidden, shape_.intermediate);
  }

  std::vector<std::int32_t> sample(const std::vector<Scheduled>& scheduled, std::int64_t tokens) {
    norm(final_norm_, tokens);
    Floats last;
    for (std::size_t i = 0; i < scheduled.size(); ++i) {
      if (!scheduled[i].samples) continue;
      const auto row = x_.begin() + (q_start_[i + 1] - 1) * shape_.hidden;
      last.insert(last.end(), row, row + shape_.hidden);
    }
    const auto rows = static_cast<std::int64_t>(last.size()) / shape_.hidden;
    std::vector<std::int32_t> sampled(static_cast<std::size_t>(rows));
    if (rows == 0) return sampled;
    logits_.resize(static_cast<std::size_t>(rows * shape_.vocabulary));
    linear(last, head_, logits_, rows, shape_.vocabulary, shape_.hidden);
    cpu::sample(
        threads_,
        {.logits = logits_.data(), .tokens = sampled.data(), .rows = rows, .vocabulary = shape_.vocabulary});
    std::size_t next = 0;
    for (const Scheduled& part : scheduled)
      if (part.samples) last_token_[static_cast<std::size_t>(part.sequence)] = sampled[next++];
    return sampled;
  }

  SmallModelShape shape_;
  cpu::Threads& threads_;
  std::int64_t blocks_max_;
  std::vector<Layer> layers_;
  Floats embedding_, head_, final_norm_, rotation_;
  std::vector<std::int32_t> tables_, last_token_;
  // One step's.
  std::vector<std::int32_t> ids_, step_tables_;
  std::vector<std::int64_t> positions_, slots_, q_start_, context_;
  Floats x_, residual_, qkv_, q_, attended_, gate_up_, activated_, logits_;
};

}  // namespace

std::unique_ptr<SmallModel> make_small_model(const SmallModelShape& shape, std::int64_t sequences,
                                             std::uint64_t seed, cpu::Threads& threads) {
  return std::make_unique<SmallLlama>(shape, sequences, seed, threads);
}

std::string small_model_config(const SmallModelShape& shape) {
  const auto number = [](const char* key, std::int64_t value) {
    return std::string(", \"") + key + "\": " + std::to_string(value);
  };
  return "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\"" +
         number("hidden_size", shape.hidden) + number("intermediate_size", shape.intermediate) +
         number("num_hidden_layers", shape.layers) + number("num_attention_heads", shape.heads) +
         number("num_key_value_heads", shape.kv_heads) + number("head_dim", shape.head_size) +
         number("vocab_size", shape.vocabulary) + number("max_position_embeddings", shape.positions) +
         ", \"rms_norm_eps\": 1e-05, \"rope_theta\": 10000.0, \"hidden_act\": \"silu\", "
         "\"tie_word_embeddings\": "
         "false, \"torch_dtype\": \"float32\"}";
}

}  // namespace kvcast::bench
