/// The elementwise rest of an engine step: norms, activation, sampling. One interface for every backend.
#pragma once

#include <cstdint>

namespace kvcast::kernels {

/// y = x / sqrt(mean(x^2) + epsilon) * weight, row by row; sums in float or wider. With a residual, x +
/// residual (rounded to Element) is what is normalised, and is written back to the residual, as the layers of
/// Llama-like models need it. Source: Zhang & Sennrich, "Root mean square layer normalization", 2019.
template <class Element>
struct RmsNormArgs {
  const Element* x = nullptr;       // [rows][width]
  const Element* weight = nullptr;  // [width]
  Element* residual = nullptr;      // [rows][width], or none
  Element* y = nullptr;             // [rows][width]; may be x
  std::int64_t rows = 0;
  std::int64_t width = 0;
  float epsilon = 1e-5F;
};

/// y = silu(gate) * up, where a row of x holds gate, then up. silu(z) = z / (1 + exp(-z)).
template <class Element>
struct SiluMulArgs {
  const Element* x = nullptr;  // [rows][2 * width]
  Element* y = nullptr;        // [rows][width]
  std::int64_t rows = 0;
  std::int64_t width = 0;
};

/// y[row] = table[ids[row]].
template <class Element>
struct EmbedArgs {
  const Element* table = nullptr;     // [vocabulary][width]
  const std::int32_t* ids = nullptr;  // [rows], each of [0, vocabulary)
  Element* y = nullptr;               // [rows][width]
  std::int64_t rows = 0;
  std::int64_t width = 0;
};

/// The next token of each row. Temperature 0: the largest logit, the lowest index among equals. Otherwise
/// 1. top-k keeps the tokens whose logit is at least the k-th largest (all that equal it);
/// 2. top-p keeps, of these, the tokens whose logit is at least t, with the largest t at which their share of
///    the probability is at least p;
/// 3. the token is the first, in order of index, at which the share of the kept tokens up to it exceeds the
///    row's uniform number.
/// Step 3 needs no sort, and the same numbers give the same tokens on every backend up to rounding at a
/// border. A logit of minus infinity is never chosen; NaN is not allowed.
struct SampleArgs {
  const float* logits = nullptr;    // [rows][vocabulary]
  const float* uniforms = nullptr;  // [rows], each of [0, 1); unused where temperature is 0
  std::int32_t* tokens = nullptr;   // [rows]
  std::int64_t rows = 0;
  std::int64_t vocabulary = 0;
  float temperature = 0;
  std::int32_t top_k = 0;  // 0: all
  float top_p = 1;
};

}  // namespace kvcast::kernels
