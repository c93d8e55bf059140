// Rings, skewed experts, collectives, nodes, memory of ranks, overlap.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "hwmodels/affine_timer.h"
#include "hwmodels/expert_load.h"
#include "hwmodels/memory_report.h"
#include "hwmodels/node_spec.h"
#include "hwmodels/overlapped_timer.h"
#include "hwmodels/ring_attention.h"
#include "hwmodels/roofline_timer.h"
#include "hwmodels/weights.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

using boost::test_tools::tolerance;

/// Query-key pairs under the causal mask between two ranges of positions.
double pairs_of(std::int64_t q_begin, std::int64_t q_end, std::int64_t k_begin, std::int64_t k_end) {
  double pairs = 0;
  for (std::int64_t q = q_begin; q < q_end; ++q)
    pairs += static_cast<double>(std::clamp<std::int64_t>(q + 1 - k_begin, 0, k_end - k_begin));
  return pairs;
}

using Pieces = std::vector<std::pair<std::int64_t, std::int64_t>>;

Pieces pieces_of(std::int64_t rank, std::int64_t ranks, std::int64_t tokens, RingOrder order) {
  if (order == RingOrder::contiguous) return {{rank * tokens / ranks, (rank + 1) * tokens / ranks}};
  const std::int64_t size = tokens / (2 * ranks), mirror = 2 * ranks - 1 - rank;
  return {{rank * size, (rank + 1) * size}, {mirror * size, (mirror + 1) * size}};
}

/// Every rank, every round: the ring in lock-step, pair by pair.
double ring_by_hand(std::int64_t ranks, std::int64_t tokens, double per_pair, double transfer,
                    RingOrder order) {
  double time = 0;
  for (std::int64_t round = 0; round < ranks; ++round) {
    double slowest = 0;
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
      const std::int64_t from = (rank - round + ranks) % ranks;
      double pairs = 0;
      for (const auto& [q_begin, q_end] : pieces_of(rank, ranks, tokens, order)) {
        for (const auto& [k_begin, k_end] : pieces_of(from, ranks, tokens, order))
          pairs += pairs_of(q_begin, q_end, k_begin, k_end);
      }
      slowest = std::max(slowest, pairs * per_pair);
    }
    time += round + 1 < ranks ? std::max(slowest, transfer) : slowest;
  }
  return time;
}

BOOST_AUTO_TEST_SUITE(parallel)

