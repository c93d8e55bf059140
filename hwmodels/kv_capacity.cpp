#include "hwmodels/kv_capacity.h"

#include <algorithm>
#include <limits>

#include "sim/base/error.h"
#include "sim/base/shares.h"
#include "sim/base/units.h"

namespace kvcast {
namespace {

/// vLLM's check at start: the blocks of one request, the null block put aside.
bool passes(const KvLayout& layout, const KvOptions& options, const EngineProfile& profile,
            std::int64_t bytes, std::int64_t tokens) {
  const Int128 needed = static_cast<Int128>(request_blocks(layout, options, tokens)) * layout.bytes_per_block;
  return needed <= bytes - (profile.checks_null_block ? layout.bytes_per_block : 0);
}

/// Longest request that passes, by bisection: the blocks needed never fall with the length.
template <class Passes>
std::int64_t longest_fit(std::int64_t max_model_len, const Passes& passes_with) {
  std::int64_t low = 0, high = max_model_len;
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    if (passes_with(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

std::int64_t reported_tokens(const KvCapacity& capacity, const KvLayout& layout, const EngineProfile& profile,
                             std::int64_t max_model_len) {
  switch (profile.token_formula) {
    case TokenFormula::concurrency:
      return static_cast<std::int64_t>(capacity.max_concurrency * static_cast<double>(max_model_len));
    case TokenFormula::blocks_per_groups:
      return capacity.blocks_total / static_cast<std::int64_t>(layout.groups.size()) * layout.block_size;
  }
  return 0;
}

}  // namespace

KvCapacity size_kv_pool(const KvLayout& layout, const KvOptions& options, const EngineProfile& profile,
                        std::int64_t available_bytes, std::int64_t max_model_len,
                        std::int64_t blocks_override) {
  KVCAST_CHECK(!layout.groups.empty());
  KVCAST_CHECK(max_model_len > 0);
  KvCapacity capacity;
  capacity.blocks_total = blocks_override > 0
                              ? blocks_override
                              : std::max<std::int64_t>(0, available_bytes) / layout.bytes_per_block;
  capacity.blocks_usable = std::max<std::int64_t>(0, capacity.blocks_total - (profile.null_block ? 1 : 0));
  capacity.blocks_per_request = request_blocks(layout, options, max_model_len);
  capacity.bytes_per_request = capacity.blocks_per_request * layout.bytes_per_block;
  capacity.max_concurrency =
      static_cast<double>(capacity.blocks_total) / static_cast<double>(capacity.blocks_per_request);
  capacity.tokens_reported = reported_tokens(capacity, layout, profile, max_model_len);
  KvOptions decoding = options;
  decoding.in_flight_tokens = 1;
  const Int128 held = static_cast<Int128>(capacity.blocks_usable) * max_model_len /
                      request_blocks(layout, decoding, max_model_len);
  capacity.tokens_capacity = static_cast<std::int64_t>(held);
  const std::int64_t bytes = blocks_override > 0 ? blocks_override * layout.bytes_per_block : available_bytes;
  capacity.fits = passes(layout, options, profile, bytes, max_model_len);
  capacity.fits_max_model_len =
      capacity.fits ? max_model_len : longest_fit(max_model_len, [&](std::int64_t n) {
        return passes(layout, options, profile, bytes, n);
      });
  return capacity;
}

void split_kv_pool(const KvLayout& layout, const KvOptions& options, const PoolSplit& split,
                   std::int64_t max_model_len, KvCapacity& capacity) {
  const auto blocks_of = [&](bool bounded, const KvOptions& as, std::int64_t tokens) {
    std::int64_t blocks = 0;
    for (const KvLayoutGroup& group : layout.groups)
      if (is_bounded(group) == bounded) blocks += group_blocks(group, as, tokens);
    return blocks;
  };
  const std::int64_t bounded = blocks_of(true, options, max_model_len);
  const std::int64_t all = request_blocks(layout, options, max_model_len);
  if (bounded == 0 || bounded == all)
    throw InputError(
        "kv_pools: split needs layers of two kinds, some that keep every token and some that do not");
  capacity.bounded_share =
      split.bounded_share.value_or(static_cast<double>(bounded) / static_cast<double>(all));
  const std::int64_t of_bounded = share_of(capacity.blocks_usable, capacity.bounded_share);
  capacity.pools = {{false, capacity.blocks_usable - of_bounded, all - bounded}, {true, of_bounded, bounded}};
  KvOptions decoding = options;
  decoding.in_flight_tokens = 1;
  capacity.tokens_capacity = std::numeric_limits<std::int64_t>::max();
  capacity.max_concurrency = std::numeric_limits<double>::infinity();
  for (KvPool& pool : capacity.pools) {
    if (pool.blocks_usable < 1)
      throw InputError("kv_pools: of " + std::to_string(capacity.blocks_usable) +
                       " blocks a pool would have none; set kv_pool_window_share");
    pool.max_concurrency =
        static_cast<double>(pool.blocks_usable) / static_cast<double>(pool.blocks_per_request);
    capacity.max_concurrency = std::min(capacity.max_concurrency, pool.max_concurrency);
    const Int128 held = static_cast<Int128>(pool.blocks_usable) * max_model_len /
                        blocks_of(pool.bounded, decoding, max_model_len);
    capacity.tokens_capacity = std::min(capacity.tokens_capacity, static_cast<std::int64_t>(held));
  }
  capacity.tokens_reported =
      static_cast<std::int64_t>(capacity.max_concurrency * static_cast<double>(max_model_len));
  capacity.fits_max_model_len = longest_fit(capacity.fits_max_model_len, [&](std::int64_t n) {
    return std::all_of(capacity.pools.begin(), capacity.pools.end(), [&](const KvPool& pool) {
      return blocks_of(pool.bounded, options, n) <= pool.blocks_usable;
    });
  });
  capacity.fits = capacity.fits_max_model_len == max_model_len;
}

}  // namespace kvcast
