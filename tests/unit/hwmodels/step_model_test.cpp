// Fitted steps: their timer, their file, and the fit itself.
#include "hwmodels/step_model.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>

#include "hwmodels/scaled_timer.h"
#include "hwmodels/step_fit.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

const std::string kHeader =
    R"({"calibration": {"schema_version": 1, "kind": "steps", "device": {"name": "cpu"}, "source": "a test"}})"
    "\n";

StepModel model_of(std::vector<StepTerm> terms) {
  StepModel model;
  model.terms = std::move(terms);
  return model;
}

StepModel full_model() {
  return model_of({{StepCount::one, 0, 8459.03, 28},
                   {StepCount::tokens, 0, 271.7, 5},
                   {StepCount::tokens_over, 256, 1.25, 0.1},
                   {StepCount::sampled, 0, 165.5, 8},
                   {StepCount::decode_seqs, 0, 33.1, 3},
                   {StepCount::decode_context, 0, 0.5921, 0.03},
                   {StepCount::prefill_seqs, 0, 3457, 400},
                   {StepCount::prefill_context, 0, 0.77, 0.1},
                   {StepCount::prefill_pairs, 0, 0.148, 0.007}});
}

StepShape random_shape(std::mt19937_64& random) {
  const auto draw = [&](std::int64_t max) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(max + 1));
  };
  StepShape shape;
  shape.decode_seqs = draw(64);
  shape.decode_context = shape.decode_seqs * (1 + draw(2000));
  const std::int64_t chunk = draw(600);
  if (chunk > 0) {
    const std::int64_t cached = draw(1000);
    shape.prefill_seqs = 1;
    shape.prefill_context = chunk + cached;
    shape.prefill_pairs = chunk * cached + chunk * (chunk + 1) / 2;
  } else if (shape.decode_seqs == 0) {
    shape.decode_seqs = shape.decode_context = 1;
  }
  shape.tokens = shape.decode_seqs + chunk;
  shape.sampled = shape.decode_seqs + (chunk > 0 ? draw(1) : 0);
  return shape;
}

std::string message_of(const std::string& text) {
  try {
    static_cast<void>(parse_step_models(parse_calibration(text, "c.jsonl")));
  } catch (const InputError& error) {
    BOOST_CHECK(error.code() == ExitCode::bad_data);
    return error.what();
  }
  return "";
}

std::string fit_line(const std::string& rest) {
  return R"({"fit": {"form": "step", "steps": 100, )" + rest + "}}\n";
}

BOOST_AUTO_TEST_SUITE(step_model)

