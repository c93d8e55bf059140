// Laws of the step timers: closed forms, decode() equals step(), nothing gets faster by adding work or slower
// on a faster GPU.
#include "hwmodels/roofline_timer.h"

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <random>

#include "hwmodels/affine_timer.h"
#include "hwmodels/kv_layout.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

GpuSpec h100() { return find_gpu("h100-sxm", "test"); }

std::unique_ptr<RooflineTimer> timer_of(const std::string& model, std::int64_t tp = 1, bool cache = true) {
  TimerOptions options;
  options.tensor_parallel_size = tp;
  options.enable_kv_cache = cache;
  options.host_overhead_us = 10;
  return make_roofline_timer(load_model(model), h100(), options);
}

StepShape decode_shape(std::int64_t seqs, std::int64_t context) {
  StepShape shape;
  shape.tokens = shape.sampled = shape.decode_seqs = seqs;
  shape.decode_context = context;
  return shape;
}

double seconds(FineDuration time) { return static_cast<double>(time.count()) / (1e9 * (1 << kFineBits)); }

/// Models of every layer kind the timer knows.
const std::vector<std::string> kModels = {"llama-3.1-8b", "qwen3-30b-a3b", "deepseek-v3", "gpt-oss-20b",
                                          "llama-2-7b"};

std::int64_t log_uniform(std::mt19937_64& random, std::int64_t max) {
  const double value =
      std::exp(std::uniform_real_distribution<double>(0, std::log(static_cast<double>(max) + 1))(random)) - 1;
  return std::min(max, static_cast<std::int64_t>(value));
}

