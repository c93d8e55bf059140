/// A small Llama-like model with random weights, run step by step on the CPU backend: what a calibration of
/// that backend is judged by.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace kvcast::cpu {
class Threads;
}

namespace kvcast::bench {

/// tests/pipeline/kvcast-small.json holds the same numbers.
struct SmallModelShape {
  std::int64_t layers = 2;
  std::int64_t hidden = 256;
  std::int64_t heads = 4;
  std::int64_t kv_heads = 2;
  std::int64_t head_size = 64;
  std::int64_t intermediate = 768;
  std::int64_t vocabulary = 2048;
  std::int64_t positions = 2048;
  std::int64_t page = 16;

  [[nodiscard]] std::int64_t qkv() const { return (heads + 2 * kv_heads) * head_size; }
};

/// One sequence's part of a step.
struct Scheduled {
  std::int64_t sequence = 0;
  std::int64_t tokens = 0;    // computed by this step
  std::int64_t computed = 0;  // computed before
  bool samples = false;       // the step computes its last known token
};

/// Contract: step() computes all layers for the scheduled tokens, writes their keys and values, and returns a
/// token of each sequence that samples. The tokens are a pure function of the seed and of all steps so far,
/// for any number of threads.
class SmallModel {
 public:
  virtual ~SmallModel() = default;
  [[nodiscard]] virtual std::vector<std::int32_t> step(const std::vector<Scheduled>& scheduled) = 0;
};

/// \param sequences that are alive at once; each has its own blocks, in random places of the pool. A
/// sequence's number is its place: 0 to sequences - 1
[[nodiscard]] std::unique_ptr<SmallModel> make_small_model(const SmallModelShape& shape,
                                                           std::int64_t sequences, std::uint64_t seed,
                                                           cpu::Threads& threads);

/// The shape as the config.json of a LlamaForCausalLM, on one line.
[[nodiscard]] std::string small_model_config(const SmallModelShape& shape);

}  // namespace kvcast::bench
