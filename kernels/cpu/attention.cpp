// One item of work is a few queries of one sequence with all heads of one KV head: each tile of keys is read
// once for all of them, with the running maximum and sum of Milakov & Gimelshein, "Online normalizer
// calculation for softmax", 2018.
#include "kernels/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/backend.h"
#include "kernels/cpu/vec4.h"

namespace kvcast::cpu {
namespace {

constexpr std::int64_t kKeys = 64;  // keys of a tile
constexpr std::int64_t kRowsMax =
    16;  // rows (query times head of the group) of an item; more for a larger group
constexpr float kNone = -std::numeric_limits<float>::infinity();

struct Item {
  std::int64_t seq;
  std::int64_t begin, end;  // queries of the sequence
  std::int64_t kv_head;
};

float dot(const float* a, const float* b, std::int64_t n) {
  Vec4 even{}, odd{};
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    even += load4(a + i) * load4(b + i);
    odd += load4(a + i + 4) * load4(b + i + 4);
  }
  float total = sum4(even + odd);
  for (; i < n; ++i) total += a[i] * b[i];
  return total;
}

/// out += weight * v
void add_scaled(float* out, float weight, const float* v, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] += weight * v[i];
}

/// The state of one item: every row's output so far, its maximum and its sum.
class Worker {
 public:
  explicit Worker(const AttentionArgs& args)
      : args_(args),
        group_(args.heads / args.kv_heads),
        value_size_(args.value_size > 0 ? args.value_size : args.head_size) {
    space_.resize(static_cast<std::size_t>(2 * kKeys * args.head_size));
    k_.resize(static_cast<std::size_t>(kKeys));
    v_.resize(static_cast<std::size_t>(kKeys));
  }

  void compute(const Item& item) {
    item_ = item;
    first_query_ = args_.q_start[item.seq];
    const std::int64_t queries = args_.q_start[item.seq + 1] - first_query_;
    past_ = args_.context[item.seq] - queries;
    const auto rows = static_cast<std::size_t>((item.end - item.begin) * group_);
    sums_.assign(rows * static_cast<std::size_t>(value_size_), 0);
    largest_.assign(rows, kNone);
    total_.assign(rows, 0);
    const std::int64_t seen = past_ + item.end;  // by the last query
    const std::int64_t lowest =
        args_.window > 0 ? std::max<std::int64_t>(0, past_ + item.begin + 1 - args_.window) : 0;
    range(0, std::min({args_.sink_tokens, lowest, seen}));
    range(lowest, seen);
    finish();
  }

 private:
  [[nodiscard]] std::int64_t head(std::int64_t row) const { return item_.kv_head * group_ + row % group_; }
  [[nodiscard]] std::int64_t query(std::int64_t row) const { return item_.begin + row / group_; }
  [[nodiscard]] std::int64_t offset(std::int64_t row) const {
    return (first_query_ + query(row)) * args_.heads + head(row);
  }

  /// Keys that some query of the item sees; no other is read.
  void range(std::int64_t begin, std::int64_t end) {
    for (std::int64_t key = begin; key < end; key += kKeys) tile(key, std::min(kKeys, end - key));
  }

  void tile(std::int64_t key, std::int64_t count) {
    args_.kv->rows(item_.seq, item_.kv_head, key, count, space_.data(), k_.data(), v_.data());
    const std::int64_t rows = (item_.end - item_.begin) * group_;
    for (std::int64_t row = 0; row < rows; ++row) row_of_tile(row, key, count);
  }

  void row_of_tile(std::int64_t row, std::int64_t key, std::int64_t count) {
    const std::int64_t position = past_ + query(row);
    const std::int64_t end = std::min(count, position + 1 - key);
    float scores[kKeys];
    float largest = kNone;
    const float* q = args_.q + offset(row) * args_.head_size;
    for (std::int64_t j = 0; j < end; ++j) {
      scores[j] = score(q, row, position, key + j, k_[static_cast<std::size_t>(j)]);
      largest = std::max(largest, scores[j]);
    }
    if (largest == kNone) return;
    const auto index = static_cast<std::size_t>(row);
    float* out = sums_.data() + row * value_size_;
    if (largest > largest_[index]) {
      const float factor = std::exp(largest_[index] - largest);
      for (std::int64_t i = 0; i < value_size_; ++i) out[i] *= factor;
      total_[index] *= factor;
      largest_[index] = largest;
    }
    for (std::int64_t j = 0; j < end; ++j) {
      if (scores[j] == kNone) continue;
      const float weight = std::exp(scores[j] - largest_[index]);
      total_[index] += weight;
      add_scaled(out, weight, v_[static_cast<std::size_t>(j)], value_size_);
    }
  }

  [[nodiscard]] float score(const float* q, std::int64_t row, std::int64_t position, std::int64_t key,
                            const float* k) const {
    if (args_.window > 0 && key <= position - args_.window && key >= args_.sink_tokens) return kNone;
    float value = dot(q, k, args_.head_size) * args_.scale;
    if (args_.soft_cap > 0) value = args_.soft_cap * std::tanh(value / args_.soft_cap);
    if (args_.alibi_slopes != nullptr)
      value += args_.alibi_slopes[head(row)] * static_cast<float>(key - position);
    return value;
  }

  void finish() {
    const std::int64_t rows = (item_.end - item_.begin) * group_;
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto index = static_cast<std::size_t>(row);
      float total = total_[index], largest = largest_[index];
      float factor = 1;
      if (args_.sink_logits != nullptr && total > 0) {
        const float sink = args_.sink_logits[head(row)];
        const float top = std::max(sink, largest);
        factor = std::exp(largest - top);
        total = total * factor + std::exp(sink - top);
        largest = top;
      }
      const float inverse = total > 0 ? factor / total : 0.0F;
      const float* from = sums_.data() + row * value_size_;
      float* to = args_.out + offset(row) * value_size_;
      for (std::int64_t i = 0; i < value_size_; ++i) to[i] = from[i] * inverse;
      if (args_.lse != nullptr) args_.lse[offset(row)] = total > 0 ? largest + std::log(total) : kNone;
    }
  }

  const AttentionArgs& args_;
  std::int64_t group_;
  std::int64_t value_size_;
  Item item_{};
  std::int64_t first_query_ = 0;
  std::int64_t past_ = 0;  // tokens before the sequence's first query
  std::vector<float> space_, sums_, largest_, total_;
  std::vector<const float*> k_, v_;
};

std::vector<Item> make_items(const AttentionArgs& args) {
  const std::int64_t group = args.heads / args.kv_heads;
  const std::int64_t queries_max = std::max<std::int64_t>(1, kRowsMax / group);
  std::vector<Item> items;
  for (std::int64_t seq = 0; seq < args.seqs; ++seq) {
    const std::int64_t queries = args.q_start[seq + 1] - args.q_start[seq];
    for (std::int64_t begin = 0; begin < queries; begin += queries_max) {
      for (std::int64_t head = 0; head < args.kv_heads; ++head)
        items.push_back({seq, begin, std::min(queries, begin + queries_max), head});
    }
  }
  return items;
}

}  // namespace

void attention(Threads& threads, const AttentionArgs& args) {
  const std::vector<Item> items = make_items(args);
  std::vector<Worker> workers(static_cast<std::size_t>(threads.size()), Worker(args));
  threads.run(static_cast<std::int64_t>(items.size()), [&](std::int64_t item, int worker) {
    workers[static_cast<std::size_t>(worker)].compute(items[static_cast<std::size_t>(item)]);
  });
}

}  // namespace kvcast::cpu
