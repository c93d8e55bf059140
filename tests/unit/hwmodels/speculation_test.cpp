#include "hwmodels/speculation.h"

#include <boost/test/unit_test.hpp>
#include <numeric>

#include "hwmodels/affine_timer.h"
#include "hwmodels/scaled_timer.h"
#include "sim/base/rng.h"

using namespace kvcast;

namespace {

ModelSpec llama() { return load_model("llama-3.1-8b"); }
GpuSpec h100() {
  Config config = Config::empty("test");
  return read_gpu(config, "gpu", "h100-sxm");
}

TimerOptions on_ranks(std::int64_t ranks, double host_overhead_us) {
  TimerOptions options;
  options.tensor_parallel_size = ranks;
  options.host_overhead_us = host_overhead_us;
  return options;
}

StepShape decode_of(std::int64_t seqs, std::int64_t context) {
  StepShape shape;
  shape.tokens = shape.sampled = shape.decode_seqs = seqs;
  shape.decode_context = seqs * context;
  return shape;
}

/// The same with so many drafts for each sequence to verify.
StepShape verify_of(std::int64_t seqs, std::int64_t context, std::int64_t drafts) {
  StepShape shape = decode_of(seqs, context + drafts);
  shape.tokens = shape.sampled = seqs * (drafts + 1);
  shape.verify_tokens = seqs * drafts;
  shape.verify_pairs = seqs * (drafts * (context - 1) + drafts * (drafts + 1) / 2);
  return shape;
}

StepShape random_shape(RandomStream& random) {
  StepShape shape = verify_of(random.integer(0, 40), random.integer(1, 3000), random.integer(0, 5));
  shape.prefill_seqs = random.integer(0, 3);
  const std::int64_t n = shape.prefill_seqs * random.integer(1, 700);
  shape.tokens += n;
  shape.sampled += shape.prefill_seqs;
  shape.prefill_context = n + random.integer(0, 5000) * shape.prefill_seqs;
  shape.prefill_pairs = n * n / 2 + n * (shape.prefill_context - n) + n;
  if (shape.prefill_seqs == 0) shape.prefill_context = shape.prefill_pairs = 0;
  shape.draft_seqs = random.integer(0, shape.decode_seqs);
  shape.draft_tokens = shape.draft_seqs * 3;
  return shape;
}

void check_parts(const StepTimer& timer) {
  RandomStream random(5, "unit/parts");
  for (int i = 0; i < 300; ++i) {
    const StepShape shape = random_shape(random);
    const StepParts parts = timer.parts(shape);
    const StepCost cost = timer.step(shape);
    BOOST_TEST(std::accumulate(parts.time.begin(), parts.time.end(), std::int64_t{0}) == cost.time.count());
    BOOST_TEST(std::accumulate(parts.bytes.begin(), parts.bytes.end(), std::int64_t{0}) == cost.hbm_bytes);
    BOOST_TEST(*std::min_element(parts.time.begin(), parts.time.end()) >= 0);
    BOOST_TEST(*std::min_element(parts.bytes.begin(), parts.bytes.end()) >= 0);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(speculation)

/// Verifying drafts reads weights and KV once: bound by memory it costs hardly more than a decode, bound by
/// arithmetic as much as its rows.
BOOST_AUTO_TEST_CASE(verification_reads_the_cache_once) {
  const auto timer = make_roofline_timer(llama(), h100(), {});
  const StepCost plain = timer->step(decode_of(1, 4000));
  const StepCost verify = timer->step(verify_of(1, 4000, 4));
  BOOST_TEST(static_cast<double>(verify.time.count()) < 1.02 * static_cast<double>(plain.time.count()));
  BOOST_TEST(static_cast<double>(verify.hbm_bytes) < 1.02 * static_cast<double>(plain.hbm_bytes));
  BOOST_TEST(verify.flop > 4.9 * static_cast<double>(plain.flop));
  const double many_plain = static_cast<double>(timer->step(decode_of(1000, 10)).time.count());
  const double many = static_cast<double>(timer->step(verify_of(1000, 10, 4)).time.count());
  BOOST_TEST(many > 3 * many_plain);
}

BOOST_AUTO_TEST_CASE(no_drafts_cost_nothing) {
  const auto plain = make_roofline_timer(llama(), h100(), {});
  const auto timer = make_speculative_timer(
      make_roofline_timer(llama(), h100(), {}),
      make_model_drafter(make_affine_timer({.base_us = 100, .per_token_us = 0, .per_context_token_us = 0}),
                         {}));
  const StepShape shape = decode_of(8, 500);
  BOOST_TEST(timer->step(shape).time.count() == plain->step(shape).time.count());
  const DecodeLine line = timer->decode(8, 4000);
  BOOST_TEST((line.base.time + line.per_context_token.time * 4000).count() ==
             plain->step(shape).time.count());
}

/// k passes one after the other; the host's time is added to each.
BOOST_AUTO_TEST_CASE(a_draft_model_runs_pass_after_pass) {
  const auto drafter =
      make_model_drafter(make_affine_timer({.base_us = 100, .per_token_us = 1, .per_context_token_us = 0}),
                         FineDuration{std::int64_t{7'000} << kFineBits});
  StepShape shape = verify_of(10, 500, 3);
  shape.draft_seqs = 10;
  shape.draft_tokens = 30;
  // The first pass sees the step's 40 tokens, the two others one of each sequence.
  const std::int64_t us = (100 + 40 + 7) + 2 * (100 + 10 + 7);
  BOOST_TEST(drafter->cost(shape).time.count() == (us * 1000) << kFineBits);
}

BOOST_AUTO_TEST_CASE(heads_and_lookups) {
  const ModelSpec model = llama();
  const auto heads = make_head_drafter(model, h100(), 4, 1);
  StepShape shape = decode_of(2, 500);
  BOOST_TEST(heads->cost(shape).time.count() == 0);
  shape.draft_seqs = 2;
  shape.draft_tokens = 8;
  const double bytes = static_cast<double>(medusa_bytes(model, 4, 1));
  BOOST_TEST(static_cast<double>(heads->cost(shape).hbm_bytes) == bytes, boost::test_tools::tolerance(0.001));
  BOOST_TEST(bytes == 4.0 * (4096.0 * 4096 + 4096.0 * 128256) * 2);
  const auto lookup = make_lookup_drafter(FineDuration{std::int64_t{2} << kFineBits});
  BOOST_TEST(lookup->cost(shape).time.count() == (2 * 1000) << kFineBits);
}

BOOST_AUTO_TEST_CASE(what_a_pass_runs) {
  const ModelSpec model = llama();
  BOOST_TEST(draft_pass_model(DraftMethod::eagle, model, nullptr).layers.size() == 1U);
  const ModelSpec deepseek = load_model("deepseek-v3");
  BOOST_TEST(draft_pass_model(DraftMethod::mtp, deepseek, nullptr).layers.size() == 1U);
  BOOST_CHECK_THROW(static_cast<void>(draft_pass_model(DraftMethod::mtp, model, nullptr)), InputError);
}

BOOST_AUTO_TEST_CASE(parts_sum_to_the_step) {
  check_parts(*make_roofline_timer(llama(), h100(), on_ranks(2, 300)));
  check_parts(*make_roofline_timer(load_model("mixtral-8x7b"), h100(), on_ranks(4, 0)));
  check_parts(*make_speculative_timer(
      make_roofline_timer(llama(), h100(), {}),
      make_model_drafter(
          make_roofline_timer(draft_pass_model(DraftMethod::eagle, llama(), nullptr), h100(), {}), {})));
  check_parts(*scaled_timer(make_roofline_timer(llama(), h100(), {}), 1.0371));
  check_parts(*make_affine_timer({.base_us = 100, .per_token_us = 1, .per_context_token_us = 0.1}));
}

BOOST_AUTO_TEST_SUITE_END()
