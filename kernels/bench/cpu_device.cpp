#include <ctime>

#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <thread>

#include "kernels/bench/cpu_micro.h"
#include "kernels/bench/device.h"
#include "kernels/bench/random.h"
#include "kernels/cpu/backend.h"

namespace kvcast::bench {
namespace {

/// Operands are parts of one pool of random numbers, written once: larger than five times a usual L2 cache.
constexpr std::int64_t kPoolFloats = std::int64_t{4} << 20;
/// Large operands are made anew for each case; no case of a suite needs more.
constexpr std::int64_t kCaseFloatsMax = std::int64_t{1} << 28;

struct Pool {
  std::vector<float> weights, keys, values;

  explicit Pool(std::uint64_t seed) {
    Random random(seed);
    weights = random_floats(kPoolFloats, random);
    keys = random_floats(kPoolFloats, random);
    values = random_floats(kPoolFloats, random);
  }

  /// Where a part of `size` floats begins in the rotation; parts do not overlap until the pool is used up.
  static std::int64_t place(std::int64_t rotation, std::int64_t size) {
    const std::int64_t step = (size + 15) / 16 * 16;
    const std::int64_t parts = std::max<std::int64_t>(1, kPoolFloats / step);
    return rotation % parts * step;
  }
};

std::string json_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= ' ') out += c;
  }
  return out + "\"";
}

std::string cpu_model_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos && colon + 2 <= line.size()) return line.substr(colon + 2);
  }
  return "unknown";
}

class GemmJob final : public Job {
 public:
  GemmJob(const Case& what, Pool& pool, cpu::Threads& threads)
      : m_(what.get("m")), n_(what.get("n")), k_(what.get("k")), pool_(pool), threads_(threads) {
    x_.assign(pool.keys.begin(), pool.keys.begin() + m_ * k_);
    y_.resize(static_cast<std::size_t>(m_ * n_));
  }
  void run(std::int64_t rotation) override {
    const float* w = pool_.weights.data() + Pool::place(rotation, n_ * k_);
    cpu::gemm(threads_, {.x = x_.data(), .w = w, .y = y_.data(), .m = m_, .n = n_, .k = k_});
  }
  static bool fits(const Case& what) {
    return what.get("n") * what.get("k") <= kPoolFloats && what.get("m") * what.get("k") <= kPoolFloats;
  }

 private:
  std::int64_t m_, n_, k_;
  Pool& pool_;
  cpu::Threads& threads_;
  std::vector<float> x_, y_;
};

/// Contexts of a batch that add up to a sum: equal ones, or one long and the rest short.
std::vector<std::int64_t> make_contexts(std::int64_t batch, std::int64_t sum, bool ragged) {
  std::vector<std::int64_t> contexts(static_cast<std::size_t>(batch), sum / batch);
  if (contexts.empty()) return contexts;
  contexts[0] += sum % batch;
  if (!ragged) return contexts;
  const std::int64_t kept = contexts[0] / 2 + 1;
  for (std::size_t i = 1; i < contexts.size(); ++i) {
    contexts[0] += contexts[i] - kept;
    contexts[i] = kept;
  }
  return contexts;
}

/// Decode and prefill: sequences whose blocks lie in random places of the pool, other ones in each rotation.
class AttentionJob final : public Job {
 public:
  AttentionJob(const Case& what, std::int64_t q_len, std::vector<std::int64_t> contexts, Pool& pool,
               std::uint64_t seed, cpu::Threads& threads)
      : contexts_(std::move(contexts)), threads_(threads) {
    cache_ = {.k = pool.keys.data(),
              .v = pool.values.data(),
              .page = what.get("page"),
              .kv_heads = what.get("kv_heads"),
              .head_size = what.get("head_size")};
    heads_ = what.get("heads");
    const auto seqs = static_cast<std::int64_t>(contexts_.size());
    q_start_.resize(contexts_.size() + 1);
    for (std::size_t i = 0; i < contexts_.size(); ++i) {
      q_start_[i + 1] = q_start_[i] + q_len;
      blocks_max_ = std::max(blocks_max_, (contexts_[i] + cache_.page - 1) / cache_.page);
    }
    Random random(seed);
    q_ = random_floats(seqs * q_len * heads_ * cache_.head_size, random);
    out_.resize(q_.size());
    order_ = shuffled(kPoolFloats / (cache_.page * cache_.kv_heads * cache_.head_size), random);
    table_.resize(static_cast<std::size_t>(seqs * blocks_max_));
  }

