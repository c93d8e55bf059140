// The grid of the CPU backend. Every count that a step can have lies inside it.
#include "kernels/bench/case.h"
#include "kernels/bench/cpu_micro.h"
#include "kernels/bench/small_model.h"

namespace kvcast::bench {
namespace {

constexpr std::int64_t kPage = 16;
constexpr std::int64_t kFloat = 4;  // bytes

double times(std::initializer_list<std::int64_t> factors) {
  double product = 1;
  for (const std::int64_t factor : factors) product *= static_cast<double>(factor);
  return product;
}

Case gemm(std::int64_t m, std::int64_t n, std::int64_t k) {
  return {.op = "gemm",
          .dtype = "float32",
          .shape = {{"m", m}, {"n", n}, {"k", k}},
          .bytes = static_cast<double>(kFloat * (m * k + n * k + m * n)),
          .flop = times({2, m, n, k})};
}

Case decode(const ModelShape& model, std::int64_t batch, std::int64_t context_sum, bool ragged) {
  return {.op = "decode_attention",
          .dtype = "float32",
          .shape = {{"heads", model.heads},
                    {"kv_heads", model.kv_heads},
                    {"head_size", model.head_size},
                    {"page", kPage},
                    {"batch", batch},
                    {"context_sum", context_sum},
                    {"ragged", ragged ? 1 : 0},
                    {"q_len", 1},
                    {"window", 0}},
          .bytes = times({2, context_sum, model.kv_heads, model.head_size, kFloat}),
          .flop = times({4, context_sum, model.heads, model.head_size})};
}

Case prefill(const ModelShape& model, std::int64_t batch, std::int64_t q_len, std::int64_t past) {
  const std::int64_t pairs = q_len * past + q_len * (q_len + 1) / 2;
  return {.op = "prefill_attention",
          .dtype = "float32",
          .shape = {{"heads", model.heads},
                    {"kv_heads", model.kv_heads},
                    {"head_size", model.head_size},
                    {"page", kPage},
                    {"batch", batch},
                    {"q_len", q_len},
                    {"past", past}},
          .bytes = times({2, batch, past + q_len, model.kv_heads, model.head_size, kFloat}),
          .flop = times({4, batch, pairs, model.heads, model.head_size})};
}

Case append(const ModelShape& model, std::int64_t tokens) {
  return {.op = "append",
          .dtype = "float32",
          .shape = {{"heads", model.heads},
                    {"kv_heads", model.kv_heads},
                    {"head_size", model.head_size},
                    {"page", kPage},
                    {"tokens", tokens}},
          .bytes = times({2, tokens, model.heads + 2 * model.kv_heads, model.head_size, kFloat})};
}

Case rowwise(const char* op, std::int64_t rows, std::int64_t width, std::int64_t passes) {
  return {.op = op,
          .dtype = "float32",
          .shape = {{"rows", rows}, {"width", width}},
          .bytes = times({rows, width, passes, kFloat})};
}

Case sample(const char* variant, std::int64_t rows, std::int64_t vocabulary) {
  return {.op = "sample",
          .variant = variant,
          .dtype = "float32",
          .shape = {{"rows", rows}, {"vocabulary", vocabulary}},
          .bytes = times({rows, vocabulary, kFloat})};
}

Case blocks(const char* op, std::int64_t count, std::int64_t block_bytes) {
  return {.op = op,
          .dtype = "bytes",
          .shape = {{"blocks", count}, {"block_bytes", block_bytes}},
          .bytes = times({2, count, block_bytes})};
}

void add_model(const ModelShape& model, Suite suite, std::vector<Case>& cases) {
  const std::int64_t qkv = (model.heads + 2 * model.kv_heads) * model.head_size;
  const std::int64_t attended = model.heads * model.head_size;
  const std::pair<std::int64_t, std::int64_t> sites[] = {{qkv, model.hidden},
                                                         {model.hidden, attended},
                                                         {2 * model.intermediate, model.hidden},
                                                         {model.hidden, model.intermediate},
                                                         {model.vocabulary, model.hidden}};
  for (const auto& [n, k] : sites) {
    for (const std::int64_t m : {1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64, 96, 128, 192})
      cases.push_back(gemm(m, n, k));
  }
  for (const std::int64_t batch : {1, 2, 4, 8, 16, 32}) {
    for (const std::int64_t context : {16, 64, 160, 400, 1000}) {
      cases.push_back(decode(model, batch, batch * context, false));
      if (batch > 1) cases.push_back(decode(model, batch, batch * context, true));
    }
  }
  for (const std::int64_t q_len : {2, 8, 24, 64, 128, 160})
    for (const std::int64_t past : {0, 64, 256, 700}) cases.push_back(prefill(model, 1, q_len, past));
  for (const std::int64_t q_len : {8, 32, 100}) cases.push_back(prefill(model, 3, q_len, 0));
  const auto counts = {1, 2, 4, 8, 12, 16, 24, 32, 64, 128, 192};
  for (const std::int64_t tokens : counts) {
    cases.push_back(append(model, tokens));
    cases.push_back(rowwise("rms_norm", tokens, model.hidden, 4));
    cases.push_back(rowwise("silu_mul", tokens, model.intermediate, 3));
    cases.push_back(rowwise("embed", tokens, model.hidden, 2));
  }
  for (const std::int64_t rows : {1, 2, 4, 8, 16, 32}) {
    cases.push_back(sample("greedy", rows, model.vocabulary));
    if (suite == Suite::full) cases.push_back(sample("top_k", rows, model.vocabulary));
    if (suite == Suite::full) cases.push_back(sample("top_p", rows, model.vocabulary));
  }
}

ModelShape small_model() {
  const SmallModelShape shape;
  return {shape.hidden, shape.heads, shape.kv_heads, shape.head_size, shape.intermediate, shape.vocabulary};
}

}  // namespace

std::vector<Case> cpu_suite(Suite suite) {
  std::vector<Case> cases;
  add_model(small_model(), suite, cases);
  if (suite == Suite::full) {
    add_model({512, 8, 2, 64, 1536, 4096}, suite, cases);
    add_model({1024, 8, 8, 128, 2048, 3584}, suite, cases);
  }
  for (const char* op : {"copy_blocks", "gather_blocks", "scatter_blocks", "swap_out", "swap_in"}) {
    for (const std::int64_t count : {1, 4, 16, 64}) cases.push_back(blocks(op, count, 32768));
    if (suite == Suite::full)
      for (const std::int64_t bytes : {4096, 262144}) cases.push_back(blocks(op, 16, bytes));
  }
  for (Case& micro : cpu_micro_cases(suite)) cases.push_back(std::move(micro));
  return cases;
}

std::vector<Case> cpu_sentinels() {
  std::vector<Case> cases = {gemm(40, 512, 512), decode({0, 8, 2, 64, 0, 0}, 8, 2048, false),
                             blocks("copy_blocks", 32, 65536)};
  for (Case& sentinel : cases) sentinel.sentinel = true;
  return cases;
}

}  // namespace kvcast::bench
