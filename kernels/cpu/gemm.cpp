// y = x * w^T in float: tiles of rows by columns held in registers, panels of w that stay in the cache.
#include <algorithm>

#include "kernels/cpu/backend.h"
#include "kernels/cpu/vec4.h"

namespace kvcast::cpu {
namespace {

constexpr std::int64_t kPanel = 32;  // columns of y that one item of work computes

/// R rows of x by C rows of w.
template <int R, int C>
void tile(const kernels::GemmArgs<float>& args, std::int64_t row, std::int64_t column) {
  const std::int64_t k = args.k;
  const float* x = args.x + row * k;
  const float* w = args.w + column * k;
  constexpr auto kR = static_cast<std::size_t>(R), kC = static_cast<std::size_t>(C);
  Vec4 sum[kR][kC] = {};
  std::int64_t i = 0;
  for (; i + 4 <= k; i += 4) {
    Vec4 b[kC];
    for (int c = 0; c < C; ++c) b[c] = load4(w + c * k + i);
    for (int r = 0; r < R; ++r) {
      const Vec4 a = load4(x + r * k + i);
      for (int c = 0; c < C; ++c) sum[r][c] += a * b[c];
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) {
      float total = sum4(sum[r][c]);
      for (std::int64_t rest = i; rest < k; ++rest) total += x[r * k + rest] * w[c * k + rest];
      args.y[(row + r) * args.n + column + c] = total;
    }
  }
}

template <int R>
void row_group(const kernels::GemmArgs<float>& args, std::int64_t row, std::int64_t begin, std::int64_t end) {
  constexpr int kColumns = R == 1 ? 8 : R == 2 ? 4 : 2;
  std::int64_t column = begin;
  for (; column + kColumns <= end; column += kColumns) tile<R, kColumns>(args, row, column);
  for (; column < end; ++column) tile<R, 1>(args, row, column);
}

void panel(const kernels::GemmArgs<float>& args, std::int64_t begin, std::int64_t end) {
  std::int64_t row = 0;
  for (; row + 4 <= args.m; row += 4) row_group<4>(args, row, begin, end);
  switch (args.m - row) {
    case 1:
      return row_group<1>(args, row, begin, end);
    case 2:
      return row_group<2>(args, row, begin, end);
    case 3:
      return row_group<3>(args, row, begin, end);
    default:
      return;
  }
}

}  // namespace

void gemm(Threads& threads, const kernels::GemmArgs<float>& args) {
  threads.run((args.n + kPanel - 1) / kPanel, [&](std::int64_t item, int) {
    panel(args, item * kPanel, std::min(args.n, (item + 1) * kPanel));
  });
}

}  // namespace kvcast::cpu