  void run(std::int64_t rotation) override {
    const auto blocks = static_cast<std::int64_t>(order_.size());
    std::int64_t next = rotation * static_cast<std::int64_t>(table_.size()) % blocks;
    for (std::int32_t& block : table_) {
      block = order_[static_cast<std::size_t>(next)];
      next = next + 1 == blocks ? 0 : next + 1;
    }
    const cpu::FloatCacheRows rows(cache_, table_.data(), blocks_max_);
    cpu::attention(threads_, {.q = q_.data(),
                              .out = out_.data(),
                              .kv = &rows,
                              .q_start = q_start_.data(),
                              .context = contexts_.data(),
                              .seqs = static_cast<std::int64_t>(contexts_.size()),
                              .heads = heads_,
                              .kv_heads = cache_.kv_heads,
                              .head_size = cache_.head_size,
                              .scale = 0.125F});
  }

 private:
  cpu::FloatCache cache_;
  std::int64_t heads_ = 0, blocks_max_ = 0;
  std::vector<std::int64_t> contexts_, q_start_;
  std::vector<float> q_, out_;
  std::vector<std::int32_t> order_, table_;
  cpu::Threads& threads_;
};

class AppendJob final : public Job {
 public:
  AppendJob(const Case& what, Pool& pool, std::uint64_t seed, cpu::Threads& threads)
      : tokens_(what.get("tokens")), heads_(what.get("heads")), threads_(threads) {
    cache_ = {.k = pool.keys.data(),
              .v = pool.values.data(),
              .page = what.get("page"),
              .kv_heads = what.get("kv_heads"),
              .head_size = what.get("head_size")};
    Random random(seed);
    qkv_ = random_floats(tokens_ * (heads_ + 2 * cache_.kv_heads) * cache_.head_size, random);
    q_.resize(static_cast<std::size_t>(tokens_ * heads_ * cache_.head_size));
    cos_sin_ = random_floats(kPositions * cache_.head_size, random);
    order_ = shuffled(kPoolFloats / (cache_.kv_heads * cache_.head_size), random);
    positions_.resize(static_cast<std::size_t>(tokens_));
    slots_.resize(positions_.size());
  }
  void run(std::int64_t rotation) override {
    for (std::int64_t i = 0; i < tokens_; ++i) {
      const auto at = static_cast<std::size_t>(i);
      positions_[at] = (rotation * tokens_ + i) % kPositions;
      slots_[at] = order_[static_cast<std::size_t>(rotation * tokens_ + i) % order_.size()];
    }
    cpu::append(threads_, {.qkv = qkv_.data(),
                           .q = q_.data(),
                           .positions = positions_.data(),
                           .slots = slots_.data(),
                           .cos_sin = cos_sin_.data(),
                           .tokens = tokens_,
                           .heads = heads_,
                           .cache = cache_});
  }

 private:
  static constexpr std::int64_t kPositions = 2048;
  std::int64_t tokens_, heads_;
  cpu::FloatCache cache_;
  std::vector<float> qkv_, q_, cos_sin_;
  std::vector<std::int64_t> positions_, slots_;
  std::vector<std::int32_t> order_;
  cpu::Threads& threads_;
};

