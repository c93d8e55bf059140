/// The kernels on the CPU: real work in float, threaded, equal bit for bit for any number of threads. What
/// `kvcast calibrate --device cpu` measures, and what continuous integration runs where there is no GPU.
#pragma once

#include "kernels/attention/attention.h"
#include "kernels/cache/cache.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/float_cache.h"
#include "kernels/cpu/threads.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"

namespace kvcast::cpu {

void gemm(Threads& threads, const kernels::GemmArgs<float>& args);

/// Decode, speculative verification and chunked prefill alike.
void attention(Threads& threads, const AttentionArgs& args);

/// The same through the GPU kernels' interface: 16-bit queries and outputs, a cache in any storage type, MLA.
void attention(Threads& threads, const kernels::AttentionArgs& args);

/// Rows of a cache in any storage type, decoded on the way.
class CacheRows final : public KvRows {
 public:
  /// \param tables [seqs][blocks_max]
  CacheRows(const kernels::CacheView& cache, const std::int32_t* tables, std::int64_t blocks_max)
      : cache_(cache), tables_(tables), blocks_max_(blocks_max) {}
  void rows(std::int64_t seq, std::int64_t kv_head, std::int64_t begin, std::int64_t count, float* space,
            const float** k, const float** v) const override;

 private:
  kernels::CacheView cache_;
  const std::int32_t* tables_;
  std::int64_t blocks_max_;
};

void append(Threads& threads, const FloatAppendArgs& args);
void append(Threads& threads, const kernels::AppendArgs<float>& args);
void make_slots(Threads& threads, const kernels::SlotArgs& args);
void copy_blocks(Threads& threads, const kernels::CopyBlocksArgs& args);
void gather_blocks(Threads& threads, const kernels::GatherBlocksArgs& args);
void scatter_blocks(Threads& threads, const kernels::GatherBlocksArgs& args);
void accumulate_scores(Threads& threads, const kernels::AccumulateScoresArgs<float>& args);

void rms_norm(Threads& threads, const kernels::RmsNormArgs<float>& args);
void silu_mul(Threads& threads, const kernels::SiluMulArgs<float>& args);
void embed(Threads& threads, const kernels::EmbedArgs<float>& args);
void sample(Threads& threads, const kernels::SampleArgs& args);

}  // namespace kvcast::cpu
