// The division of attention into work items, on random ragged batches.
#include "kernels/attention/plan.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <random>
#include <set>
#include <tuple>

namespace kvcast::kernels {
namespace {

struct Batch {
  std::vector<std::int32_t> q_len;
  std::vector<std::int32_t> kv_len;
  PlanInput input;
};

Batch random_batch(std::mt19937_64& random) {
  const auto below = [&](std::uint64_t n) { return static_cast<std::int32_t>(random() % n); };
  Batch batch;
  const int requests = below(12);
  for (int r = 0; r < requests; ++r) {
    batch.kv_len.push_back(below(4) == 0 ? 0 : below(3000));
    batch.q_len.push_back(below(3) == 0 ? below(300) : 1 + below(8));
  }
  batch.input.group = 1 + below(16);
  batch.input.kv_heads = 1 + below(8);
  batch.input.rows_per_tile = below(2) == 0 ? 16 : 64;
  batch.input.window = below(2) == 0 ? 0 : 1 + below(500);
  batch.input.sink_tokens = below(2) == 0 ? 0 : 1 + below(100);
  batch.input.ctas = 1 + below(150);
  batch.input.min_tiles = 1 + below(5);
  return batch;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(plan)

BOOST_AUTO_TEST_CASE(every_visible_key_is_in_a_tile_and_tiles_hold_visible_keys) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 2000; ++round) {
    const int q_len = 1 + static_cast<int>(random() % 40);
    const int kv_len = static_cast<int>(random() % 900);
    const int first = static_cast<int>(random() % static_cast<std::uint64_t>(q_len));
    const int last = first + static_cast<int>(random() % static_cast<std::uint64_t>(q_len - first));
    const int window = random() % 2 == 0 ? 0 : 1 + static_cast<int>(random() % 400);
    const int sinks = static_cast<int>(random() % 3) * 50;
    const KeyTiles tiles = key_tiles(q_len, kv_len, first, last, window, sinks);
    std::set<int> listed;
    for (int i = 0; i < tiles.count; ++i) BOOST_TEST_REQUIRE(listed.insert(tiles.tile(i)).second);
    std::set<int> needed;
    for (int token = first; token <= last; ++token) {
      const int position = kv_len - q_len + token;
      for (int key = 0; key <= position; ++key) {
        if (window == 0 || key > position - window || key < sinks) needed.insert(key / kKeysPerTile);
      }
    }
    BOOST_TEST_REQUIRE(std::includes(listed.begin(), listed.end(), needed.begin(), needed.end()));
    // Rows of one tile see adjoining windows, so nothing between them is left out or wasted.
    BOOST_TEST_REQUIRE(listed.size() == needed.size());
  }
}

BOOST_AUTO_TEST_CASE(work_is_divided_equally_and_completely) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    Batch batch = random_batch(random);
    batch.input.q_len = batch.q_len;
    batch.input.kv_len = batch.kv_len;
    const Plan plan = plan_attention(batch.input);
    BOOST_TEST_CONTEXT("round " << round) {
      BOOST_TEST_REQUIRE(plan.ctas() >= 1);
      BOOST_TEST_REQUIRE(plan.ctas() <= batch.input.ctas);
      // Row tiles, and where the last item of each ended.
      std::map<std::tuple<int, int, int>, int> ends;
      std::map<std::tuple<int, int, int>, std::vector<int>> pieces;
      std::int64_t tiles = 0;
      for (int cta = 0; cta < plan.ctas(); ++cta) {
        std::int64_t of_cta = 0;
        for (int i = plan.cta_first_item[static_cast<std::size_t>(cta)];
             i < plan.cta_first_item[static_cast<std::size_t>(cta) + 1]; ++i) {
          const WorkItem& item = plan.items[static_cast<std::size_t>(i)];
          const auto key = std::make_tuple(item.request, item.kv_head, item.row);
          BOOST_TEST_REQUIRE(item.tile_begin == ends[key]);
          BOOST_TEST_REQUIRE(item.tile_end >= item.tile_begin);
          ends[key] = item.tile_end;
          of_cta += item.tile_end - item.tile_begin;
          if (item.partial >= 0) pieces[key].push_back(item.partial);
        }
        // All but the last have exactly the same number of tiles.
        BOOST_TEST_REQUIRE((cta + 1 == plan.ctas() || of_cta == plan.tiles_per_cta));
        BOOST_TEST_REQUIRE(of_cta <= plan.tiles_per_cta);
        tiles += of_cta;
      }
      BOOST_TEST_REQUIRE(tiles == plan.tiles);
      std::size_t row_tiles = 0;
      for (std::size_t r = 0; r < batch.q_len.size(); ++r) {
        const int rows = batch.q_len[r] * batch.input.group;
        for (int head = 0; head < batch.input.kv_heads; ++head) {
          for (int row = 0; row < rows; row += batch.input.rows_per_tile) {
            const int last = std::min(row + batch.input.rows_per_tile, rows) - 1;
            const KeyTiles of_row =
                key_tiles(batch.q_len[r], batch.kv_len[r], row / batch.input.group, last / batch.input.group,
                          batch.input.window, batch.input.sink_tokens);
            const auto found = ends.find(std::make_tuple(static_cast<int>(r), head, row));
            BOOST_TEST_REQUIRE((found != ends.end() && found->second == of_row.count));
            ++row_tiles;
          }
        }
      }
      BOOST_TEST_REQUIRE(ends.size() == row_tiles);
      // Every divided row tile has one merge over its pieces in order, and the partials are used once each.
      BOOST_TEST_REQUIRE(plan.merges.size() == pieces.size());
      int next = 0;
      for (const MergeItem& merge : plan.merges) {
        const std::vector<int>& of_tile = pieces.at(std::make_tuple(merge.request, merge.kv_head, merge.row));
        BOOST_TEST_REQUIRE(merge.partial_begin == next);
        BOOST_TEST_REQUIRE(merge.partial_end - merge.partial_begin == static_cast<int>(of_tile.size()));
        BOOST_TEST_REQUIRE(of_tile.size() >= 2);
        for (const int partial : of_tile) BOOST_TEST_REQUIRE(partial == next++);
      }
      BOOST_TEST_REQUIRE(next == plan.partials);
    }
  }
}

BOOST_AUTO_TEST_CASE(bad_input_is_refused) {
  const std::vector<std::int32_t> one = {1};
  const std::vector<std::int32_t> negative = {-1};
  PlanInput input = {.q_len = one, .kv_len = one};
  BOOST_CHECK_NO_THROW(static_cast<void>(plan_attention(input)));
  input.kv_len = negative;
  BOOST_CHECK_THROW(static_cast<void>(plan_attention(input)), std::invalid_argument);
  input.kv_len = one;
  input.ctas = 0;
  BOOST_CHECK_THROW(static_cast<void>(plan_attention(input)), std::invalid_argument);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast::kernels
