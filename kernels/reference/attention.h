/// What attention.h describes, computed plainly on the CPU. These are what the kernels are judged by.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/attention/attention.h"

namespace kvcast::kernels {

struct AttentionResult {
  std::vector<double> out;  // [tokens][q_heads][value_size]
  std::vector<double> lse;  // [tokens][q_heads]
};

/// In which arithmetic attend_dense() works.
enum class Arithmetic : std::uint8_t {
  /// Everything in double; the cache exactly as its codes and scales say.
  exact,
  /// Scaled queries, cache values, scores, weights and outputs rounded to the query's type, sums in float:
  /// what a
  /// plain implementation in that type gives. Its distance from `exact` is the yardstick for a kernel's.
  query_type,
};

/// Query by query over all keys at once, by the definition; shares nothing with the kernels but the formats.
[[nodiscard]] AttentionResult attend_dense(const AttentionArgs& args, Arithmetic arithmetic);

/// The plan's work items in float, tile by tile, then the merges: the kernels' algorithm without their data
/// movement. The pieces of different CTAs are independent: do_cta() may run on any threads, then do_merge().
class PlannedAttention {
 public:
  /// `plan` must outlive this.
  PlannedAttention(const AttentionArgs& args, const Plan& plan);

  void do_cta(int cta);
  void do_merge(int merge);

  /// [tokens][q_heads][value_size] and [tokens][q_heads], complete after all CTAs and merges.
  [[nodiscard]] const std::vector<float>& out() const { return out_; }
  [[nodiscard]] const std::vector<float>& lse() const { return lse_; }

 private:
  /// One row's softmax so far: natural logarithms, `out` not yet divided.
  struct Piece {
    float maximum;
    float sum;
    std::vector<float> out;
  };
  void add_tile(int request, int kv_head, int row, std::int64_t tile, Piece& piece) const;
  void finish(int request, int kv_head, int row, const Piece& piece);

  AttentionArgs args_;
  const Plan& plan_;
  std::vector<Piece> pieces_;  // [partials][rows_per_tile]
  std::vector<float> out_;
  std::vector<float> lse_;
};

}  // namespace kvcast::kernels