StepShape random_shape(std::mt19937_64& random) {
  StepShape shape;
  shape.decode_seqs = log_uniform(random, 1024);
  shape.decode_context = shape.decode_seqs == 0 ? 0 : shape.decode_seqs + log_uniform(random, 10'000'000);
  shape.prefill_seqs = log_uniform(random, 64);
  const std::int64_t chunk = shape.prefill_seqs == 0 ? 0 : shape.prefill_seqs + log_uniform(random, 16384);
  shape.prefill_context = chunk + (chunk == 0 ? 0 : log_uniform(random, 1'000'000));
  shape.prefill_pairs = chunk == 0 ? 0 : chunk + log_uniform(random, 1'000'000'000);
  shape.tokens = shape.decode_seqs + chunk;
  shape.sampled = shape.decode_seqs + shape.prefill_seqs;
  return shape;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(roofline_timer)

BOOST_AUTO_TEST_CASE(decoding_one_sequence_costs_the_weights_and_the_cache_read_once) {
  const ModelSpec model = load_model("llama-3.1-8b");
  const auto timer = timer_of("llama-3.1-8b");
  const std::int64_t context = 8192;
  const StepCost cost = timer->step(decode_shape(1, context));
  // Every operator is memory-bound at one row, so that the time is all bytes over the bandwidth, and the
  // host's 10 us.
  const double expected = static_cast<double>(cost.hbm_bytes) / 3350e9 + 10e-6;
  BOOST_TEST(seconds(cost.time) == expected, boost::test_tools::tolerance(1e-7));
  // 8.03e9 parameters of 2 bytes without the embedding table, the cache, and activations of a fraction of a
  // percent.
  const double weights = 2.0 * (8030261248 - 128256.0 * 4096);
  const double cache = static_cast<double>(context * kv_bytes_per_token(model, 1, KvDtype::model));
  BOOST_TEST(static_cast<double>(cost.hbm_bytes) == weights + cache, boost::test_tools::tolerance(3e-3));
  BOOST_TEST(static_cast<double>(cost.flop) == weights - 2.0 * 65 * 4096 + 4.0 * 32 * 32 * 128 * context,
             boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(a_long_prompt_is_bound_by_compute) {
  const auto timer = timer_of("llama-3.1-8b");
  StepShape shape;
  const std::int64_t prompt = 8192;
  shape.tokens = shape.prefill_context = prompt;
  shape.prefill_seqs = shape.sampled = 1;
  shape.prefill_pairs = prompt * (prompt + 1) / 2;
  const StepCost cost = timer->step(shape);
  const double gemm = 2.0 * (8030261248 - 2 * 128256.0 * 4096 - 65 * 4096) * prompt;
  const double attention = 4.0 * 32 * 32 * 128 * static_cast<double>(shape.prefill_pairs);
  BOOST_TEST(static_cast<double>(cost.flop) == gemm + attention, boost::test_tools::tolerance(1e-3));
  BOOST_TEST(seconds(cost.time) > (gemm + attention) / 989.4e12);
  BOOST_TEST(seconds(cost.time) < 1.25 * (gemm + attention) / 989.4e12);  // elementwise operators come on top
  for (const OpCost& op : timer->breakdown(shape)) {
    if (op.name == "gate_up_proj" || op.name == "prefill_attention")
      BOOST_TEST(to_string(op.bound) == "compute");
    if (op.name == "rope_and_append" || op.name == "lm_head") BOOST_TEST(to_string(op.bound) == "memory");
  }
}

BOOST_AUTO_TEST_CASE(decode_equals_step_up_to_its_end) {
  std::mt19937_64 random(20251);
  for (const std::string& name : kModels) {
    const auto timer = timer_of(name);
    for (int round = 0; round < 300; ++round) {
      const std::int64_t seqs = 1 + log_uniform(random, 1023);
      const std::int64_t context = seqs + log_uniform(random, 20'000'000);
      const DecodeLine line = timer->decode(seqs, context);
      BOOST_REQUIRE(line.context_max >= context);
      const std::int64_t reach = std::min(line.context_max - context, std::int64_t{100'000'000});
      for (const std::int64_t at : {context, context + reach / 3, context + reach}) {
        const StepCost cost = timer->step(decode_shape(seqs, at));
        BOOST_REQUIRE(cost.time.count() == line.base.time.count() + line.per_context_token.time.count() * at);
        BOOST_REQUIRE(cost.hbm_bytes == line.base.hbm_bytes + line.per_context_token.hbm_bytes * at);
        BOOST_REQUIRE(cost.flop == line.base.flop + line.per_context_token.flop * at);
      }
    }
  }
}

/// So much for each logit of each sampled row, on every rank alike; nothing else changes.
BOOST_AUTO_TEST_CASE(sorting_logits_adds_their_time) {
  constexpr std::int64_t kVocabulary = 128'256;
  std::mt19937_64 random(8);
  for (const std::int64_t tp : {1, 4}) {
    TimerOptions options;
    options.tensor_parallel_size = tp;
    const auto greedy = make_roofline_timer(load_model("llama-3.1-8b"), h100(), options);
    options.sort_ns_per_logit = 0.25;
    const auto sorting = make_roofline_timer(load_model("llama-3.1-8b"), h100(), options);
    const std::int64_t each = kVocabulary * (std::int64_t{1} << kFineBits) / 4;
    for (int i = 0; i < 200; ++i) {
      const StepShape shape = random_shape(random);
      const StepCost with = sorting->step(shape), without = greedy->step(shape);
      BOOST_TEST((with.time - without.time).count() == shape.sampled * each);
      BOOST_TEST((with.hbm_bytes == without.hbm_bytes && with.flop == without.flop));
    }
  }
}

BOOST_AUTO_TEST_CASE(windows_bend_the_decode_line_where_they_fill) {
  const auto timer = timer_of("gpt-oss-20b");  // half of the layers see 128 tokens
  const std::int64_t seqs = 10;
  const DecodeLine before = timer->decode(seqs, 500);
  BOOST_TEST(before.context_max == 1280);
  const DecodeLine after = timer->decode(seqs, 1281);
  BOOST_TEST(after.per_context_token.hbm_bytes * 2 == before.per_context_token.hbm_bytes);
  BOOST_TEST(after.context_max > 1'000'000'000);
}

BOOST_AUTO_TEST_CASE(more_work_never_takes_less_time) {
  std::mt19937_64 random(7);
  constexpr std::int64_t StepShape::*kCounts[] = {&StepShape::tokens,       &StepShape::sampled,
                                                  &StepShape::decode_seqs,  &StepShape::decode_context,
                                                  &StepShape::prefill_seqs, &StepShape::prefill_context,
                                                  &StepShape::prefill_pairs};
  for (const std::string& name : kModels) {
    const auto timer = timer_of(name, 1);
    for (int round = 0; round < 2000; ++round) {
      const StepShape shape = random_shape(random);
      StepShape more = shape;
      std::int64_t& count = more.*kCounts[static_cast<std::size_t>(round) % std::size(kCounts)];
      count += 1 + log_uniform(random, 10'000);
      BOOST_REQUIRE(timer->step(more).time.count() >= timer->step(shape).time.count());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_faster_gpu_never_takes_longer) {
  std::mt19937_64 random(8);
  const ModelSpec model = load_model("qwen3-30b-a3b");
  TimerOptions options;
  options.tensor_parallel_size = 4;
  GpuSpec slow = h100();
  for (int variant = 0; variant < 4; ++variant) {
    GpuSpec fast = slow;
    if (variant == 0) fast.bandwidth_gb_per_s *= 1.3;
    if (variant == 1)
      for (auto& rate : fast.tflops) rate.second *= 1.3;
    if (variant == 2) fast.link_gb_per_s *= 1.3;
    if (variant == 3) fast.link_latency_us *= 0.7;
    const auto slower = make_roofline_timer(model, slow, options);
    const auto faster = make_roofline_timer(model, fast, options);
    for (int round = 0; round < 1000; ++round) {
      const StepShape shape = random_shape(random);
      BOOST_REQUIRE(faster->step(shape).time.count() <= slower->step(shape).time.count());
    }
  }
}

BOOST_AUTO_TEST_CASE(the_breakdown_sums_to_the_step) {
  std::mt19937_64 random(9);
  for (const std::string& name : kModels) {
    const auto timer = timer_of(name, name == "qwen3-30b-a3b" ? 4 : 1);
    for (int round = 0; round < 200; ++round) {
      const StepShape shape = random_shape(random);
      const StepCost step = timer->step(shape);
      StepCost sum;
      for (const OpCost& op : timer->breakdown(shape)) {
        sum.time += op.time;
        sum.hbm_bytes += op.bytes;
        sum.flop += op.flop;
      }
      BOOST_REQUIRE(sum.time.count() == step.time.count());
      BOOST_REQUIRE(sum.hbm_bytes == step.hbm_bytes);
      BOOST_REQUIRE(sum.flop == step.flop);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_step_touches_the_expected_number_of_distinct_experts) {
  const auto timer = timer_of("mixtral-8x7b");
  const auto bytes_of = [&](std::int64_t seqs) {
    for (const OpCost& op : timer->breakdown(decode_shape(seqs, seqs))) {
      if (op.name == "experts_down") return static_cast<double>(op.bytes);
    }
    return 0.0;
  };
  const double expert = 32.0 * 2 * 4096 * 14336;
  const double activations = 32.0 * 2 * 2 * (4096 + 14336);
  BOOST_TEST(bytes_of(1) == 2 * expert + activations, boost::test_tools::tolerance(1e-6));
  BOOST_TEST(bytes_of(3) == 8 * (1 - 0.75 * 0.75 * 0.75) * expert + 3 * activations,
             boost::test_tools::tolerance(1e-6));
  BOOST_TEST(bytes_of(1000) == 8 * expert + 1000 * activations, boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(all_reduces_take_the_fastest_way) {
  const auto timer = timer_of("llama-3.1-70b", 4);
  for (const OpCost& op : timer->breakdown(decode_shape(64, 64L * 1000))) {
    if (op.name != "all_reduce") continue;
    // Two a layer, of 64 hidden states: two shots are the fastest, a launch of 1.8 us, three barriers of two
    // hops of 0.6 us, and 6/4 of the bytes over 450 GB/s, of which NCCL plans with 82.4 %.
    const double expected = 160 * (1.8e-6 + 6 * 0.6e-6 + 1.5 * 64 * 8192 * 2 / (450e9 * 0.824));
    BOOST_TEST(seconds(op.time) == expected, boost::test_tools::tolerance(1e-6));
    BOOST_TEST(to_string(op.bound) == "link");
    return;
  }
  BOOST_FAIL("no all_reduce in the breakdown");
}

BOOST_AUTO_TEST_CASE(without_a_cache_nothing_is_read_or_appended) {
  StepShape shape;
  shape.tokens = shape.prefill_context = 1000;
  shape.prefill_seqs = shape.sampled = 1;
  shape.prefill_pairs = 500'500;
  const std::int64_t with = timer_of("llama-2-7b")->step(shape).hbm_bytes;
  const std::int64_t without = timer_of("llama-2-7b", 1, false)->step(shape).hbm_bytes;
  BOOST_TEST(with - without == 2 * 1000 * 524288);  // one append and one read of 1,000 tokens
}

BOOST_AUTO_TEST_CASE(huge_shapes_saturate_without_overflow) {
  const auto timer = timer_of("llama-3.1-405b");
  StepShape shape;
  shape.tokens = shape.sampled = shape.decode_seqs = shape.prefill_seqs = std::int64_t{1} << 40;
  shape.decode_context = shape.prefill_context = std::int64_t{1} << 50;
  shape.prefill_pairs = std::int64_t{1} << 60;
  BOOST_TEST(timer->step(shape).time.count() == std::int64_t{1} << 62);
  const DecodeLine line = timer->decode(1 << 20, std::int64_t{1} << 55);
  BOOST_TEST(line.base.time.count() + line.per_context_token.time.count() * (std::int64_t{1} << 55) ==
             timer->step(decode_shape(1 << 20, std::int64_t{1} << 55)).time.count());
}

BOOST_AUTO_TEST_CASE(refusals) {
  TimerOptions options;
  options.tensor_parallel_size = 3;
  BOOST_CHECK_THROW(static_cast<void>(make_roofline_timer(load_model("llama-3.1-8b"), h100(), options)),
                    InputError);
  options.tensor_parallel_size = 2;
  GpuSpec lonely = h100();
  lonely.link_gb_per_s = 0;
  BOOST_CHECK_THROW(static_cast<void>(make_roofline_timer(load_model("llama-3.1-8b"), lonely, options)),
                    InputError);
}

BOOST_AUTO_TEST_CASE(speed_of_a_step) {
  const auto timer = timer_of("llama-3.1-8b");
  const StepShape shape = decode_shape(64, 64L * 1000);
  std::int64_t sum = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 200'000; ++i) {
    StepShape one = shape;
    one.decode_context += i;
    sum += timer->step(one).time.count() & 1;
  }
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  std::printf("step(): %.0f ns each (%lld)\n", took.count() / 200'000, static_cast<long long>(sum));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(affine_timer)

BOOST_AUTO_TEST_CASE(follows_the_formula) {
  const auto timer = make_affine_timer({.base_us = 5000, .per_token_us = 20, .per_context_token_us = 0.001});
  StepShape shape;
  shape.tokens = 100;
  shape.decode_context = 5000;
  shape.prefill_context = 2000;
  BOOST_TEST(timer->step(shape).time.count() >> kFineBits == 5'000'000 + 100 * 20'000 + 7000);
  const DecodeLine line = timer->decode(8, 800);
  BOOST_TEST(line.base.time.count() + 800 * line.per_context_token.time.count() ==
             timer->step(decode_shape(8, 800)).time.count());
}

BOOST_AUTO_TEST_CASE(bad_coefficients_are_refused) {
  BOOST_CHECK_THROW(static_cast<void>(make_affine_timer({.base_us = -1})), InputError);
  BOOST_CHECK_THROW(static_cast<void>(make_affine_timer({.per_token_us = std::nan("")})), InputError);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast
