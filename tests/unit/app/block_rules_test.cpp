#include "sim/app/block_rules.h"

#include <boost/test/unit_test.hpp>

#include "sim/base/error.h"

namespace kvcast {
namespace {

KvGroupReport group(const char* kind, std::int64_t block_size, std::int64_t window,
                    std::int64_t blocks_per_request) {
  KvGroupReport report;
  report.kind = kind;
  report.block_size = block_size;
  report.window = window;
  report.blocks_per_request = blocks_per_request;
  return report;
}

BOOST_AUTO_TEST_SUITE(block_rules)

BOOST_AUTO_TEST_CASE(versions) {
  BOOST_TEST((parse_engine_version("0.32.0") == EngineVersion{0, 32}));
  BOOST_TEST((parse_engine_version("1.4") == EngineVersion{1, 4}));
  for (const char* text : {"", "4", "x.1", "1.", "1.x"})
    BOOST_CHECK_THROW((void)parse_engine_version(text), InputError);
}

BOOST_AUTO_TEST_CASE(hits_end_at_common_multiples_and_are_hashed_in_common_divisors) {
  std::vector<KvGroup> groups(2);
  groups[0].block_size = 48;
  groups[1].block_size = 32;
  const CachedBlocksSettings settings = vllm_block_rules(groups, true, EngineVersion{0, 32});
  BOOST_TEST(settings.unit == 96);
  BOOST_TEST(settings.hash_unit == 16);
  BOOST_TEST(settings.caching);
}

BOOST_AUTO_TEST_CASE(rules_changed_with_the_releases) {
  std::vector<KvGroup> one(1);
  one.front().window = 128;
  one.front().admission_blocks = 9;
  const CachedBlocksSettings old = vllm_block_rules(one, true, EngineVersion{0, 19});
  BOOST_TEST(old.keep_all_window_blocks);
  BOOST_TEST(!old.commit_whole_units);
  BOOST_TEST((old.free_order == FreeOrder::all_behind));
  BOOST_TEST(!old.groups.front().admission_blocks.has_value());
  const CachedBlocksSettings middle = vllm_block_rules(one, true, EngineVersion{0, 24});
  BOOST_TEST(!middle.keep_all_window_blocks);
  BOOST_TEST(!middle.keep_junctions);
  BOOST_TEST(!middle.retention_interval.has_value());
  BOOST_TEST(middle.groups.front().admission_blocks.value() == 9);
  const CachedBlocksSettings now = vllm_block_rules(one, true, EngineVersion{0, 32});
  BOOST_TEST(now.keep_junctions);
  BOOST_TEST(now.retention_interval.value() == 0);
  BOOST_TEST((now.free_order == FreeOrder::split_by_key));
}

BOOST_AUTO_TEST_CASE(windows_are_capped_at_the_gate_and_come_after_what_keeps_all) {
  KvReport kv;
  kv.block_size = 16;
  kv.groups = {group("sliding_window", 16, 128, 137), group("full_attention", 16, 0, 512)};
  const std::vector<KvGroup> groups = kv_groups_of(kv, true);
  BOOST_REQUIRE(groups.size() == 2U);
  BOOST_TEST(groups[0].window == 0);
  BOOST_TEST(!groups[0].admission_blocks.has_value());
  BOOST_TEST(groups[1].window == 128);
  BOOST_TEST(groups[1].admission_blocks.value() == 137);
  BOOST_TEST(kv_groups_assumption(kv, true).empty());
}

BOOST_AUTO_TEST_CASE(recurrent_layers_hold_a_state_or_two) {
  KvReport kv;
  kv.block_size = 544;
  kv.groups = {group("recurrent", 544, 0, 2), group("full_attention", 544, 0, 16)};
  const std::vector<KvGroup> cached = kv_groups_of(kv, true);
  BOOST_TEST(cached[0].window == 0);
  BOOST_TEST(cached[1].window == 545);  // two blocks at any time
  BOOST_TEST(!kv_groups_assumption(kv, true).empty());
  kv.groups[0].block_size = 8192;  // without caching one block spans the longest request
  const std::vector<KvGroup> plain = kv_groups_of(kv, false);
  BOOST_TEST(plain[0].block_size == 544);
  BOOST_TEST(plain[1].block_size == 8192);
  BOOST_TEST(plain[1].window == 0);
  BOOST_TEST(kv_groups_assumption(kv, false).empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
