/// The operators of a step as kernels of a calibration: which fit times which operator, and what stands in
/// where there is none.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hwmodels/calibrated_timer.h"
#include "hwmodels/roofline_ops.h"

namespace kvcast {

/// What a term is a function of.
struct TermPoint {
  double rows = 0;     // tokens, sampled rows, ...; sequences of decode_context and prefill_pairs
  double context = 0;  // decode_context: keys of each sequence; prefill_pairs: tokens of each chunk
  double cached = 0;   // prefill_pairs: tokens before each chunk
};

/// One operator of all layers that have it.
struct KernelTerm {
  std::string name;
  OpRows rows = OpRows::tokens;
  std::function<KernelTime(const TermPoint&)> time;
};

struct KernelTerms {
  std::vector<KernelTerm> terms;
  /// What decoding sequences add to the attention of a step with prompts, where that is not what they take
  /// alone (decode_context's point); empty: the same.
  std::function<KernelTime(const TermPoint&)> mixed_decode;
  std::vector<std::string> notes;
};

[[nodiscard]] KernelTerms make_kernel_terms(const KernelModel& kernels, const ModelSpec& model,
                                            const GpuSpec& gpu, const CalibratedOptions& options);

/// The collectives of a step as the datasheet has them.
[[nodiscard]] std::vector<KernelTerm> make_link_terms(const ModelSpec& model, const GpuSpec& gpu,
                                                      const CalibratedOptions& options);

/// The timer that adds the terms up.
[[nodiscard]] std::unique_ptr<CalibratedTimer> make_term_timer(KernelTerms terms, const ModelSpec& model,
                                                               const GpuSpec& gpu,
                                                               const CalibratedOptions& options);

/// Chunks of one length that hold so many tokens and query-key pairs: as whole prompts where that is
/// possible, else as one chunk after cached tokens.
[[nodiscard]] TermPoint prefill_point(double pairs, double tokens);

}  // namespace kvcast
