#include "kernels/reference/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvcast::kernels {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

double query_value(const AttentionArgs& args, std::uint16_t bits) {
  return static_cast<double>(args.q_type == QueryType::bf16 ? bfloat_to_float(bits) : half_to_float(bits));
}

/// One row of K or V in real numbers.
struct CacheRow {
  const std::uint8_t* bytes;
  double scale;
  KvType type;

  [[nodiscard]] double at(int channel) const {
    return static_cast<double>(decode_kv(type, load_kv_code(type, bytes, channel))) * scale;
  }
};

CacheRow cache_row(const AttentionArgs& args, int request, int kv_head, std::int64_t key, bool value) {
  const PagedKv& cache = args.cache;
  const std::int64_t page = args.block_table[request * args.block_table_stride + key / cache.page_size];
  const std::int64_t token = key % cache.page_size;
  const bool of_keys = !value || cache.v == nullptr;  // MLA: the values are the keys' first channels
  const std::uint8_t* base = of_keys ? cache.k : cache.v;
  const float* scales = of_keys ? cache.k_scale : cache.v_scale;
  const std::int64_t scale_at =
      page * cache.scale_page_stride + token * cache.scale_token_stride + kv_head * cache.scale_head_stride;
  return {base + page * cache.page_stride + token * cache.token_stride + kv_head * cache.head_stride,
          kv_has_scale(cache.type) ? static_cast<double>(scales[scale_at]) : 1.0, cache.type};
}

bool sees(const AttentionArgs& args, std::int64_t position, std::int64_t key) {
  if (key > position) return false;
  return args.window == 0 || key > position - args.window || key < args.sink_tokens;
}

double bend(const AttentionArgs& args, int head, std::int64_t position, std::int64_t key, double score) {
  if (args.soft_cap > 0) {
    const double cap = static_cast<double>(args.soft_cap);
    score = cap * std::tanh(score / cap);
  }
  if (args.alibi_slopes != nullptr) {
    score += static_cast<double>(args.alibi_slopes[head]) * static_cast<double>(key - position);
  }
  return score;
}

double round_to(QueryType type, double x) {
  const float value = static_cast<float>(x);
  return static_cast<double>(type == QueryType::bf16 ? bfloat_to_float(float_to_bfloat(value))
                                                     : half_to_float(float_to_half(value)));
}

/// The queries of one request and KV head, each over all its keys at once.
class DenseHead {
 public:
  DenseHead(const AttentionArgs& args, bool rounded, int request, int kv_head)
      : args_(args),
        rounded_(rounded),
        request_(request),
        kv_head_(kv_head),
        k_(static_cast<std::size_t>(args.kv_len[request])),
        v_(k_.size()) {}

  void run(int token, int head, double* out, double* lse) {
    const std::int64_t position = args_.kv_len[request_] - (args_.q_start[request_ + 1] - token);
    const std::uint16_t* q = args_.q + token * args_.q_token_stride + head * args_.q_head_stride;
    const double scale = static_cast<double>(args_.scale);
    std::vector<double> query(static_cast<std::size_t>(args_.head_size));
    for (std::size_t c = 0; c < query.size(); ++c) {
      query[c] = maybe_round(query_value(args_, q[c]) * (rounded_ ? scale : 1.0));
    }
    std::vector<std::int64_t> keys;
    for (std::int64_t key = 0; key <= position; ++key) {
      if (sees(args_, position, key)) keys.push_back(key);
    }
    std::fill(out, out + args_.value_size, 0.0);
    *lse = kMinusInfinity;
    if (keys.empty()) return;

    std::vector<double> logits;
    for (const std::int64_t key : keys) {
      const std::vector<double>& row = decoded(k_, key, false);
      double dot = 0;
      for (std::size_t c = 0; c < query.size(); ++c) dot += query[c] * row[c];
      logits.push_back(bend(args_, head, position, key, maybe_round(dot) * (rounded_ ? 1.0 : scale)));
    }
    double sum = 0;
    const double maximum = *std::max_element(logits.begin(), logits.end());
    for (const double x : logits) sum += std::exp(x - maximum);
    if (args_.sink_logits != nullptr) sum += std::exp(static_cast<double>(args_.sink_logits[head]) - maximum);
    *lse = maximum + std::log(sum);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const std::vector<double>& row = decoded(v_, keys[i], true);
      const double weight = maybe_round(std::exp(logits[i] - *lse));
      for (int c = 0; c < args_.value_size; ++c) out[c] += weight * row[static_cast<std::size_t>(c)];
    }
    for (int c = 0; c < args_.value_size; ++c) out[c] = maybe_round(out[c]);
  }

 private:
  [[nodiscard]] double maybe_round(double x) const { return rounded_ ? round_to(args_.q_type, x) : x; }

  /// A cache row in real numbers, decoded when it is first asked for: rows that nobody sees may hold
  /// anything.
  const std::vector<double>& decoded(std::vector<std::vector<double>>& rows, std::int64_t key, bool value) {
    std::vector<double>& row = rows[static_cast<std::size_t>(key)];
    if (row.empty()) {
      const CacheRow codes = cache_row(args_, request_, kv_head_, key, value);
      row.resize(static_cast<std::size_t>(value ? args_.value_size : args_.head_size));
      for (std::size_t c = 0; c < row.size(); ++c) row[c] = maybe_round(codes.at(static_cast<int>(c)));
    }
    return row;
  }

  const AttentionArgs& args_;
  bool rounded_;
  int request_;
  int kv_head_;
  std::vector<std::vector<double>> k_;
  std::vector<std::vector<double>> v_;
};

}  // namespace

