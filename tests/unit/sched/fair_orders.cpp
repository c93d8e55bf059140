#include <boost/test/unit_test.hpp>

#include "sim/base/config.h"
#include "sim/base/error.h"
#include "sim/sched/queue_order.h"

namespace kvcast {
namespace {

Sequence of_tenant(std::uint64_t id, std::uint32_t tenant, std::int64_t input) {
  Sequence s;
  s.id = static_cast<RequestId>(id);
  s.arrival = kStart + Duration{static_cast<std::int64_t>(id)};
  s.tenant = tenant;
  s.input = s.known = Tokens{input};
  return s;
}

std::unique_ptr<QueueOrder> make(const std::string& name, const std::string& yaml = "") {
  Config engine = Config::from_text(yaml, "test");
  auto order = queue_order_catalog().find(name, "test").make(engine)();
  engine.finish();
  return order;
}

SeqIndex admit(QueueOrder& order, const Sequence& sequence) {
  order.begin_step();
  const SeqIndex seq = order.front();
  order.pop();
  order.admitted(sequence);
  return seq;
}

BOOST_AUTO_TEST_SUITE(fair_orders)

BOOST_AUTO_TEST_CASE(vtc_serves_the_tenant_that_got_least) {
  const auto order = make("vtc");
  for (std::uint64_t i = 0; i < 3; ++i)
    order->push(of_tenant(i, 7, 100), SeqIndex{static_cast<std::uint32_t>(i)});
  order->push(of_tenant(3, 8, 100), SeqIndex{3});
  order->push(of_tenant(4, 8, 100), SeqIndex{4});
  BOOST_TEST(to_index(admit(*order, of_tenant(0, 7, 100))) == 0);  // equal: the earlier
  BOOST_TEST(to_index(admit(*order, of_tenant(3, 8, 100))) == 3);  // 0 against 100
  order->produced(of_tenant(0, 7, 100), Tokens{1});                // 102 against 100
  BOOST_TEST(to_index(admit(*order, of_tenant(4, 8, 100))) == 4);
  BOOST_TEST(to_index(order->front()) == 1);
}

/// Tenant 1 decodes two sequences, tenant 2 none: with 2 a token, its lead of 41 is gone in the 11th step.
BOOST_AUTO_TEST_CASE(vtc_knows_when_decoding_moves_the_front) {
  const auto order = make("vtc");
  order->push(of_tenant(0, 1, 10), SeqIndex{0});
  order->push(of_tenant(1, 1, 10), SeqIndex{1});
  order->push(of_tenant(2, 2, 51), SeqIndex{2});
  order->push(of_tenant(3, 2, 1), SeqIndex{3});
  BOOST_TEST(to_index(admit(*order, of_tenant(0, 1, 10))) == 0);
  BOOST_TEST(to_index(admit(*order, of_tenant(2, 2, 51))) == 2);
  BOOST_TEST(to_index(order->front()) == 1);
  order->decodes(of_tenant(0, 1, 10), 1);
  order->decodes(of_tenant(0, 1, 10), 1);
  BOOST_TEST(order->steps_front_stays() == 11);
  order->decoded(10);
  BOOST_TEST(to_index(order->front()) == 1);
  BOOST_TEST(order->steps_front_stays() == 1);
  order->decoded(1);
  BOOST_TEST(to_index(order->front()) == 3);
  order->decodes(of_tenant(0, 1, 10), -1);
  order->decoded(100);
  order->decodes(of_tenant(0, 1, 10), -1);
  BOOST_TEST(to_index(order->front()) == 3);
}

BOOST_AUTO_TEST_CASE(vtc_gives_no_credit_for_idling) {
  const auto order = make("vtc");
  for (std::uint64_t i = 0; i < 5; ++i)
    order->push(of_tenant(i, 1, 1000), SeqIndex{static_cast<std::uint32_t>(i)});
  for (std::uint64_t i = 0; i < 3; ++i) (void)admit(*order, of_tenant(i, 1, 1000));
  order->push(of_tenant(5, 2, 1000), SeqIndex{5});
  order->push(of_tenant(6, 2, 1000), SeqIndex{6});
  order->begin_step();  // lifted from 0 to 3,000: then they alternate
  BOOST_TEST(to_index(admit(*order, of_tenant(3, 1, 1000))) == 3);
  BOOST_TEST(to_index(admit(*order, of_tenant(5, 2, 1000))) == 5);
  BOOST_TEST(to_index(admit(*order, of_tenant(4, 1, 1000))) == 4);
  BOOST_TEST(to_index(admit(*order, of_tenant(6, 2, 1000))) == 6);
  BOOST_TEST(order->size() == 0);
  // An empty queue: to the counter of the tenant that left it last.
  order->push(of_tenant(7, 3, 1000), SeqIndex{7});
  order->push(of_tenant(8, 2, 1000), SeqIndex{8});
  BOOST_TEST(to_index(admit(*order, of_tenant(7, 3, 1000))) == 7);
  BOOST_TEST(to_index(order->front()) == 8);
}

BOOST_AUTO_TEST_CASE(vtc_weights) {
  BOOST_CHECK_THROW((void)make("vtc", "vtc: {input_weight: 0, output_weight: 0}"), InputError);
  BOOST_CHECK_THROW((void)make("vtc", "vtc: {weight: 2}"), InputError);
}

BOOST_AUTO_TEST_CASE(edf_goes_by_deadline) {
  const auto order = make("edf", "edf: {default_ms: 2000, classes: {interactive: 500, batch: 60000}}");
  const auto push = [&](std::uint32_t index, std::int64_t arrival_ms, const std::string& slo_class) {
    Sequence s = of_tenant(index, 0, 1);
    s.arrival = kStart + std::chrono::milliseconds(arrival_ms);
    s.deadline = s.arrival + order->ttft_target(slo_class);
    order->push(s, SeqIndex{index});
  };
  push(0, 0, "batch");
  push(1, 0, "");
  push(2, 1400, "interactive");  // 1,900
  push(3, 1500, "interactive");  // 2,000 as the second, but later
  push(4, 10, "unheard of");
  for (const std::size_t expected : {2U, 1U, 3U, 4U, 0U}) {
    BOOST_TEST(to_index(order->front()) == expected);
    order->pop();
  }
  BOOST_CHECK_THROW((void)make("edf", "edf: {classes: {interactive: 0}}"), InputError);
  BOOST_CHECK_THROW((void)make("edf", "edf: {default: 100}"), InputError);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
