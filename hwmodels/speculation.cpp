#include "hwmodels/speculation.h"

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr double kFinePerSecond = 1e9 * (1 << kFineBits);
constexpr std::int64_t kCostMax = std::int64_t{1} << 61;

/// Sums saturate: shapes that reach them have no meaning.
std::int64_t added(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(std::min<Int128>(static_cast<Int128>(a) + b, kCostMax * 2 - 1));
}

void add(StepCost& sum, const StepCost& cost) {
  sum.time = FineDuration{added(sum.time.count(), cost.time.count())};
  sum.hbm_bytes = added(sum.hbm_bytes, cost.hbm_bytes);
  sum.flop = added(sum.flop, cost.flop);
}

class ModelDrafter final : public Drafter {
 public:
  ModelDrafter(std::unique_ptr<StepTimer> pass, FineDuration overhead)
      : pass_(std::move(pass)), overhead_(overhead) {}

  [[nodiscard]] StepCost cost(const StepShape& shape) const override {
    if (shape.draft_seqs == 0 && shape.prefill_seqs == 0) return {};
    StepShape first = shape;
    first.sampled = shape.draft_seqs;
    first.draft_seqs = first.draft_tokens = 0;
    StepCost sum = pass_->step(first);
    std::int64_t passes = 1;
    if (shape.draft_seqs > 0) {
      const std::int64_t rounds = ceil_div(shape.draft_tokens, shape.draft_seqs);
      for (std::int64_t round = 1; round < rounds; ++round) {
        add(sum, pass_->step(further(shape, round)));
        ++passes;
      }
    }
    sum.time += overhead_ * passes;
    return sum;
  }

 private:
  /// One token of each sequence that drafts are asked for.
  static StepShape further(const StepShape& shape, std::int64_t round) {
    StepShape pass;
    pass.tokens = pass.sampled = pass.decode_seqs = shape.draft_seqs;
    const bool behind_prompts = shape.draft_seqs > shape.decode_seqs;
    pass.decode_context =
        std::max(shape.decode_context + (behind_prompts ? shape.prefill_context : 0), shape.draft_seqs) +
        round * shape.draft_seqs;
    return pass;
  }

  std::unique_ptr<StepTimer> pass_;
  FineDuration overhead_;
};

/// Weights of one head: a residual block, hidden to hidden, and its LM head, both split over the ranks.
std::int64_t head_parameters(const ModelSpec& target, std::int64_t ranks) {
  return target.hidden_size * target.hidden_size / ranks + target.hidden_size * (target.vocab_size / ranks);
}

class HeadDrafter final : public Drafter {
 public:
  HeadDrafter(const ModelSpec& target, const GpuSpec& gpu, std::int64_t heads, std::int64_t ranks)
      : heads_(heads),
        parameters_(head_parameters(target, ranks)),
        row_bytes_((2 * target.hidden_size + target.vocab_size / ranks) * target.dtype_bytes),
        dtype_bytes_(target.dtype_bytes),
        bytes_per_s_(gpu.bytes_per_s()),
        flop_per_s_(gpu.flop_per_s(compute_dtype(WeightFormat::none, target.dtype))) {}

  [[nodiscard]] StepCost cost(const StepShape& shape) const override {
    if (shape.draft_seqs == 0) return {};
    const std::int64_t heads = std::min(heads_, ceil_div(shape.draft_tokens, shape.draft_seqs));
    const auto rows = static_cast<double>(shape.draft_seqs);
    const double bytes = static_cast<double>(heads) * (static_cast<double>(parameters_ * dtype_bytes_) +
                                                       rows * static_cast<double>(row_bytes_));
    const double flop = 2 * static_cast<double>(heads) * static_cast<double>(parameters_) * rows;
    StepCost cost;
    cost.time = FineDuration{std::llround(std::min(
        std::max(bytes / bytes_per_s_, flop / flop_per_s_) * kFinePerSecond, static_cast<double>(kCostMax)))};
    cost.hbm_bytes = std::llround(std::min(bytes, static_cast<double>(kCostMax)));
    cost.flop = std::llround(std::min(flop, static_cast<double>(kCostMax)));
    return cost;
  }

 private:
  std::int64_t heads_, parameters_, row_bytes_, dtype_bytes_;
  double bytes_per_s_, flop_per_s_;
};

class LookupDrafter final : public Drafter {
 public:
  explicit LookupDrafter(FineDuration per_token) : per_token_(per_token) {}
  [[nodiscard]] StepCost cost(const StepShape& shape) const override {
    StepCost cost;
    if (shape.draft_seqs == 0) return cost;
    const bool behind_prompts = shape.draft_seqs > shape.decode_seqs;
    const Int128 tokens =
        static_cast<Int128>(shape.decode_context) + (behind_prompts ? shape.prefill_context : 0);
    cost.time =
        FineDuration{static_cast<std::int64_t>(std::min<Int128>(tokens * per_token_.count(), kCostMax))};
    return cost;
  }

 private:
  FineDuration per_token_;
};