AttentionResult attend_dense(const AttentionArgs& args, Arithmetic arithmetic) {
  const auto rows =
      static_cast<std::size_t>(args.q_start[args.requests]) * static_cast<std::size_t>(args.q_heads);
  AttentionResult result;
  result.out.resize(rows * static_cast<std::size_t>(args.value_size));
  result.lse.resize(rows);
  const int group = args.q_heads / args.kv_heads;
  for (int r = 0; r < args.requests; ++r) {
    for (int kv_head = 0; kv_head < args.kv_heads; ++kv_head) {
      DenseHead dense(args, arithmetic == Arithmetic::query_type, r, kv_head);
      for (int token = args.q_start[r]; token < args.q_start[r + 1]; ++token) {
        for (int head = kv_head * group; head < (kv_head + 1) * group; ++head) {
          const auto row = static_cast<std::size_t>(token) * static_cast<std::size_t>(args.q_heads) +
                           static_cast<std::size_t>(head);
          dense.run(token, head, &result.out[row * static_cast<std::size_t>(args.value_size)],
                    &result.lse[row]);
        }
      }
    }
  }
  return result;
}

PlannedAttention::PlannedAttention(const AttentionArgs& args, const Plan& plan) : args_(args), plan_(plan) {
  const auto rows =
      static_cast<std::size_t>(args.q_start[args.requests]) * static_cast<std::size_t>(args.q_heads);
  out_.resize(rows * static_cast<std::size_t>(args.value_size));
  lse_.resize(rows);
  pieces_.resize(static_cast<std::size_t>(plan.partials) * static_cast<std::size_t>(plan.rows_per_tile));
}

void PlannedAttention::add_tile(int request, int kv_head, int row, std::int64_t tile, Piece& piece) const {
  const int group = args_.q_heads / args_.kv_heads;
  const int head = kv_head * group + row % group;
  const std::int64_t token = args_.q_start[request] + row / group;
  const std::int64_t position = args_.kv_len[request] - (args_.q_start[request + 1] - token);
  const std::uint16_t* q = args_.q + token * args_.q_token_stride + head * args_.q_head_stride;
  for (std::int64_t key = tile * kKeysPerTile; key < (tile + 1) * kKeysPerTile; ++key) {
    if (!sees(args_, position, key)) continue;
    const CacheRow k = cache_row(args_, request, kv_head, key, false);
    float dot = 0;
    for (int c = 0; c < args_.head_size; ++c) dot += static_cast<float>(query_value(args_, q[c]) * k.at(c));
    const auto logit =
        static_cast<float>(bend(args_, head, position, key, static_cast<double>(dot * args_.scale)));
    if (logit > piece.maximum) {
      const float shrink = std::exp(piece.maximum - logit);
      piece.maximum = logit;
      piece.sum *= shrink;
      for (float& x : piece.out) x *= shrink;
    }
    const float weight = std::exp(logit - piece.maximum);
    piece.sum += weight;
    const CacheRow v = cache_row(args_, request, kv_head, key, true);
    for (int c = 0; c < args_.value_size; ++c) {
      piece.out[static_cast<std::size_t>(c)] += weight * static_cast<float>(v.at(c));
    }
  }
}

void PlannedAttention::do_cta(int cta) {
  const int group = args_.q_heads / args_.kv_heads;
  for (int i = plan_.cta_first_item[static_cast<std::size_t>(cta)];
       i < plan_.cta_first_item[static_cast<std::size_t>(cta) + 1]; ++i) {
    const WorkItem& item = plan_.items[static_cast<std::size_t>(i)];
    const int q_len = args_.q_start[item.request + 1] - args_.q_start[item.request];
    const int row_end = std::min(item.row + plan_.rows_per_tile, q_len * group);
    const KeyTiles tiles = key_tiles(q_len, args_.kv_len[item.request], item.row / group,
                                     (row_end - 1) / group, args_.window, args_.sink_tokens);
    for (int row = item.row; row < row_end; ++row) {
      Piece piece = {-std::numeric_limits<float>::infinity(), 0.0F,
                     std::vector<float>(static_cast<std::size_t>(args_.value_size))};
      for (int t = item.tile_begin; t < item.tile_end; ++t) {
        add_tile(item.request, item.kv_head, row, tiles.tile(t), piece);
      }
      if (item.partial < 0) {
        finish(item.request, item.kv_head, row, piece);
      } else {
        pieces_[static_cast<std::size_t>(item.partial) * static_cast<std::size_t>(plan_.rows_per_tile) +
                static_cast<std::size_t>(row - item.row)] = std::move(piece);
      }
    }
  }
}

void PlannedAttention::do_merge(int merge) {
  const MergeItem& item = plan_.merges[static_cast<std::size_t>(merge)];
  const int group = args_.q_heads / args_.kv_heads;
  const int q_len = args_.q_start[item.request + 1] - args_.q_start[item.request];
  const int row_end = std::min(item.row + plan_.rows_per_tile, q_len * group);
  for (int row = item.row; row < row_end; ++row) {
    const auto piece_at = [&](int partial) -> const Piece& {
      return pieces_[static_cast<std::size_t>(partial) * static_cast<std::size_t>(plan_.rows_per_tile) +
                     static_cast<std::size_t>(row - item.row)];
    };
    Piece all = {-std::numeric_limits<float>::infinity(), 0.0F,
                 std::vector<float>(static_cast<std::size_t>(args_.value_size))};
    for (int p = item.partial_begin; p < item.partial_end; ++p)
      all.maximum = std::max(all.maximum, piece_at(p).maximum);
    for (int p = item.partial_begin; p < item.partial_end; ++p) {
      const Piece& piece = piece_at(p);
      if (std::isinf(piece.maximum)) continue;
      const float factor = std::exp(piece.maximum - all.maximum);
      all.sum += piece.sum * factor;
      for (std::size_t c = 0; c < all.out.size(); ++c) all.out[c] += piece.out[c] * factor;
    }
    finish(item.request, item.kv_head, row, all);
  }
}

void PlannedAttention::finish(int request, int kv_head, int row, const Piece& piece) {
  const int group = args_.q_heads / args_.kv_heads;
  const int head = kv_head * group + row % group;
  const auto at = static_cast<std::size_t>(args_.q_start[request] + row / group) *
                      static_cast<std::size_t>(args_.q_heads) +
                  static_cast<std::size_t>(head);
  if (std::isinf(piece.maximum)) {
    lse_[at] = piece.maximum;
    return;  // the output is zeros already
  }
  double sum = static_cast<double>(piece.sum);
  const double maximum = static_cast<double>(piece.maximum);
  if (args_.sink_logits != nullptr) sum += std::exp(static_cast<double>(args_.sink_logits[head]) - maximum);
  lse_[at] = static_cast<float>(maximum + std::log(sum));
  for (std::size_t c = 0; c < piece.out.size(); ++c) {
    out_[at * piece.out.size() + c] = static_cast<float>(static_cast<double>(piece.out[c]) / sum);
  }
}

}  // namespace kvcast::kernels