class RowsJob final : public Job {
 public:
  RowsJob(const Case& what, Pool& pool, cpu::Threads& threads)
      : op_(what.op), rows_(what.get("rows")), width_(what.get("width")), pool_(pool), threads_(threads) {
    const std::int64_t in = op_ == "silu_mul" ? 2 * width_ : width_;
    x_.assign(pool.keys.begin(), pool.keys.begin() + rows_ * in);
    y_.resize(static_cast<std::size_t>(rows_ * width_));
    residual_ = y_;
    ids_.resize(static_cast<std::size_t>(rows_));
  }
  void run(std::int64_t rotation) override {
    if (op_ == "rms_norm") {
      cpu::rms_norm(threads_, {.x = x_.data(),
                               .weight = pool_.weights.data() + Pool::place(rotation, width_),
                               .residual = residual_.data(),
                               .y = y_.data(),
                               .rows = rows_,
                               .width = width_});
    } else if (op_ == "silu_mul") {
      cpu::silu_mul(threads_, {.x = x_.data(), .y = y_.data(), .rows = rows_, .width = width_});
    } else {
      const std::int64_t vocabulary = kPoolFloats / width_;
      for (std::int64_t i = 0; i < rows_; ++i)
        ids_[static_cast<std::size_t>(i)] =
            static_cast<std::int32_t>((rotation * rows_ + i) * 7919 % vocabulary);
      cpu::embed(threads_, {.table = pool_.weights.data(),
                            .ids = ids_.data(),
                            .y = y_.data(),
                            .rows = rows_,
                            .width = width_});
    }
  }

 private:
  std::string op_;
  std::int64_t rows_, width_;
  Pool& pool_;
  cpu::Threads& threads_;
  std::vector<float> x_, y_, residual_;
  std::vector<std::int32_t> ids_;
};

class SampleJob final : public Job {
 public:
  SampleJob(const Case& what, Pool& pool, std::uint64_t seed, cpu::Threads& threads)
      : pool_(pool), threads_(threads), size_(what.get("rows") * what.get("vocabulary")) {
    Random random(seed);
    for (std::int64_t i = 0; i < what.get("rows"); ++i)
      uniforms_.push_back(static_cast<float>(random.uniform()));
    tokens_.resize(uniforms_.size());
    args_ = {.uniforms = uniforms_.data(),
             .tokens = tokens_.data(),
             .rows = what.get("rows"),
             .vocabulary = what.get("vocabulary"),
             .temperature = what.variant == "greedy" ? 0.0F : 0.7F,
             .top_k = what.variant == "top_k" ? 50 : 0,
             .top_p = what.variant == "top_p" ? 0.9F : 1.0F};
  }
  void run(std::int64_t rotation) override {
    args_.logits = pool_.weights.data() + Pool::place(rotation, size_);
    cpu::sample(threads_, args_);
  }

 private:
  Pool& pool_;
  cpu::Threads& threads_;
  std::int64_t size_;
  std::vector<float> uniforms_;
  std::vector<std::int32_t> tokens_;
  kernels::SampleArgs args_;
};

/// Copies, gathers and swaps, which are all copies on a CPU: from the pool of keys to that of values.
class BlocksJob final : public Job {
 public:
  BlocksJob(const Case& what, Pool& pool, std::uint64_t seed, cpu::Threads& threads)
      : op_(what.op), count_(what.get("blocks")), bytes_(what.get("block_bytes")), threads_(threads) {
    source_ = reinterpret_cast<std::uint8_t*>(pool.keys.data());
    target_ = reinterpret_cast<std::uint8_t*>(pool.values.data());
    dense_.resize(static_cast<std::size_t>(count_ * bytes_));
    Random random(seed);
    order_ = shuffled(kPoolFloats * 4 / bytes_, random);
    from_.resize(static_cast<std::size_t>(count_));
    to_ = from_;
  }
  void run(std::int64_t rotation) override {
    for (std::size_t i = 0; i < from_.size(); ++i) {
      const std::size_t at = static_cast<std::size_t>(rotation * count_) + i;
      from_[i] = order_[at % order_.size()];
      to_[i] = order_[(at + 1) % order_.size()];
    }
    const kernels::GatherBlocksArgs gather{.pools = &source_,
                                           .blocks = from_.data(),
                                           .dense = dense_.data(),
                                           .pool_count = 1,
                                           .count = count_,
                                           .block_bytes = bytes_};
    if (op_ == "gather_blocks") return cpu::gather_blocks(threads_, gather);
    if (op_ == "scatter_blocks") return cpu::scatter_blocks(threads_, gather);
    cpu::copy_blocks(threads_, {.sources = &source_,
                                .targets = &target_,
                                .from = from_.data(),
                                .to = to_.data(),
                                .pools = 1,
                                .pairs = count_,
                                .block_bytes = bytes_});
  }

