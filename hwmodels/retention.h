/// What a bounded cache keeps of a layer's past, and what a step then reads: windows as rings, attention
/// sinks, budgets of tokens chosen by attention scores, selection by query. Memory and time follow; quality
/// does not.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvcast {

struct ModelSpec;
struct AttentionShape;

enum class RetentionForm : std::uint8_t {
  all,           // as the layer's kind says
  ring,          // a sliding window, overwritten in place
  sinks,         // the first tokens and a window (StreamingLLM)
  h2o,           // a budget: the newest tokens and those with the largest sums of attention
  tova,          // a budget: what the newest query attends to most
  scissorhands,  // a budget: tokens that were pivotal for past queries
  snapkv,        // a budget of the prompt; the answer stays
  pyramidkv,     // the same, the budget falling from the first layer to the last
  quest,         // all tokens stay; a query reads a budget of them, by pages
};
[[nodiscard]] std::string_view to_string(RetentionForm form);

/// Of one layer. Counts are tokens.
struct Retention {
  RetentionForm form = RetentionForm::all;
  std::int64_t sinks = 0;
  std::int64_t window = 0;  // newest tokens, the query's own among them
  std::int64_t budget =
      0;  // kept (h2o, tova, scissorhands), kept of a prompt (snapkv, pyramidkv), read (quest)
  std::int64_t observed = 0;  // snapkv, pyramidkv: queries at the prompt's end whose attention chooses
  std::int64_t page = 0;      // quest: tokens whose keys share bounds

  auto operator<=>(const Retention&) const = default;

  /// Most tokens that a decode attends to; 0: no bound.
  [[nodiscard]] std::int64_t attended_max() const;
  /// Most tokens that a query of a prompt attends to; 0: no bound.
  [[nodiscard]] std::int64_t attended_max_in_prompt() const;
  /// Most blocks of a sequence; 0: no bound. A ring of whole blocks holds one more than the window fills, as
  /// its oldest block leaves only when its last token has.
  [[nodiscard]] std::int64_t blocks_max(std::int64_t block_size) const;
  /// Most tokens of a prompt that stay; 0: all.
  [[nodiscard]] std::int64_t prompt_max() const;
  /// Blocks that n tokens can hold, of a prompt or behind one.
  [[nodiscard]] std::int64_t blocks(std::int64_t tokens, std::int64_t block_size) const;
};

/// What the scores cost that a form chooses by, per rank and layer, for KV heads and query heads of that
/// rank.
struct ScoreCost {
  std::int64_t stored = 0;     // bytes kept for every token in the cache
  std::int64_t read = 0;       // bytes moved for every token that a decode attends to (quest: that is kept)
  std::int64_t read_flop = 0;  // and FLOP
  std::int64_t prompt = 0;     // bytes moved once for every token of a prompt
  std::int64_t prompt_pair_flop = 0;  // FLOP for every query-key pair of a prompt
};
/// h2o: sums of attention in fp32 for each KV head, read and written; the probabilities, 16 bits for each
/// query head, leave the attention kernel and come back; a prompt's scores are computed once more, as fused
/// kernels do not keep them. scissorhands: the same with counters of 16 bits. tova: the newest query's
/// probabilities alone. snapkv, pyramidkv: the probabilities of the last `observed` queries, once a prompt.
/// quest: for each page the smallest and the largest key, element by element, in 16 bits.
[[nodiscard]] ScoreCost score_cost(const Retention& retention, std::int64_t heads, std::int64_t kv_heads,
                                   std::int64_t head_dim);

/// What a scenario asks for, before it meets a model.
struct RetentionPlan {
  Retention each;
  double steepness = 0;              // pyramidkv: the last layer's budget is the mean divided by this
  std::vector<std::int64_t> layers;  // indices; empty: every layer that keeps all
};

/// Gives the model's layers what the plan says. Layers with a window of their own become rings of it,
/// whatever the form (not under quest, whose blocks are paged). \throws InputError where the model has no
/// layer for it, or one that the form cannot hold
void apply_retention(ModelSpec& model, const RetentionPlan& plan);

/// Budgets of pyramidkv, first layer first: on a straight line, their mean `budget`, the last one budget /
/// steepness (at least 1). Source: Cai et al. 2024, sec. 4.2, where the steepness is called beta.
[[nodiscard]] std::vector<std::int64_t> pyramid_budgets(std::int64_t budget, double steepness,
                                                        std::int64_t layers);

/// What is known of a form's effect on answers, with its source; empty where nothing is dropped.
[[nodiscard]] std::string quality_note(RetentionForm form);

}  // namespace kvcast
