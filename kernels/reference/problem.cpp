#include "kernels/reference/problem.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

namespace kvcast::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr std::int32_t kNoPage = -100'000'000;  // an address far outside, should anybody use it

std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

std::string list(const std::vector<int>& values) {
  std::string out;
  for (const int v : values) out += (out.empty() ? "" : ",") + std::to_string(v);
  return "{" + out + "}";
}

}  // namespace

std::string ProblemShape::text() const {
  std::string out = kv_type_name(type);
  out += q_type == QueryType::bf16 ? " q bf16" : " q fp16";
  out += " d" + std::to_string(head_size) + (mla ? " mla" : "") + " kv_heads " + std::to_string(kv_heads) +
         " group " + std::to_string(group) + " page " + std::to_string(page_size) + " q_len " + list(q_len) +
         " kv_len " + list(kv_len) + " window " + std::to_string(window) + " sinks " +
         std::to_string(sink_tokens) + " cap " + std::to_string(soft_cap);
  if (sink_logits) out += " sink logits";
  if (alibi) out += " alibi";
  if (heads_outside) out += " HND";
  if (tensor_scale) out += " one scale";
  return out + " seed " + std::to_string(seed);
}

Problem::Problem(const ProblemShape& shape) : shape_(shape), random_(shape.seed) {
  q_start_.push_back(0);
  for (const int q : shape.q_len) q_start_.push_back(q_start_.back() + q);
  q_len_.assign(shape.q_len.begin(), shape.q_len.end());
  kv_len_.assign(shape.kv_len.begin(), shape.kv_len.end());
  args_.requests = static_cast<int>(shape.q_len.size());
  args_.kv_heads = shape.kv_heads;
  args_.q_heads = shape.kv_heads * shape.group;
  args_.head_size = shape.head_size;
  args_.value_size = shape.mla ? 512 : shape.head_size;
  args_.q_type = shape.q_type;
  args_.q_start = q_start_.data();
  args_.kv_len = kv_len_.data();
  args_.scale = 1.0F / std::sqrt(static_cast<float>(shape.head_size)) / shape.q_magnitude;
  args_.soft_cap = shape.soft_cap;
  args_.window = shape.window;
  args_.sink_tokens = shape.sink_tokens;
  make_queries();
  make_cache();
  for (int h = 0; h < args_.q_heads; ++h) {
    sink_logits_.push_back(normal());
    slopes_.push_back(0.3F / static_cast<float>(h + 1));
  }
  if (shape.sink_logits) args_.sink_logits = sink_logits_.data();
  if (shape.alibi) args_.alibi_slopes = slopes_.data();
}

float Problem::normal() {
  // SplitMix64, and the sum of 12 uniforms less 6: portable and near enough to normal.
  float sum = -6;
  for (int i = 0; i < 12; ++i) {
    random_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = random_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    sum += static_cast<float>((z ^ (z >> 31)) >> 40) * 0x1p-24F;
  }
  return sum;
}

void Problem::make_queries() {
  const std::int64_t rows = std::int64_t{q_start_.back()} * args_.q_heads;
  args_.q_head_stride = args_.head_size;
  args_.q_token_stride = args_.q_head_stride * args_.q_heads;
  args_.out_head_stride = args_.value_size;
  args_.out_token_stride = args_.out_head_stride * args_.q_heads;
  for (std::int64_t i = 0; i < rows * args_.head_size; ++i) {
    const float x = normal() * shape_.q_magnitude;
    q_.push_back(shape_.q_type == QueryType::bf16 ? float_to_bfloat(x) : float_to_half(x));
  }
  out_.resize(size(rows * args_.value_size));
  lse_.resize(size(rows));
  args_.q = q_.data();
  args_.out = out_.data();
  args_.lse = lse_.data();
  poison();
}