 private:
  std::string op_;
  std::int64_t count_, bytes_;
  cpu::Threads& threads_;
  std::uint8_t* source_;
  std::uint8_t* target_;
  std::vector<std::uint8_t> dense_;
  std::vector<std::int32_t> order_, from_, to_;
};

class CpuDevice final : public Device {
 public:
  CpuDevice(int threads, std::uint64_t seed) : threads_(threads), pool_(seed), seed_(seed) {}

  std::string describe() const override {
    return "{\"name\": \"cpu\", \"model\": " + json_text(cpu_model_name()) +
           ", \"cores\": " + std::to_string(std::thread::hardware_concurrency()) +
           ", \"threads\": " + std::to_string(threads_.size()) + "}";
  }
  std::string state() const override { return ""; }
  std::string method() const override { return threads_.size() == 1 ? "thread_cpu_clock" : "wall_clock"; }
  std::vector<Case> suite(Suite suite) const override { return cpu_suite(suite); }
  std::vector<Case> sentinels() const override { return cpu_sentinels(); }

  std::unique_ptr<Job> prepare(const Case& what) override {
    const std::string& op = what.op;
    if (op == "launch" || op == "memory") return make_cpu_micro_job(what, seed_, threads_);
    if (op == "gemm") return GemmJob::fits(what) ? std::make_unique<GemmJob>(what, pool_, threads_) : nullptr;
    if (op == "decode_attention")
      return attention(what, 1,
                       make_contexts(what.get("batch"), what.get("context_sum"), what.get("ragged") != 0));
    if (op == "prefill_attention") {
      const std::int64_t q_len = what.get("q_len");
      return attention(
          what, q_len,
          std::vector<std::int64_t>(static_cast<std::size_t>(what.get("batch")), what.get("past") + q_len));
    }
    if (op == "append") return std::make_unique<AppendJob>(what, pool_, seed_, threads_);
    if (op == "rms_norm" || op == "silu_mul" || op == "embed") {
      if (2 * what.get("rows") * what.get("width") > kPoolFloats) return nullptr;
      return std::make_unique<RowsJob>(what, pool_, threads_);
    }
    if (op == "sample") {
      if (what.get("rows") * what.get("vocabulary") > kPoolFloats) return nullptr;
      return std::make_unique<SampleJob>(what, pool_, seed_, threads_);
    }
    return std::make_unique<BlocksJob>(what, pool_, seed_, threads_);
  }

  Sample measure(Job& job, std::int64_t repeats, std::int64_t rotation) override {
    const double start = now();
    for (std::int64_t i = 0; i < repeats; ++i) job.run(rotation + i);
    return {.ns = (now() - start) / static_cast<double>(repeats)};
  }

 private:
  std::unique_ptr<Job> attention(const Case& what, std::int64_t q_len, std::vector<std::int64_t> contexts) {
    const std::int64_t queries = q_len * static_cast<std::int64_t>(contexts.size());
    if (queries * what.get("heads") * what.get("head_size") > kCaseFloatsMax) return nullptr;
    return std::make_unique<AttentionJob>(what, q_len, std::move(contexts), pool_, seed_, threads_);
  }

  [[nodiscard]] double now() const {
    timespec time{};
    clock_gettime(threads_.size() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
  }

  cpu::Threads threads_;
  Pool pool_;
  std::uint64_t seed_;
};

}  // namespace

std::unique_ptr<Device> make_cpu_device(int threads, std::uint64_t seed) {
  return std::make_unique<CpuDevice>(threads, seed);
}

}  // namespace kvcast::bench
