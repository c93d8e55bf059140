#include <boost/test/unit_test.hpp>

#include "sim/base/config.h"
#include "sim/kv/allocators.h"
#include "sim/sched/batch.h"
#include "sim/sched/queue_order.h"
#include "sim/sched/scheduler.h"

namespace kvcast {
namespace {

Sequence sequence(std::uint64_t id, std::int64_t arrival_ns, std::int32_t priority, std::int64_t input, std::int64_t predicted = 0) {
  Sequence s;
  s.id = static_cast<RequestId>(id);
  s.arrival = kStart + Duration{arrival_ns};
  s.priority = priority;
  s.input = s.known = Tokens{input};
  s.output_predicted = Tokens{predicted};
  s.table.limit = Tokens{1000};
  return s;
}

std::vector<std::uint64_t> drain(QueueOrder& order) {
  std::vector<std::uint64_t> ids;
  for (; order.size() > 0; order.pop()) ids.push_back(static_cast<std::uint64_t>(to_index(order.front())));
  return ids;
}

std::unique_ptr<QueueOrder> make(const std::string& name) {
  Config engine = Config::empty("engine");
  return queue_order_catalog().find(name, "test").make(engine)();
}

BOOST_AUTO_TEST_SUITE(queue_orders)

BOOST_AUTO_TEST_CASE(fcfs_puts_the_preempted_in_front) {
  const auto order = make("fcfs");
  const Sequence any = sequence(0, 0, 0, 1);
  order->push(any, SeqIndex{0});
  order->push(any, SeqIndex{1});
  order->push_preempted(any, SeqIndex{2});
  order->push_preempted(any, SeqIndex{3});
  BOOST_TEST(drain(*order) == (std::vector<std::uint64_t>{3, 2, 0, 1}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(priority_goes_by_priority_then_arrival_then_id) {
  const auto order = make("priority");
  order->push(sequence(4, 50, 1, 1), SeqIndex{0});
  order->push(sequence(3, 50, 1, 1), SeqIndex{1});
  order->push(sequence(2, 10, 1, 1), SeqIndex{2});
  order->push_preempted(sequence(9, 99, 0, 1), SeqIndex{3});
  BOOST_TEST(drain(*order) == (std::vector<std::uint64_t>{3, 2, 1, 0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(sjf_goes_by_what_was_predicted) {
  const auto order = make("sjf");
  order->push(sequence(0, 0, 0, 100, 500), SeqIndex{0});
  order->push(sequence(1, 1, 0, 300, 20), SeqIndex{1});
  order->push(sequence(2, 2, 0, 10, 900), SeqIndex{2});
  BOOST_TEST(drain(*order) == (std::vector<std::uint64_t>{1, 0, 2}), boost::test_tools::per_element());
}

/// vLLM: the largest (priority, arrival) gives way; of equals the one that was admitted first.
BOOST_AUTO_TEST_CASE(priority_victim) {
  Config engine = Config::empty("engine");
  CachedBlocksSettings layers;
  layers.groups = {KvGroup{}};
  layers.caching = false;
  const auto pool = make_paged(engine, layers)({Blocks{100}, Tokens{16}});
  const auto order = make("priority");
  Batch batch(*pool, *order, {});
  batch.add(sequence(0, 10, 2, 5), Tokens{9}, Content{});
  batch.add(sequence(1, 10, 2, 5), Tokens{9}, Content{});
  batch.add(sequence(2, 99, 1, 5), Tokens{9}, Content{});
  batch.begin_step(Tokens{100});
  while (batch.waiting() > 0) BOOST_TEST(batch.admit_front(Tokens{5}));
  const Sequence& victim = batch.sequence(order->victim(batch));
  BOOST_TEST(to_number(victim.id) == 0U);
}

BOOST_AUTO_TEST_CASE(scheduler_parameters_are_checked) {
  const EngineDefaults defaults{.max_num_seqs = 256, .max_num_batched_tokens = 8192, .max_model_len = Tokens{32768}, .version = {}};
  Config too_small = Config::from_text("max_num_batched_tokens: 100\n", "a.yaml");
  BOOST_CHECK_THROW((void)make_vllm_v1(too_small, defaults), InputError);
  Config unchunked = Config::from_text("enable_chunked_prefill: false\n", "a.yaml");
  BOOST_CHECK_THROW((void)make_vllm_v1(unchunked, defaults), InputError);
  Config fine = Config::from_text("max_num_batched_tokens: 40000\nenable_chunked_prefill: false\n", "a.yaml");
  BOOST_CHECK_NO_THROW((void)make_vllm_v1(fine, defaults));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