void Problem::make_cache() {
  const int pages_max = 1 + std::accumulate(kv_len_.begin(), kv_len_.end(), 0, [&](int most, int len) {
                          return std::max(most, (len + shape_.page_size - 1) / shape_.page_size);
                        });
  const int pages = pages_max * args_.requests + 3;
  const std::int64_t row = kv_row_bytes(shape_.type, shape_.head_size);
  PagedKv& cache = args_.cache;
  cache.type = shape_.type;
  cache.page_size = shape_.page_size;
  cache.page_stride = row * shape_.page_size * shape_.kv_heads;
  cache.token_stride = shape_.heads_outside ? row : row * shape_.kv_heads;
  cache.head_stride = shape_.heads_outside ? row * shape_.page_size : row;
  k_.assign(size(cache.page_stride * pages), 0xff);
  v_.assign(shape_.mla ? 0 : k_.size(), 0xff);
  if (!shape_.tensor_scale) {
    cache.scale_page_stride = std::int64_t{shape_.page_size} * shape_.kv_heads;
    cache.scale_token_stride = shape_.kv_heads;
    cache.scale_head_stride = 1;
  }
  const std::int64_t scales = shape_.tensor_scale ? 1 : cache.scale_page_stride * pages;
  const float unused = shape_.tensor_scale ? 6.0F / kv_code_max(shape_.type) : kNan;
  k_scale_.assign(size(scales), unused);
  v_scale_.assign(size(scales), unused);
  cache.k = k_.data();
  cache.v = shape_.mla ? nullptr : v_.data();
  cache.k_scale = k_scale_.data();
  cache.v_scale = v_scale_.data();

  std::vector<std::int32_t> free(size(pages));
  std::iota(free.begin(), free.end(), 0);
  for (std::size_t i = free.size() - 1; i > 0; --i) {
    std::swap(free[i], free[static_cast<std::size_t>(std::fabs(normal()) * 1e5F) % (i + 1)]);
  }
  args_.block_table_stride = pages_max;
  block_table_.assign(size(std::int64_t{pages_max} * args_.requests), kNoPage);
  for (int r = 0; r < args_.requests; ++r) {
    for (int t = 0; t < kv_len_[size(r)]; ++t) {
      std::int32_t& page = block_table_[size(std::int64_t{r} * pages_max + t / shape_.page_size)];
      const bool shared = r > 0 && t / shape_.page_size < shape_.shared_pages &&
                          block_table_[size(t / shape_.page_size)] >= 0;
      if (shared) {
        page = block_table_[size(t / shape_.page_size)];
      } else if (page < 0) {
        page = free.back();
        free.pop_back();
      }
      for (int h = 0; h < shape_.kv_heads; ++h) {
        make_row(page, t % shape_.page_size, h, false);
        if (!shape_.mla) make_row(page, t % shape_.page_size, h, true);
      }
    }
  }
  forget_what_left_the_window();
  args_.block_table = block_table_.data();
}

void Problem::forget_what_left_the_window() {
  if (shape_.window == 0) return;
  for (int r = 0; r < args_.requests; ++r) {
    const int first_seen = kv_len_[size(r)] - q_len_[size(r)] - shape_.window + 1;
    for (int page = (shape_.sink_tokens + shape_.page_size - 1) / shape_.page_size;
         (page + 1) * shape_.page_size <= first_seen; ++page) {
      block_table_[size(r * args_.block_table_stride + page)] = kNoPage;
    }
  }
}

void Problem::make_row(int page, int token, int head, bool value) {
  const PagedKv& cache = args_.cache;
  std::vector<float> row(size(shape_.head_size));
  std::generate(row.begin(), row.end(), [&] { return normal(); });
  float scale = 1;
  if (kv_has_scale(shape_.type)) {
    float& stored = (value ? v_scale_ : k_scale_)[size(
        page * cache.scale_page_stride + token * cache.scale_token_stride + head * cache.scale_head_stride)];
    if (!shape_.tensor_scale) {
      float largest = 0;
      for (const float x : row) largest = std::max(largest, std::fabs(x));
      stored = largest / kv_code_max(shape_.type);
      const float factor = value ? std::exp(shape_.scale_spread * (normal() / 3)) : 1.0F;
      for (float& x : row) x *= factor;
      stored *= factor;
    }
    scale = stored;
  }
  std::uint8_t* to = (value ? v_ : k_).data() + page * cache.page_stride + token * cache.token_stride +
                     head * cache.head_stride;
  for (int c = 0; c < shape_.head_size; ++c)
    store_kv_code(shape_.type, to, c, encode_kv(shape_.type, row[size(c)] / scale));
}

Plan Problem::plan(int rows_per_tile, int ctas, int min_tiles) const {
  return plan_attention({.q_len = q_len_,
                         .kv_len = kv_len_,
                         .group = shape_.group,
                         .kv_heads = shape_.kv_heads,
                         .rows_per_tile = rows_per_tile,
                         .window = shape_.window,
                         .sink_tokens = shape_.sink_tokens,
                         .ctas = ctas,
                         .min_tiles = min_tiles});
}

void Problem::poison() {
  std::fill(out_.begin(), out_.end(), std::uint16_t{0x7fff});
  std::fill(lse_.begin(), lse_.end(), kNan);
}

std::vector<double> Problem::out() const {
  std::vector<double> values;
  for (const std::uint16_t bits : out_) {
    values.push_back(
        static_cast<double>(shape_.q_type == QueryType::bf16 ? bfloat_to_float(bits) : half_to_float(bits)));
  }
  return values;
}

}  // namespace kvcast::kernels
