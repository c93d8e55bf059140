// The CPU backend behind the check's interface: 16-bit activations are widened to float and rounded back.
#include <algorithm>
#include <vector>

#include "kernels/bench/check.h"
#include "kernels/cpu/backend.h"

namespace kvcast::bench {
namespace {

using kernels::Element;

std::vector<float> widened(const std::uint16_t* bits, std::int64_t count, Element element) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(kernels::element_to_float(element, bits[i]));
  return values;
}

void rounded(const std::vector<float>& values, Element element, std::uint16_t* to) {
  for (const float value : values) *to++ = kernels::element_from_float(element, value);
}

class CpuKernels final : public CheckedKernels {
 public:
  explicit CpuKernels(cpu::Threads& threads) : threads_(threads) {}

  bool attention(const kernels::Problem& problem) override {
    cpu::attention(threads_, problem.args());
    return true;
  }

  void append(const kernels::AppendArgs<std::uint16_t>& args, Element element, std::int64_t /*blocks*/,
              std::int64_t /*angles*/) override {
    // Queries, keys and values lie in one fused row.
    std::vector<float> qkv = widened(args.q, args.tokens * args.q_stride, element);
    cpu::append(threads_, kernels::AppendArgs<float>{.q = qkv.data(),
                                                     .k = qkv.data() + (args.k - args.q),
                                                     .v = qkv.data() + (args.v - args.q),
                                                     .q_stride = args.q_stride,
                                                     .k_stride = args.k_stride,
                                                     .v_stride = args.v_stride,
                                                     .positions = args.positions,
                                                     .slots = args.slots,
                                                     .cos_sin = args.cos_sin,
                                                     .rotation = args.rotation,
                                                     .rotary_dim = args.rotary_dim,
                                                     .heads = args.heads,
                                                     .tokens = args.tokens,
                                                     .cache = args.cache});
    rounded(qkv, element, args.q);
  }

  void copy_blocks(const kernels::CopyBlocksArgs& args, std::int64_t /*blocks*/) override {
    cpu::copy_blocks(threads_, args);
  }
  void gather_blocks(const kernels::GatherBlocksArgs& args, std::int64_t /*blocks*/) override {
    cpu::gather_blocks(threads_, args);
  }
  void scatter_blocks(const kernels::GatherBlocksArgs& args, std::int64_t /*blocks*/) override {
    cpu::scatter_blocks(threads_, args);
  }
  void swap_blocks(const kernels::CopyBlocksArgs& args, std::int64_t /*blocks*/, bool /*by_dma*/) override {
    cpu::copy_blocks(threads_, args);
  }

  void accumulate_scores(const kernels::AccumulateScoresArgs<std::uint16_t>& args, Element element,
                         std::int64_t /*blocks*/) override {
    const std::vector<float> q = widened(args.q, args.seqs * args.heads * args.cache.head_size, element);
    cpu::accumulate_scores(threads_, kernels::AccumulateScoresArgs<float>{.q = q.data(),
                                                                          .lse = args.lse,
                                                                          .tables = args.tables,
                                                                          .context = args.context,
                                                                          .scores = args.scores,
                                                                          .seqs = args.seqs,
                                                                          .blocks_max = args.blocks_max,
                                                                          .heads = args.heads,
                                                                          .scale = args.scale,
                                                                          .cache = args.cache});
  }

  void rms_norm(const kernels::RmsNormArgs<std::uint16_t>& args, Element element) override {
    const std::int64_t size = args.rows * args.width;
    const std::vector<float> x = widened(args.x, size, element),
                             weight = widened(args.weight, args.width, element);
    std::vector<float> residual = widened(args.residual, size, element), y(residual.size());
    // The sum is rounded before it is normalised.
    for (std::size_t i = 0; i < x.size(); ++i)
      residual[i] =
          kernels::element_to_float(element, kernels::element_from_float(element, residual[i] + x[i]));
    rounded(residual, element, args.residual);
    cpu::rms_norm(threads_, {.x = residual.data(),
                             .weight = weight.data(),
                             .y = y.data(),
                             .rows = args.rows,
                             .width = args.width,
                             .epsilon = args.epsilon});
    rounded(y, element, args.y);
  }

  void silu_mul(const kernels::SiluMulArgs<std::uint16_t>& args, Element element) override {
    const std::vector<float> x = widened(args.x, 2 * args.rows * args.width, element);
    std::vector<float> y(static_cast<std::size_t>(args.rows * args.width));
    cpu::silu_mul(threads_, {.x = x.data(), .y = y.data(), .rows = args.rows, .width = args.width});
    rounded(y, element, args.y);
  }

  void sample(const kernels::SampleArgs& args) override { cpu::sample(threads_, args); }

  bool gemm(const kernels::GemmArgs<std::uint16_t>& args) override {
    const std::vector<float> x = widened(args.x, args.m * args.k, Element::bf16);
    const std::vector<float> w = widened(args.w, args.n * args.k, Element::bf16);
    std::vector<float> y(static_cast<std::size_t>(args.m * args.n));
    cpu::gemm(threads_, {.x = x.data(), .w = w.data(), .y = y.data(), .m = args.m, .n = args.n, .k = args.k});
    rounded(y, Element::bf16, args.y);
    return true;
  }

 private:
  cpu::Threads& threads_;
};

}  // namespace

std::unique_ptr<CheckedKernels> make_cpu_kernels(cpu::Threads& threads) {
  return std::make_unique<CpuKernels>(threads);
}

}  // namespace kvcast::bench