BOOST_AUTO_TEST_CASE(ring_equals_every_pair_counted) {
  const std::int64_t tokens = 1920;
  const double per_pair = 1e-3, all = pairs_of(0, tokens, 0, tokens) * per_pair;
  for (const std::int64_t ranks : {1, 2, 3, 4, 5, 8}) {
    for (const double transfer : {0.0, all / 200, all / 20, all}) {
      for (const RingOrder order : {RingOrder::zigzag, RingOrder::contiguous}) {
        const double by_hand = ring_by_hand(ranks, tokens, per_pair, transfer, order);
        // The diagonal's own pairs, one a token, are the only thing that the closed form leaves out.
        BOOST_TEST(ring_time({ranks, all, transfer}, order) == by_hand, tolerance(0.004));
      }
    }
    BOOST_TEST(ring_share(ranks, RingOrder::zigzag) * all ==
                   ring_by_hand(ranks, tokens, per_pair, 0, RingOrder::zigzag),
               tolerance(0.004));
  }
  BOOST_TEST(ring_share(8, RingOrder::contiguous) == 15.0 / 64, tolerance(1e-12));
  BOOST_TEST(ring_kv_bytes(800, 8) == 300, tolerance(1e-12));
  BOOST_TEST(ring_kv_bytes(800, 2) == 800, tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(ring_of_a_model) {
  const ModelSpec model = load_model("llama-3.1-8b");
  const GpuSpec gpu = find_gpu("h100-sxm", "test");
  StepShape prompt;
  prompt.tokens = prompt.prefill_context = 65536;
  prompt.prefill_seqs = prompt.sampled = 1;
  prompt.prefill_pairs = prompt.tokens * (prompt.tokens + 1) / 2;
  const auto attention = [&](const RooflineTimer& timer) {
    for (const OpCost& cost : timer.breakdown(prompt)) {
      if (cost.name == "prefill_attention") return static_cast<double>(cost.time.count());
    }
    return 0.0;
  };
  const double alone = attention(*make_roofline_timer(model, gpu, {}));
  for (const std::int64_t ranks : {2, 4, 8}) {
    for (const RingOrder order : {RingOrder::zigzag, RingOrder::contiguous}) {
      TimerOptions options;
      options.spread.context_parallel = ranks;
      options.spread.ring = order;
      const auto timer = make_roofline_timer(model, gpu, options);
      const GroupLink link = group_link(default_node(gpu), gpu, {ranks, 1});
      const double kv = 65536.0 * 8 * 128 * 2 * 2 / static_cast<double>(ranks);
      const double hop =
          collective_time(CollectiveOp::send, ranks, kv, link).us * 1e3 * (1 << kFineBits) * 32;
      BOOST_TEST(attention(*timer) == ring_time({ranks, alone, hop}, order), tolerance(1e-6));
      BOOST_TEST(timer->step(prompt).time < make_roofline_timer(model, gpu, {})->step(prompt).time);
    }
  }
}

BOOST_AUTO_TEST_CASE(caches_of_ranks) {
  const ModelSpec model = load_model("llama-3.1-8b");
  const GpuSpec gpu = find_gpu("h100-sxm", "test");
  MemoryOptions options;
  options.profile = load_engine_profile("vllm-0.32", gpu, "test");
  options.max_model_len = 8192;
  options.available_kv_bytes = std::int64_t{20} << 30;
  const MemoryReport one = memory_report(model, gpu, options);
  for (const std::int64_t ranks : {2, 4, 8}) {
    options.context_parallel_size = ranks;
    const MemoryReport several = memory_report(model, gpu, options);
    BOOST_TEST(several.kv.blocks_total == one.kv.blocks_total);  // of each rank
    BOOST_TEST(several.weights.bytes_per_rank == one.weights.bytes_per_rank);
    BOOST_TEST(several.kv.blocks_per_request == one.kv.blocks_per_request / ranks);
  }
}

BOOST_AUTO_TEST_CASE(experts_of_ranks) {
  const ModelSpec model = load_model("qwen3-30b-a3b");
  WeightSplit split{2, 1, true, ""};
  const WeightParts narrow = count_weights(model, split, 0).parts;
  split.expert_groups = 4;
  const WeightParts wide = count_weights(model, split, 0).parts;
  BOOST_TEST(wide.experts * 4 == narrow.experts);
  BOOST_TEST(wide.attention == narrow.attention);
  split.expert_groups = 3;
  BOOST_CHECK_EXCEPTION((void)count_weights(model, split, 0), InputError, [](const InputError& error) {
    return std::string(error.what()).find("6 ranks do not divide the 128 experts") != std::string::npos;
  });
}

BOOST_AUTO_TEST_CASE(skew_of_experts) {
  ExpertLoad load;
  BOOST_TEST(expert_skew(load, 128, 8) == 1);
  load.popularity = ExpertLoad::Popularity::given;
  load.max_over_mean = 1.4;
  BOOST_TEST(expert_skew(load, 128, 8) == 1.4);
  BOOST_TEST(expert_skew(load, 128, 1) == 1);
  load.popularity = ExpertLoad::Popularity::zipf;
  load.exponent = 0;
  BOOST_TEST(expert_skew(load, 128, 8) == 1, tolerance(1e-12));
  load.exponent = 1;
  // As many ranks as experts: the most popular one by itself, 1 / H(4) of all.
  BOOST_TEST(expert_skew(load, 4, 4) == 4 / (1 + 1.0 / 2 + 1.0 / 3 + 1.0 / 4), tolerance(1e-12));
  const double by_number = expert_skew(load, 128, 8);
  load.placement = ExpertLoad::Placement::balanced;
  const double balanced = expert_skew(load, 128, 8);
  BOOST_TEST(by_number > balanced);
  BOOST_TEST(balanced >= 8 / 5.4332);  // the most popular expert, 1 / H(128) of all, is on one rank
  BOOST_TEST(by_number < 8);
  BOOST_TEST(ranks_reached(1, 8) == 1, tolerance(1e-12));
  BOOST_TEST(ranks_reached(8, 8) == 8 * (1 - std::pow(7.0 / 8, 8)), tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(collectives_of_links) {
  const GpuSpec gpu = find_gpu("h100-sxm", "test");
  const NodeSpec node = default_node(gpu);
  BOOST_TEST(node.name == "hgx-h100");
  const GroupLink link = group_link(node, gpu, {8, 1});
  const auto best = [&](double bytes) {
    return collective_time(CollectiveOp::all_reduce, 8, bytes, link).algorithm;
  };
  BOOST_TEST((best(1024) == CollectiveAlgorithm::one_shot));
  BOOST_TEST((best(4e6) == CollectiveAlgorithm::two_shot));
  BOOST_TEST((best(1e9) == CollectiveAlgorithm::nvls));
  BOOST_TEST(collective_lines(CollectiveOp::all_reduce, 1, link).empty());
  // A large ring moves 2 (n - 1) / n of the bytes.
  GroupLink plain = link;
  plain.peer_memory = plain.multicast = false;
  const double us = collective_time(CollectiveOp::all_reduce, 8, 1e10, plain).us;
  BOOST_TEST(us == 1e10 * 2 * 7 / 8 / (450e3 * 0.824), tolerance(0.01));
  // More bytes never take less, and the envelope is the minimum.
  const auto lines = collective_lines(CollectiveOp::all_reduce, 8, link);
  const auto lower = lower_envelope(lines);
  BOOST_TEST(lower.size() >= 2);
  for (double bytes = 1; bytes < 1e10; bytes *= 1.7) {
    double least = INFINITY;
    for (const CollectiveLine& line : lower) least = std::min(least, line.at(bytes));
    BOOST_TEST(least == collective_time(CollectiveOp::all_reduce, 8, bytes, link).us, tolerance(1e-12));
  }
  // Over nodes the NICs set the pace; an oversubscribed spine slows what leaves its rail.
  const GroupLink wide = group_link(node, gpu, {16, 1});
  BOOST_TEST(wide.nodes == 2);
  BOOST_TEST(collective_time(CollectiveOp::all_reduce, 16, 1e9, wide).us >
             collective_time(CollectiveOp::all_reduce, 8, 1e9, link).us);
  NodeSpec narrow = node;
  narrow.oversubscription = 4;
  const GroupLink slow = group_link(narrow, gpu, {16, 1});
  BOOST_TEST(collective_time(CollectiveOp::all_reduce, 16, 1e9, slow).us ==
             collective_time(CollectiveOp::all_reduce, 16, 1e9, wide).us);
  BOOST_TEST(collective_time(CollectiveOp::all_to_all, 16, 1e9, slow).us >
             3.9 * collective_time(CollectiveOp::all_to_all, 16, 1e9, wide).us);
}

BOOST_AUTO_TEST_CASE(shapes_and_nodes) {
  const NodeSpec node = default_node(find_gpu("h100-sxm", "test"));
  for (const ParallelShape& shape : {ParallelShape{1, 1}, ParallelShape{6, 1}, ParallelShape{8, 2},
                                     ParallelShape{16, 1}, ParallelShape{4, 4}, ParallelShape{2, 1, 8, 1}})
    BOOST_TEST(why_not(node, shape).empty());
  const std::string reason = why_not(node, {6, 2});
  BOOST_TEST(reason.find("groups of 6") != std::string::npos);
  BOOST_TEST(reason.find("the nearest shape that fits is TP ") != std::string::npos);
  BOOST_TEST(why_not(node, {12, 1}).find("groups of 12") != std::string::npos);
  // PCIe: a switch's uplink is shared, and no kernel reads the memory of eight peers.
  const GpuSpec l40s = find_gpu("l40s", "test");
  const NodeSpec pcie = default_node(l40s);
  BOOST_TEST(group_link(pcie, l40s, {4, 1}).all_to_all_gb_per_s == 32);
  BOOST_TEST(group_link(pcie, l40s, {8, 1}).all_to_all_gb_per_s == 8);
  BOOST_TEST(!group_link(pcie, l40s, {8, 1}).peer_memory);
  // A mesh gives two of its GPUs one of seven links.
  const GpuSpec mi300x = find_gpu("mi300x", "test");
  BOOST_TEST(group_link(default_node(mi300x), mi300x, {2, 1}).gb_per_s == 448.0 / 7, tolerance(1e-12));
  BOOST_TEST(list_nodes().size() >= 9);
}

BOOST_AUTO_TEST_CASE(overlap_hides_up_to_its_share) {
  const auto timer = [](double share) {
    return overlapped_timer(make_affine_timer({.base_us = 100, .per_context_token_us = 1}),
                            make_affine_timer({.base_us = 200}), share);
  };
  StepShape shape;
  shape.tokens = shape.sampled = shape.decode_seqs = 1;
  for (const std::int64_t context : {1, 50, 100, 101, 500}) {
    shape.decode_context = context;
    const double computing = 100 + static_cast<double>(context);
    for (const double share : {0.0, 0.25, 0.75, 1.0}) {
      const auto overlapped = timer(share);
      const auto us = static_cast<double>(overlapped->step(shape).time.count()) / 1e3 / (1 << kFineBits);
      BOOST_TEST(us == 200 * (1 - share) + std::max(computing, 200 * share), tolerance(1e-9));
      const DecodeLine line = overlapped->decode(1, context);
      for (const std::int64_t further : {context, std::min(line.context_max, context + 40)}) {
        shape.decode_context = further;
        BOOST_TEST((line.base.time + line.per_context_token.time * further).count() ==
                   overlapped->step(shape).time.count());
      }
      shape.decode_context = context;
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