BOOST_AUTO_TEST_CASE(decode_line_equals_step) {
  const StepModel model = full_model();
  const auto plain = make_step_timer(model);
  const auto scaled = scaled_timer(*plain, 1.0731);
  for (const StepTimer* timer :
       {static_cast<const StepTimer*>(plain.get()), static_cast<const StepTimer*>(scaled.get())}) {
    for (const std::int64_t seqs : {1, 2, 7, 64, 1000}) {
      const DecodeLine line = timer->decode(seqs, seqs);
      for (const std::int64_t context : {seqs, seqs * 33, seqs * 4097}) {
        BOOST_REQUIRE(context <= line.context_max);
        const StepCost cost =
            timer->step({.tokens = seqs, .sampled = seqs, .decode_seqs = seqs, .decode_context = context});
        BOOST_TEST((line.base.time + line.per_context_token.time * context).count() == cost.time.count());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(more_work_never_takes_less_time) {
  const auto timer = make_step_timer(full_model());
  std::mt19937_64 random(7);
  for (int i = 0; i < 500; ++i) {
    const StepShape shape = random_shape(random);
    const FineDuration time = timer->step(shape).time;
    for (std::int64_t StepShape::*count :
         {&StepShape::tokens, &StepShape::sampled, &StepShape::decode_seqs, &StepShape::decode_context,
          &StepShape::prefill_seqs, &StepShape::prefill_context, &StepShape::prefill_pairs}) {
      StepShape more = shape;
      more.*count += 1;
      BOOST_REQUIRE(timer->step(more).time >= time);
    }
    BOOST_TEST(static_cast<double>(time.count()) / (1e3 * (1 << kFineBits)) == step_us(full_model(), shape),
               boost::test_tools::tolerance(1e-9));
  }
}

BOOST_AUTO_TEST_CASE(a_factor_scales_every_step) {
  const auto timer = make_step_timer(full_model());
  const auto twice = scaled_timer(*timer, 2);
  std::mt19937_64 random(8);
  for (int i = 0; i < 100; ++i) {
    const StepShape shape = random_shape(random);
    BOOST_TEST(twice->step(shape).time.count() == 2 * timer->step(shape).time.count());
  }
}

BOOST_AUTO_TEST_CASE(written_and_read_again) {
  StepModel model = full_model();
  model.name = "llama \"x\" 4";
  model.steps = 1399;
  model.drift = 0.074;
  model.drift_apart = 0.045;
  model.covariance.assign(model.terms.size() * model.terms.size(), 0.25);
  model.ranges = {{StepCount::tokens, 1, 2048}};
  model.errors = {{"all", 276, 0.0519, 0.117, -0.0035}};
  const CalibrationFile file = parse_calibration(kHeader + format_step_model(model) + "\n", "c.jsonl");
  const StepModel read = pick_step_model(file, "", "here");
  BOOST_TEST(read.name == model.name);
  BOOST_TEST(read.steps == 1399);
  BOOST_TEST(read.drift == 0.074);
  BOOST_TEST(read.drift_apart == 0.045);
  BOOST_TEST(read.terms.size() == model.terms.size());
  BOOST_TEST(read.terms[2].knee == 256);
  BOOST_TEST(read.ranges.front().max == 2048);
  BOOST_TEST(read.errors.front().bias == -0.0035);
  BOOST_TEST(format_step_model(read) == format_step_model(model));
}

BOOST_AUTO_TEST_CASE(standard_error_of_a_step) {
  StepModel model = model_of({{StepCount::one, 0, 100, 3}, {StepCount::tokens, 0, 10, 0.4}});
  model.covariance = {9, 0, 0, 0.16};
  model.drift = 0.03;
  // 5 tokens: 150 us, variance 9 + 25 * 0.16 = 13 us^2
  const double expected = std::sqrt(13.0 / (150.0 * 150.0) + 0.03 * 0.03);
  BOOST_TEST(make_step_timer(model)->relative_error({.tokens = 5}) == expected,
             boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(says_what_it_has_not_seen) {
  StepModel model = full_model();
  model.ranges = {{StepCount::decode_seqs, 1, 8}};
  const auto timer = make_step_timer(model);
  static_cast<void>(timer->decode(8, 100));
  BOOST_TEST(timer->unseen() == "");
  static_cast<void>(timer->decode(64, 6400));
  BOOST_TEST(timer->unseen() ==
             "50.0 % of the step compositions lie outside the log that the times were fitted to (decode_seqs "
             "up to 64, "
             "in the log 1 to 8)");
}

BOOST_AUTO_TEST_CASE(wrong_files_are_refused_in_their_place) {
  const std::string one = R"("terms": [{"count": "step", "us": 5}])";
  BOOST_TEST(message_of(kHeader + fit_line(one)) == "");
  BOOST_TEST(message_of(kHeader) == "c.jsonl:1:1: holds no fit");
  BOOST_TEST(message_of(kHeader + fit_line(one) + fit_line(one)) ==
             "c.jsonl:3:1: the fit \"\" is there twice");
  BOOST_TEST(message_of(kHeader + fit_line(R"("terms": [])")).find("a step takes time") != std::string::npos);
  BOOST_TEST(message_of(kHeader + fit_line(R"("terms": [{"count": "step", "us": -1}])")).find("c.jsonl:2:") ==
             0U);
  BOOST_TEST(message_of(kHeader + fit_line(R"("terms": [{"count": "stepp", "us": 1}])"))
                 .find("did you mean step?") != std::string::npos);
  BOOST_TEST(message_of(kHeader + fit_line(one + R"(, "covariance": [1, 2])")).find("1 terms need 1") !=
             std::string::npos);
  BOOST_TEST(message_of(kHeader + fit_line(one + R"(, "drfit": 0.1)")).find("drfit") != std::string::npos);
  const std::string kernels =
      R"({"calibration": {"schema_version": 1, "kind": "kernels", "device": {"name": "cpu"}, "source": "a test"}})";
  BOOST_TEST(message_of(kernels).find("kind kernels") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_file_of_several_fits_needs_a_name) {
  const std::string text = kHeader + fit_line(R"("name": "a 2", "terms": [{"count": "step", "us": 5}])") +
                           fit_line(R"("name": "b 4", "terms": [{"count": "step", "us": 7}])");
  const CalibrationFile file = parse_calibration(text, "c.jsonl");
  BOOST_TEST(pick_step_model(file, "b 4", "s:1:1").terms.front().us == 7);
  BOOST_CHECK_EXCEPTION(
      static_cast<void>(pick_step_model(file, "", "s:1:1")), InputError, [](const InputError& error) {
        return std::string(error.what()) ==
               "s:1:1: c.jsonl holds 2 fits: name one with engine.step_time.fit (known: a 2, b 4)";
      });
  BOOST_CHECK_THROW(static_cast<void>(pick_step_model(file, "c", "s:1:1")), InputError);
}

BOOST_AUTO_TEST_SUITE_END()

// ---- The fit ----------------------------------------------------------------------------------------------

/// Steps of a known machine. \param noise lognormal sigma of each step; \param disturbed share of steps that
/// take thrice as long; \param drift of the machine's speed, from stretch to stretch
std::vector<StepSample> steps_of(const StepModel& truth, int count, double noise, double disturbed,
                                 double drift, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  std::vector<StepSample> samples;
  double speed = 1;
  for (int i = 0; i < count; ++i) {
    if (i % 100 == 0) speed = std::exp(drift * normal(random));
    StepSample sample;
    sample.shape = random_shape(random);
    sample.start_us = 1e4 * i;
    sample.time_us = step_us(truth, sample.shape) * speed * std::exp(noise * normal(random));
    if (uniform(random) < disturbed) sample.time_us *= 3;
    samples.push_back(sample);
  }
  return samples;
}

BOOST_AUTO_TEST_SUITE(step_fit)

BOOST_AUTO_TEST_CASE(finds_an_exact_machine) {
  const StepModel truth = model_of({{StepCount::one, 0, 9000, 0},
                                    {StepCount::tokens, 0, 250, 0},
                                    {StepCount::decode_context, 0, 0.6, 0},
                                    {StepCount::prefill_pairs, 0, 0.15, 0}});
  const StepModel fit = fit_step_model(steps_of(truth, 2000, 0, 0, 0, 1), "x");
  BOOST_TEST(fit.name == "x");
  BOOST_TEST(fit.steps == 2000);
  std::mt19937_64 random(5);
  for (int i = 0; i < 200; ++i) {
    const StepShape shape = random_shape(random);
    BOOST_TEST(step_us(fit, shape) == step_us(truth, shape), boost::test_tools::tolerance(1e-3));
  }
}

BOOST_AUTO_TEST_CASE(noise_disturbances_and_drift_do_not_bend_it) {
  const StepModel truth = model_of({{StepCount::one, 0, 9000, 0},
                                    {StepCount::tokens, 0, 250, 0},
                                    {StepCount::decode_context, 0, 0.6, 0},
                                    {StepCount::prefill_pairs, 0, 0.15, 0}});
  const StepModel fit = fit_step_model(steps_of(truth, 5000, 0.05, 0.02, 0.08, 2), "");
  BOOST_TEST(fit.drift > 0.04);
  BOOST_TEST(fit.drift_apart > 0);
  std::mt19937_64 random(6);
  std::vector<double> ratios;
  for (int i = 0; i < 300; ++i) {
    const StepShape shape = random_shape(random);
    ratios.push_back(step_us(fit, shape) / step_us(truth, shape));
  }
  // One level, that of the average step (2 % of them take thrice as long, counted twice); the proportions are
  // the machine's.
  std::sort(ratios.begin(), ratios.end());
  BOOST_TEST(ratios[150] > 0.97);
  BOOST_TEST(ratios[150] < 1.08);
  BOOST_TEST(ratios[270] / ratios[30] < 1.05);
  BOOST_TEST(fit.covariance.size() == fit.terms.size() * fit.terms.size());
  for (const StepTerm& term : fit.terms) {
    BOOST_TEST(term.us > 0);
    BOOST_TEST(term.us_error > 0);
  }
}

BOOST_AUTO_TEST_CASE(equal_samples_give_equal_files) {
  const std::vector<StepSample> samples = steps_of(full_model(), 600, 0.1, 0.05, 0.05, 3);
  BOOST_TEST(format_step_model(fit_step_model(samples, "")) ==
             format_step_model(fit_step_model(samples, "")));
}

BOOST_AUTO_TEST_CASE(few_steps_are_refused) {
  const std::vector<StepSample> samples = steps_of(full_model(), 19, 0, 0, 0, 4);
  BOOST_CHECK_THROW(static_cast<void>(fit_step_model(samples, "")), InputError);
  BOOST_TEST(fit_step_model(steps_of(full_model(), 20, 0, 0, 0, 4), "").steps == 20);
}

BOOST_AUTO_TEST_CASE(errors_are_those_of_the_kinds_of_steps) {
  const StepModel model = model_of({{StepCount::one, 0, 1000, 0}});
  std::vector<StepSample> samples(4);
  for (StepSample& sample : samples)
    sample.shape = {.tokens = 1, .sampled = 1, .decode_seqs = 1, .decode_context = 1};
  samples[0].time_us = 1000;
  samples[1].time_us = 800;
  samples[2].time_us = 1250;
  samples[3].time_us = 20000;
  samples[3].shape = {
      .tokens = 50, .sampled = 1, .prefill_seqs = 1, .prefill_context = 50, .prefill_pairs = 1275};
  const std::vector<StepErrors> errors = step_errors(model, samples);
  BOOST_REQUIRE(errors.size() == 6U);  // all, decode, prefill, and three decades
  BOOST_TEST(errors[0].regime == "all");
  BOOST_TEST(errors[1].regime == "decode");
  BOOST_TEST(errors[1].steps == 3);
  BOOST_TEST(errors[1].median == 0.2, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(errors[2].regime == "prefill");
  BOOST_TEST(errors[2].bias == -0.95, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(errors[3].regime == "0.1 to 1 ms");
  BOOST_TEST(speed_against(model, samples) == (1000.0 + 800 + 1250) / 3000,
             boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
