#include <boost/test/unit_test.hpp>

#include "sim/sglang/admission.h"
#include "sim/sglang/queue_policy.h"

namespace kvcast::sglang {
namespace {

Req make_req(std::uint64_t id, std::int64_t prompt, std::int64_t max_new) {
  Req req;
  req.id = static_cast<RequestId>(id);
  req.prompt = prompt;
  req.max_new = max_new;
  req.content.append({100 + id, 0, prompt});
  return req;
}

RadixTree lru_tree(std::int64_t page) { return RadixTree(page, eviction_catalog().find("lru", "test").make({})); }

std::vector<std::uint64_t> order_of(const WaitingQueue& queue, const Reqs& reqs) {
  std::vector<std::uint64_t> ids;
  for (std::size_t i = 0; i < queue.size(); ++i) ids.push_back(to_number(reqs[to_index(queue[i])].id));
  return ids;
}

BOOST_AUTO_TEST_SUITE(admission)

BOOST_AUTO_TEST_CASE(the_total_budget_is_strict) {
  // 500 + 100 + 1 of 1000: 399 left; 298 + 100 + 1 = 399 is not less, 297 is.
  for (const std::int64_t prompt : {298, 297}) {
    SglangSettings settings;
    KvPool pool(1000, 1, lru_tree(1));
    Reqs reqs{make_req(0, 500, 100), make_req(1, prompt, 100)};
    PrefillAdder adder(settings, reqs, pool, {.running = {}, .new_token_ratio = 0.7});
    BOOST_TEST((adder.add(ReqIndex{0}, {}) == SglangVerdict::go_on));
    BOOST_TEST(adder.total() == 399);
    const SglangVerdict verdict = adder.add(ReqIndex{1}, {});
    BOOST_TEST((verdict == (prompt == 298 ? SglangVerdict::no_token : SglangVerdict::go_on)));
    BOOST_TEST(adder.admitted().size() == (prompt == 298 ? 1U : 2U));
  }
}

BOOST_AUTO_TEST_CASE(running_requests_reserve_a_share_of_what_they_may_still_say) {
  SglangSettings settings;
  KvPool pool(100'000, 1, lru_tree(1));
  Reqs reqs{make_req(0, 10, 1000), make_req(1, 10, 100'000), make_req(2, 10, 50)};
  reqs[0].out = 400;
  reqs[2].ignore_eos = true;
  const std::vector<ReqIndex> running{ReqIndex{0}, ReqIndex{1}, ReqIndex{2}};
  const PrefillAdder adder(settings, reqs, pool, {.running = running, .new_token_ratio = 0.5});
  BOOST_TEST(adder.total() == 100'000 - 0.5 * 600 - 0.5 * 4096 - 50);
}

BOOST_AUTO_TEST_CASE(a_long_prompt_is_cut_at_a_page_and_reserves_no_output_yet) {
  SglangSettings settings;
  settings.chunked_prefill_size = 100;
  KvPool pool(16'000, 16, lru_tree(16));
  Reqs reqs{make_req(0, 30, 10), make_req(1, 500, 10)};
  PrefillAdder adder(settings, reqs, pool, {.running = {}, .new_token_ratio = 0.7});
  BOOST_TEST((adder.add(ReqIndex{0}, {}) == SglangVerdict::go_on));  // takes 32 of the chunk budget
  BOOST_TEST(*adder.chunk() == 68);
  BOOST_TEST((adder.add(ReqIndex{1}, {}) == SglangVerdict::go_on));
  BOOST_TEST(reqs[1].taken == 64);
  BOOST_TEST((adder.cut() == ReqIndex{1}));
  BOOST_TEST(*adder.chunk() == 4);
  BOOST_TEST(adder.total() == 16'000 - (32 + 16 + 10) - (64 + 16));
}

BOOST_AUTO_TEST_CASE(without_chunking_the_first_prompt_may_be_of_any_length) {
  SglangSettings settings;
  settings.chunked_prefill_size.reset();
  settings.max_prefill_tokens = 100;
  KvPool pool(16'000, 1, lru_tree(1));
  Reqs reqs{make_req(0, 60, 10), make_req(1, 40, 10), make_req(2, 5000, 10)};
  PrefillAdder two(settings, reqs, pool, {.running = {}, .new_token_ratio = 0.7});
  BOOST_TEST((two.add(ReqIndex{0}, {}) == SglangVerdict::go_on));
  BOOST_TEST((two.add(ReqIndex{1}, {}) == SglangVerdict::other));  // 40 is not less than the 40 left
  PrefillAdder one(settings, reqs, pool, {.running = {}, .new_token_ratio = 0.7});
  BOOST_TEST((one.add(ReqIndex{2}, {}) == SglangVerdict::other));  // admitted, but the input budget is spent
  BOOST_TEST(one.admitted().size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_needed_prefix_is_no_room) {
  SglangSettings settings;
  KvPool pool(100, 1, lru_tree(1));
  TokenSequence before;
  before.append({100, 0, 60});
  pool.tree()->insert(before.key(60, 0), 0, 0);
  Reqs reqs{make_req(0, 80, 30)};
  PrefillAdder adder(settings, reqs, pool, {.running = {}, .new_token_ratio = 0.7});
  const RadixTree::Match prefix = pool.tree()->match(reqs[0].key(79));
  BOOST_TEST(prefix.tokens == 60);
  // 20 + 30 + 1 tokens are needed; the pool's 100 free slots count, the 60 of the prefix do not.
  BOOST_TEST((adder.add(ReqIndex{0}, prefix) == SglangVerdict::go_on));
  BOOST_TEST(pool.locked() == 60);
  BOOST_TEST(adder.total() == 100 - 51);
}

BOOST_AUTO_TEST_CASE(the_look_ahead_knows_when_slots_come_back) {
  SglangSettings settings;
  settings.disable_radix_cache = settings.ignore_eos = true;
  // One running request with 50 more outputs holds 100 tokens; two more take 40 + 1 each. While all three run they fill 3 x 50 slots, and one a request must
  // stay free: 100 + 82 + 150 + 3 tokens are not enough, one more is.
  for (const std::int64_t tokens : {336, 335}) {
    KvPool pool(tokens, 1, std::nullopt);
    Reqs reqs{make_req(0, 50, 100), make_req(1, 40, 60), make_req(2, 40, 60)};
    for (Req& req : reqs) req.ignore_eos = true;
    reqs[0].out = 50;
    pool.grow(reqs[0], 100);
    const std::vector<ReqIndex> running{ReqIndex{0}};
    PrefillAdder adder(settings, reqs, pool, {.running = running, .new_token_ratio = 0.7});
    BOOST_TEST((adder.add(ReqIndex{1}, {}) == SglangVerdict::go_on));
    static_cast<void>(adder.add(ReqIndex{2}, {}));
    BOOST_TEST(adder.admitted().size() == (tokens == 336 ? 2U : 1U));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(queue_policy)

struct Fixture {
  SglangSettings settings;
  KvPool pool{100'000, 1, lru_tree(1)};
  Reqs reqs;

  Req& add(std::vector<TokenRun> content, std::int64_t max_new = 10) {
    Req& req = reqs.emplace_back();
    req.id = static_cast<RequestId>(reqs.size() - 1);
    for (const TokenRun& run : content) req.content.append(run);
    req.prompt = req.content.length();
    req.max_new = max_new;
    return req;
  }
  WaitingQueue queue() {
    WaitingQueue all(settings);
    for (std::size_t i = 0; i < reqs.size(); ++i) all.push_back(static_cast<ReqIndex>(i));
    return all;
  }
  void cache(std::vector<TokenRun> content) {
    TokenSequence sequence;
    for (const TokenRun& run : content) sequence.append(run);
    pool.tree()->insert(sequence.key(sequence.length(), 0), 0, 0);
  }
};

BOOST_FIXTURE_TEST_CASE(lof_puts_the_longest_output_first_and_keeps_ties, Fixture) {
  settings.schedule_policy = SglangPolicy::lof;
  for (const std::int64_t max_new : {10, 30, 10, 30, 20}) add({{reqs.size(), 0, 5}}, max_new);
  WaitingQueue all = queue();
  BOOST_TEST(all.sort(reqs, pool) == 0);
  BOOST_TEST(order_of(all, reqs) == (std::vector<std::uint64_t>{1, 3, 4, 0, 2}), boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(lpm_puts_the_longest_cached_prefix_first_and_common_beginnings_last, Fixture) {
  settings.schedule_policy = SglangPolicy::lpm;
  cache({{1, 0, 100}});
  add({{5, 0, 50}, {10, 0, 5}});
  add({{5, 0, 50}, {11, 0, 5}});  // has 50 tokens in common with the one before, and none cached
  add({{1, 0, 60}, {12, 0, 5}});
  add({{1, 0, 100}});             // cached as a whole: counts one token less
  add({{5, 0, 31}, {13, 0, 5}});  // 31 in common are too few
  WaitingQueue all = queue();
  BOOST_TEST(all.sort(reqs, pool) == 1);
  BOOST_TEST(order_of(all, reqs) == (std::vector<std::uint64_t>{3, 2, 0, 4, 1}), boost::test_tools::per_element());
  BOOST_TEST(reqs[3].matched == 99);
}

BOOST_FIXTURE_TEST_CASE(lpm_leaves_a_long_queue_alone, Fixture) {
  settings.schedule_policy = SglangPolicy::lpm;
  settings.lpm_fallback_waiting = 1;
  cache({{1, 0, 100}});
  add({{5, 0, 50}});
  add({{1, 0, 60}});
  WaitingQueue all = queue();
  BOOST_TEST(all.sort(reqs, pool) == 0);
  BOOST_TEST(order_of(all, reqs) == (std::vector<std::uint64_t>{0, 1}), boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(dfs_weight_goes_down_the_heaviest_subtree, Fixture) {
  settings.schedule_policy = SglangPolicy::dfs_weight;
  cache({{1, 0, 40}, {2, 0, 40}});
  cache({{1, 0, 40}, {3, 0, 40}});
  cache({{9, 0, 40}});
  add({{9, 0, 40}, {20, 0, 5}});
  add({{1, 0, 40}, {21, 0, 5}});             // ends where the two branches part: after them
  add({{1, 0, 40}, {2, 0, 40}, {22, 0, 5}});
  add({{30, 0, 5}});                         // nothing cached: last
  add({{1, 0, 40}, {3, 0, 40}, {23, 0, 5}});
  add({{1, 0, 40}, {3, 0, 40}, {24, 0, 5}});
  WaitingQueue all = queue();
  static_cast<void>(all.sort(reqs, pool));
  BOOST_TEST(order_of(all, reqs) == (std::vector<std::uint64_t>{4, 5, 2, 1, 0, 3}), boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(fcfs_refreshes_the_prefixes_of_its_head_now_and_then, Fixture) {
  cache({{1, 0, 40}});
  cache({{2, 0, 40}});
  add({{1, 0, 60}});
  WaitingQueue all = queue();
  static_cast<void>(all.sort(reqs, pool));  // the first pass does
  std::vector<std::int64_t> gone;
  pool.tree()->evict(1, [&](const EvictedNode& node) { gone.push_back(node.insertion); });
  BOOST_TEST(gone == std::vector<std::int64_t>{1}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast::sglang
