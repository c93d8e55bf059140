/// Kernels that move rows, at row sizes that were not measured: interpolation over the bytes of a row.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hwmodels/bench_model.h"

namespace kvcast {

/// Elements that one row of such a kernel moves, as far as its shape decides: the width of a norm, an
/// activation or an embedding, the vocabulary of a sampler; of an append, queries in and out, keys and values
/// in and into the cache.
[[nodiscard]] double bench_row_size(std::string_view op,
                                    const std::vector<std::pair<std::string, std::int64_t>>& constants);

struct SizedFit {
  BenchFit fit;      // with its coefficients at the size, and a relative error that says how sure they are
  std::string from;  // "width 4096 and width 8192"
};

/// The fit of a size between or beyond the known ones. Between two sizes both coefficients (of a call, of a
/// row) run straight over the bytes; beyond them the time of a row is in proportion to its bytes, as that of
/// a kernel bound by memory, and the call costs what it costs at the nearest size. The standard error adds to
/// the nearest fit's own: between two sizes half of what they differ by in time per byte; beyond, as much for
/// each doubling, at least 10 %. \param known fits of one kernel and dtype in form "sum" with terms (call,
/// rows), at least one
[[nodiscard]] SizedFit fit_of_size(const std::vector<const BenchFit*>& known, double size);

}  // namespace kvcast
