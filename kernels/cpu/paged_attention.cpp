#include <vector>

#include "kernels/cpu/backend.h"

namespace kvcast::cpu {
namespace {

using Shape = kernels::AttentionArgs;

class PagedRows final : public KvRows {
 public:
  explicit PagedRows(const Shape& args) : args_(args), cache_(args.cache) {}

  void rows(std::int64_t seq, std::int64_t kv_head, std::int64_t begin, std::int64_t count, float* space,
            const float** k, const float** v) const override {
    const std::int64_t d = args_.head_size;
    for (std::int64_t j = 0; j < count; ++j) {
      const std::int64_t token = begin + j;
      const std::int64_t page = args_.block_table[seq * args_.block_table_stride + token / cache_.page_size];
      const std::int64_t row = page * cache_.page_stride + token % cache_.page_size * cache_.token_stride +
                               kv_head * cache_.head_stride;
      const std::int64_t scale = page * cache_.scale_page_stride +
                                 token % cache_.page_size * cache_.scale_token_stride +
                                 kv_head * cache_.scale_head_stride;
      float* key = space + 2 * j * d;
      k[j] = decoded(cache_.k + row, cache_.k_scale, scale, key);
      v[j] = cache_.v == nullptr ? key : decoded(cache_.v + row, cache_.v_scale, scale, key + d);
    }
  }

 private:
  const float* decoded(const std::uint8_t* row, const float* scales, std::int64_t at, float* to) const {
    const float scale = kernels::kv_has_scale(cache_.type) ? scales[at] : 1.0F;
    for (int i = 0; i < args_.head_size; ++i)
      to[i] = kernels::decode_kv(cache_.type, kernels::load_kv_code(cache_.type, row, i)) * scale;
    return to;
  }

  const Shape& args_;
  const kernels::PagedKv& cache_;
};

float to_float(const Shape& args, std::uint16_t bits) {
  return args.q_type == kernels::QueryType::bf16 ? kernels::bfloat_to_float(bits)
                                                 : kernels::half_to_float(bits);
}

std::uint16_t from_float(const Shape& args, float value) {
  return args.q_type == kernels::QueryType::bf16 ? kernels::float_to_bfloat(value)
                                                 : kernels::float_to_half(value);
}

}  // namespace

void attention(Threads& threads, const kernels::AttentionArgs& args) {
  const std::int64_t tokens = args.q_start[args.requests];
  const std::vector<std::int64_t> q_start(args.q_start, args.q_start + args.requests + 1);
  const std::vector<std::int64_t> context(args.kv_len, args.kv_len + args.requests);
  std::vector<float> q, out(static_cast<std::size_t>(tokens * args.q_heads * args.value_size));
  for (std::int64_t token = 0; token < tokens; ++token) {
    for (int head = 0; head < args.q_heads; ++head) {
      const std::uint16_t* row = args.q + token * args.q_token_stride + head * args.q_head_stride;
      for (int i = 0; i < args.head_size; ++i) q.push_back(to_float(args, row[i]));
    }
  }
  const PagedRows rows(args);
  attention(threads, AttentionArgs{.q = q.data(),
                                   .out = out.data(),
                                   .kv = &rows,
                                   .q_start = q_start.data(),
                                   .context = context.data(),
                                   .seqs = args.requests,
                                   .heads = args.q_heads,
                                   .kv_heads = args.kv_heads,
                                   .head_size = args.head_size,
                                   .value_size = args.value_size,
                                   .scale = args.scale,
                                   .window = args.window,
                                   .sink_tokens = args.sink_tokens,
                                   .soft_cap = args.soft_cap,
                                   .alibi_slopes = args.alibi_slopes,
                                   .sink_logits = args.sink_logits,
                                   .lse = args.lse});
  const float* from = out.data();
  for (std::int64_t token = 0; token < tokens; ++token) {
    for (int head = 0; head < args.q_heads; ++head) {
      std::uint16_t* to = args.out + token * args.out_token_stride + head * args.out_head_stride;
      for (int i = 0; i < args.value_size; ++i) to[i] = from_float(args, *from++);
    }
  }
}

}  // namespace kvcast::cpu
