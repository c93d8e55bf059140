/// Attention problems to check kernels with: random data in a shuffled paged cache, everything that must not
/// be read poisoned.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/attention/attention.h"

namespace kvcast::kernels {

struct ProblemShape {
  KvType type = KvType::bf16;
  QueryType q_type = QueryType::bf16;
  int head_size = 64;
  int kv_heads = 1;
  int group = 1;
  int page_size = 16;
  std::vector<int> q_len;
  std::vector<int> kv_len;
  int window = 0;
  int sink_tokens = 0;
  float soft_cap = 0;
  bool sink_logits = false;
  bool alibi = false;
  bool mla = false;            // head 576, values 512
  bool heads_outside = false;  // pages hold [head][token], not [token][head]
  bool tensor_scale = false;   // one scale for all rows
  float q_magnitude = 1;
  float scale_spread = 0;  // scales differ by up to e^+-spread from row to row
  int shared_pages = 0;    // first pages that all requests share
  std::uint64_t seed = 1;

  [[nodiscard]] std::string text() const;
};

class Problem {
 public:
  explicit Problem(const ProblemShape& shape);
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;

  [[nodiscard]] const AttentionArgs& args() const { return args_; }
  [[nodiscard]] Plan plan(int rows_per_tile, int ctas, int min_tiles) const;
  /// The output is poisoned before each run.
  void poison();
  [[nodiscard]] std::vector<double> out() const;
  [[nodiscard]] const std::vector<std::uint16_t>& out_bits() const { return out_; }
  [[nodiscard]] const std::vector<float>& lse() const { return lse_; }

  /// Sizes of the arrays that args() points to, for those who copy them.
  [[nodiscard]] std::size_t q_count() const { return q_.size(); }
  [[nodiscard]] std::size_t k_bytes() const { return k_.size(); }
  [[nodiscard]] std::size_t v_bytes() const { return v_.size(); }
  [[nodiscard]] std::size_t k_scale_count() const { return k_scale_.size(); }
  [[nodiscard]] std::size_t v_scale_count() const { return v_scale_.size(); }
  [[nodiscard]] std::size_t table_count() const { return block_table_.size(); }

 private:
  void make_queries();
  void make_cache();
  void forget_what_left_the_window();
  float normal();
  void make_row(int page, int token, int head, bool value);

  ProblemShape shape_;
  AttentionArgs args_;
  std::uint64_t random_;
  std::vector<std::int32_t> q_start_;
  std::vector<std::int32_t> q_len_;
  std::vector<std::int32_t> kv_len_;
  std::vector<std::int32_t> block_table_;
  std::vector<std::uint16_t> q_;
  std::vector<std::uint16_t> out_;
  std::vector<float> lse_;
  std::vector<std::uint8_t> k_;
  std::vector<std::uint8_t> v_;
  std::vector<float> k_scale_;
  std::vector<float> v_scale_;
  std::vector<float> sink_logits_;
  std::vector<float> slopes_;
};

}  // namespace kvcast::kernels