class SpeculativeTimer final : public StepTimer {
 public:
  SpeculativeTimer(std::unique_ptr<StepTimer> target, std::unique_ptr<Drafter> drafter)
      : target_(std::move(target)), drafter_(std::move(drafter)) {}

  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    StepCost cost = target_->step(shape);
    add(cost, drafter_->cost(shape));
    return cost;
  }
  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t context) const override {
    return target_->decode(seqs, context);
  }
  [[nodiscard]] DecodeLine decode_within(std::int64_t seqs, std::int64_t context,
                                         std::int64_t reach) const override {
    return target_->decode_within(seqs, context, reach);
  }
  [[nodiscard]] StepParts parts(const StepShape& shape) const override {
    const StepCost whole = step(shape);
    const StepCost target = target_->step(shape);
    StepParts parts = target_->parts(shape);
    parts.time_of(StepPart::drafting) += whole.time.count() - target.time.count();
    parts.bytes_of(StepPart::drafting) += whole.hbm_bytes - target.hbm_bytes;
    return parts;
  }
  [[nodiscard]] double relative_error(const StepShape& shape) const override {
    return target_->relative_error(shape);
  }

 private:
  std::unique_ptr<StepTimer> target_;
  std::unique_ptr<Drafter> drafter_;
};

}  // namespace

std::string_view to_string(DraftMethod method) {
  switch (method) {
    case DraftMethod::draft_model:
      return "draft_model";
    case DraftMethod::ngram:
      return "ngram";
    case DraftMethod::eagle:
      return "eagle";
    case DraftMethod::eagle3:
      return "eagle3";
    case DraftMethod::medusa:
      return "medusa";
    case DraftMethod::mtp:
      return "mtp";
  }
  check_failed("no such method", __FILE__, __LINE__);
}

std::unique_ptr<Drafter> make_model_drafter(std::unique_ptr<StepTimer> pass, FineDuration overhead) {
  return std::make_unique<ModelDrafter>(std::move(pass), overhead);
}

std::unique_ptr<Drafter> make_head_drafter(const ModelSpec& target, const GpuSpec& gpu, std::int64_t heads,
                                           std::int64_t tensor_parallel_size) {
  return std::make_unique<HeadDrafter>(target, gpu, heads, tensor_parallel_size);
}

std::unique_ptr<Drafter> make_lookup_drafter(FineDuration per_token) {
  return std::make_unique<LookupDrafter>(per_token);
}

ModelSpec draft_pass_model(DraftMethod method, const ModelSpec& target, const ModelSpec* draft) {
  if (method == DraftMethod::draft_model) {
    KVCAST_CHECK(draft != nullptr);
    return *draft;
  }
  ModelSpec pass = target;
  if (method == DraftMethod::mtp) {
    if (target.draft_layers.empty())
      throw InputError("speculative.method: " + target.name + " has no prediction layers (mtp)");
    pass.layers = target.draft_layers;
  } else {
    LayerSpec layer = target.layers.front();
    if (layer.kind == LayerKind::sliding_window || layer.kind == LayerKind::chunked_local)
      layer.kind = LayerKind::full_attention;
    pass.layers = {layer};
  }
  return pass;
}

std::int64_t medusa_bytes(const ModelSpec& target, std::int64_t heads, std::int64_t tensor_parallel_size) {
  return heads * head_parameters(target, tensor_parallel_size) * target.dtype_bytes;
}

std::int64_t eagle3_bytes(const ModelSpec& target) {
  constexpr std::int64_t kDraftVocabulary = 32'000;
  const AttentionShape& attention = target.layers.front().attention;
  const std::int64_t qkv = attention.heads * attention.head_dim_k +
                           attention.kv_heads * (attention.head_dim_k + attention.head_dim_v);
  const std::int64_t hidden = target.hidden_size;
  return (hidden * hidden + hidden * qkv + hidden * kDraftVocabulary) * target.dtype_bytes;
}

std::unique_ptr<StepTimer> make_speculative_timer(std::unique_ptr<StepTimer> target,
                                                  std::unique_ptr<Drafter> drafter) {
  return std::make_unique<SpeculativeTimer>(std::move(target), std::move(drafter));
}

SpeculationPoint speculation_point(const StepTimer& timer, std::int64_t seqs, std::int64_t context,
                                   std::int64_t drafts, double expected) {
  StepShape plain;
  plain.tokens = plain.sampled = plain.decode_seqs = seqs;
  plain.decode_context = seqs * context;
  StepShape verify = plain;
  verify.tokens = verify.sampled = seqs * (drafts + 1);
  verify.decode_context = seqs * (context + drafts);
  verify.verify_tokens = seqs * drafts;
  verify.verify_pairs = seqs * (drafts * (context - 1) + drafts * (drafts + 1) / 2);
  verify.draft_seqs = seqs;
  verify.draft_tokens = seqs * drafts;
  const auto per_second = [&](const StepShape& shape, double tokens) {
    return tokens * static_cast<double>(seqs) * kFinePerSecond /
           static_cast<double>(std::max<std::int64_t>(1, timer.step(shape).time.count()));
  };
  return {seqs, per_second(plain, 1), per_second(verify, expected)};
}

std::int64_t largest_paying_batch(const StepTimer& timer, std::int64_t context, std::int64_t drafts,
                                  double expected, std::int64_t seqs_max) {
  std::int64_t largest = 0;
  for (std::int64_t next = 1; next <= seqs_max; next += std::max<std::int64_t>(1, next / 64)) {
    const std::int64_t seqs = next + std::max<std::int64_t>(1, next / 64) > seqs_max ? seqs_max : next;
    if (speculation_point(timer, seqs, context, drafts, expected).speedup() > 1) largest = seqs;
  }
  return largest;
}

}  // namespace kvcast
