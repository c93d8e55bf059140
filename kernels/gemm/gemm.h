/// Matrix products of an engine step, in the layout of a linear layer: y = x * w^T.
#pragma once

#include <cstdint>

namespace kvcast::kernels {

/// y[m][n] = sum over k of x[m][k] * w[n][k]; all matrices row-major and dense. x, w and y do not overlap.
/// \tparam Element of x and w; Out of y
template <class Element, class Out = Element>
struct GemmArgs {
  const Element* x = nullptr;
  const Element* w = nullptr;
  Out* y = nullptr;
  std::int64_t m = 0, n = 0, k = 0;
};

}  // namespace kvcast::kernels
