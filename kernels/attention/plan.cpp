#include "kernels/attention/plan.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace kvcast::kernels {
namespace {

void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(std::string("plan_attention: ") + what);
}

void check(const PlanInput& in) {
  require(in.q_len.size() == in.kv_len.size(), "q_len and kv_len must have one entry for each request");
  require(in.group > 0 && in.kv_heads > 0, "group and kv_heads must be positive");
  require(in.rows_per_tile > 0 && in.ctas > 0 && in.min_tiles > 0,
          "rows_per_tile, ctas and min_tiles must be positive");
  require(in.window >= 0 && in.sink_tokens >= 0, "window and sink_tokens must not be negative");
  for (std::size_t r = 0; r < in.q_len.size(); ++r) {
    require(in.q_len[r] >= 0 && in.kv_len[r] >= 0, "lengths must not be negative");
  }
}

/// Calls visit(request, kv_head, row, key tile count) for every row tile, in the order of the line of work.
template <class Visit>
void for_each_row_tile(const PlanInput& in, Visit visit) {
  for (std::size_t r = 0; r < in.q_len.size(); ++r) {
    const int rows = in.q_len[r] * in.group;
    for (int head = 0; head < in.kv_heads; ++head) {
      for (int row = 0; row < rows; row += in.rows_per_tile) {
        const int last_row = std::min(row + in.rows_per_tile, rows) - 1;
        visit(static_cast<std::int32_t>(r), head, row,
              key_tiles(in.q_len[r], in.kv_len[r], row / in.group, last_row / in.group, in.window,
                        in.sink_tokens)
                  .count);
      }
    }
  }
}

/// Hands out the line of work: every CTA takes `per_cta` tiles, the last what is left.
class Divider {
 public:
  Divider(Plan& plan, std::int32_t per_cta) : plan_(plan), per_cta_(per_cta) {
    plan_.cta_first_item.push_back(0);
  }

  void row_tile(std::int32_t request, std::int32_t kv_head, std::int32_t row, std::int32_t tiles) {
    const std::int32_t first_partial = plan_.partials;
    const bool whole = used_ + tiles <= per_cta_;
    std::int32_t begin = 0;
    do {
      if (used_ == per_cta_ && tiles > begin) next_cta();
      const std::int32_t taken = std::min(tiles - begin, per_cta_ - used_);
      plan_.items.push_back({request, kv_head, row, begin, begin + taken, whole ? -1 : plan_.partials++});
      begin += taken;
      used_ += taken;
    } while (begin < tiles);
    if (whole) return;
    if (plan_.partials == first_partial + 1) {  // fell whole to the next CTA
      plan_.items.back().partial = -1;
      plan_.partials = first_partial;
    } else {
      plan_.merges.push_back({request, kv_head, row, first_partial, plan_.partials});
    }
  }

  void finish() { plan_.cta_first_item.push_back(static_cast<std::int32_t>(plan_.items.size())); }

 private:
  void next_cta() {
    plan_.cta_first_item.push_back(static_cast<std::int32_t>(plan_.items.size()));
    used_ = 0;
  }

  Plan& plan_;
  std::int32_t per_cta_;
  std::int32_t used_ = 0;
};

}  // namespace

Plan plan_attention(const PlanInput& input) {
  check(input);
  Plan plan;
  plan.rows_per_tile = input.rows_per_tile;
  for_each_row_tile(input, [&](auto, auto, auto, std::int32_t tiles) { plan.tiles += tiles; });
  const std::int64_t equal_part = (plan.tiles + input.ctas - 1) / input.ctas;
  plan.tiles_per_cta = static_cast<std::int32_t>(std::max<std::int64_t>(equal_part, input.min_tiles));
  Divider divider(plan, plan.tiles_per_cta);
  for_each_row_tile(input, [&](std::int32_t request, std::int32_t head, std::int32_t row,
                               std::int32_t tiles) { divider.row_tile(request, head, row, tiles); });
  divider.finish();
  plan.tiles_per_cta = static_cast<std::int32_t>(std::min<std::int64_t>(plan.tiles_per_cta, plan.tiles));
  return plan;
}

}  // namespace kvcast::kernels
