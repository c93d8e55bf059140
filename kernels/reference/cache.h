/// Append and score accumulation in double precision, by their definitions.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cache/cache.h"

namespace kvcast::kernels {

/// One head's vector at a position, rotated. \param x [head_size]
/// \returns [head_size]
[[nodiscard]] std::vector<double> rotated_exact(const std::vector<double>& x, const float* cos_sin,
                                                std::int64_t position, Rotation rotation,
                                                std::int32_t rotary_dim);

/// What a row of the cache stands for: codes times scale. \param values of V, else of K
[[nodiscard]] std::vector<double> cached_row(const CacheView& cache, std::int64_t slot, std::int64_t head,
                                             bool values);

/// The largest distance that quantising x with this scale may put between it and its code's value: half the
/// distance of neighbouring codes there.
[[nodiscard]] double quantisation_bound(KvType type, double x, double scale);

/// Log of the softmax's sum of every head over its sequence's context, [seqs][heads]; args.lse and scores are
/// not used.
[[nodiscard]] std::vector<float> lse_exact(const AccumulateScoresArgs<float>& args);

/// What each cached token of one sequence gets: [context][kv_heads].
[[nodiscard]] std::vector<double> scores_exact(const AccumulateScoresArgs<float>& args, std::int64_t seq);

}  // namespace kvcast::kernels
