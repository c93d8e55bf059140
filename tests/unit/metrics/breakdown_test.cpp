#include "sim/metrics/breakdown.h"

#include <boost/test/unit_test.hpp>

#include "sim/base/shares.h"

using namespace kvcast;

namespace {

constexpr std::size_t index_of(TimePart part) { return static_cast<std::size_t>(part); }
Instant at(std::int64_t ns) { return kStart + Duration{ns}; }

/// 10 ns a step and 1 ns a token; half of it host, the rest arithmetic.
class PlainTimer final : public StepTimer {
 public:
  [[nodiscard]] StepCost step(const StepShape& shape) const override {
    return {FineDuration{(10 + shape.tokens) << kFineBits}, 0, 0};
  }
  [[nodiscard]] DecodeLine decode(std::int64_t seqs, std::int64_t /*context*/) const override {
    DecodeLine line;
    line.base = step({.tokens = seqs});
    return line;
  }
  [[nodiscard]] StepParts parts(const StepShape& shape) const override {
    StepParts parts;
    parts.time_of(StepPart::host) = std::int64_t{10} << kFineBits;
    parts.time_of(StepPart::compute) = shape.tokens << kFineBits;
    return parts;
  }
};

BOOST_AUTO_TEST_SUITE(breakdown)

BOOST_AUTO_TEST_CASE(shares_sum_to_the_total) {
  const std::array<std::int64_t, 4> weights = {1, 1, 1, 0};
  std::array<std::int64_t, 4> shares{};
  divide(10, weights.data(), shares.data(), 4);
  BOOST_TEST((shares == std::array<std::int64_t, 4>{4, 3, 3, 0}));
  const std::array<std::int64_t, 4> none{};
  divide(5, none.data(), shares.data(), 4);
  BOOST_TEST((shares == std::array<std::int64_t, 4>{0, 0, 0, 5}));
  constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  const std::array<std::int64_t, 2> huge = {kHuge, kHuge - 1};
  divide(kHuge, huge.data(), shares.data(), 2);
  BOOST_TEST(shares[0] + shares[1] == kHuge);
}

/// Request 1: 100 ns on its way, 50 in the queue, a step of 30 with its prompt of 20 (5 of them known
/// before), a step without it, preempted, its prompt and answer once more, and a decode beside another's
/// prompt.
BOOST_AUTO_TEST_CASE(every_piece_has_its_part) {
  const PlainTimer timer;
  BreakdownOptions options;
  options.frontend_before = [](Tokens) { return Duration{60}; };
  options.frontend_after = Duration{7};
  options.computed_before = [](RequestId id) { return Tokens{to_number(id) == 1 ? 5 : 0}; };
  Breakdown breakdown(timer, options);
  const RequestId one{1}, two{2};
  const auto tell = [&](std::int64_t index, std::int64_t begin, std::int64_t end, StepShape shape,
                        std::vector<StepRecord::Entry> scheduled, std::vector<RequestId> preempted = {},
                        std::vector<RequestId> finished = {}) {
    StepRecord step;
    step.index = index;
    step.begin = step.device_begin = at(begin);
    step.device_end = at(end);
    step.shape = shape;
    step.scheduled = std::move(scheduled);
    step.preempted = std::move(preempted);
    step.finished = std::move(finished);
    breakdown.on_step(step);
  };
  const StepShape prompt{
      .tokens = 20, .sampled = 1, .prefill_seqs = 1, .prefill_context = 20, .prefill_pairs = 210};
  tell(0, 150, 180, prompt, {{one, 20, 0, true, 0, true}});
  tell(1, 180, 200, {.tokens = 10, .prefill_seqs = 1, .prefill_context = 10, .prefill_pairs = 55},
       {{two, 10, 0, true, 0, false}}, {one});
  StepShape again = prompt;
  again.tokens = 21;
  tell(2, 200, 231, again, {{one, 21, 0, true, 0, true}});
  RequestRow row;
  row.id = one;
  row.arrival = at(0);
  row.received = at(100);
  row.scheduled = at(150);
  row.first_token = at(187);
  row.last_token = at(258);
  row.output = Tokens{3};
  row.preemptions = 1;
  breakdown.on_request(row);
  StepShape mixed = {.tokens = 10,
                     .sampled = 1,
                     .decode_seqs = 1,
                     .decode_context = 22,
                     .prefill_seqs = 1,
                     .prefill_context = 19,
                     .prefill_pairs = 100};
  tell(3, 231, 251, mixed, {{one, 1, 21, false, 0, true}, {two, 9, 10, false, 0, true}}, {}, {one});
  breakdown.finish();
  BOOST_REQUIRE(breakdown.requests().size() == 1U);
  const RequestTime& time = breakdown.requests().front();
  const auto of = [&](TimePart part) { return time.e2el[index_of(part)]; };
  BOOST_TEST(of(TimePart::frontend) == 67);
  BOOST_TEST(of(TimePart::router) == 40);
  BOOST_TEST(of(TimePart::queue) == 50);
  // Of the first step's 30 ns, 5 of 20 tokens had been computed before: a quarter of host and of arithmetic.
  BOOST_TEST(of(TimePart::cache_miss) == 2 + 5);
  BOOST_TEST(of(TimePart::preempted) == 20);
  // 20 of the third step's 21 tokens had been computed: 31 ns in parts of 10 and 21.
  BOOST_TEST(of(TimePart::recompute) == 9 + 20);
  BOOST_TEST(of(TimePart::prefill_compute) == 15 + 1);
  BOOST_TEST(of(TimePart::others_prefill) == 9);
  BOOST_TEST(of(TimePart::decode_compute) == 1);
  BOOST_TEST(of(TimePart::host) == 8 + 1 + 10);
  BOOST_TEST(sum_of(time.e2el) == 258);
  BOOST_TEST(sum_of(time.ttft) == 187);
  BOOST_TEST(sum_of(time.tpot()) == time.tpot_ns());
}

BOOST_AUTO_TEST_CASE(statistics_speak_of_the_requests_around_them) {
  std::vector<RequestTime> requests;
  for (std::int64_t i = 0; i < 1001; ++i) {
    RequestTime time;
    time.id = static_cast<RequestId>(1000 - i);
    time.arrival = at(0);
    time.output = Tokens{1};
    time.ttft[index_of(TimePart::queue)] = i;
    time.e2el = time.ttft;
    time.first_token = time.last_token = at(i);
    requests.push_back(time);
  }
  const std::vector<ExplainedStatistic> all = explain_statistics(requests);
  BOOST_REQUIRE(all.size() == 8U);  // no TPOT: single tokens
  BOOST_TEST(all[0].total_ns == 500);
  BOOST_TEST(all[3].statistic == "p99");
  BOOST_TEST(all[3].requests == 11);  // ranks 985 to 995
  BOOST_TEST(all[3].total_ns == 990);
  BOOST_TEST(explain_statistics({}).empty());
  BOOST_TEST(explain_statistics({requests.front()}).front().requests == 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
