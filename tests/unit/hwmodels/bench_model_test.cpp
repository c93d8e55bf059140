// Fits of kvcast's own kernels: known coefficients are found again, files read back, bad ones are refused,
// and the timer keeps the step timers' contract.
#include "hwmodels/bench_model.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "hwmodels/json_fields.h"
#include "sim/base/error.h"
#include "sim/base/rng.h"

namespace kvcast {
namespace {

MeasurementRecord record(const std::string& op, const std::string& shape, double us) {
  const std::string line =
      "{\"op\": \"" + op + "\", \"kernel\": \"" + (op == "sample" ? "greedy" : "") +
      "\", \"shape\": " + shape +
      ", \"dtype\": \"float32\", \"device\": {\"name\": \"cpu\"}, \"ns\": {\"n\": 9, \"median\": " +
      std::to_string(us * 1e3) + "}}";
  return read_measurement_record(parse_json(line, "test"), "test");
}

std::string members(std::initializer_list<std::pair<const char*, std::int64_t>> list) {
  std::string text;
  for (const auto& [name, value] : list)
    text += std::string(text.empty() ? "" : ", ") + "\"" + name + "\": " + std::to_string(value);
  return "{" + text + "}";
}

/// Records of a device that follows the forms exactly, but for a relative noise.
std::vector<MeasurementRecord> synthetic(double noise) {
  RandomStream random(3, "noise");
  const auto spread = [&] { return 1 + noise * random.normal(); };
  std::vector<MeasurementRecord> records;
  const std::pair<std::int64_t, std::int64_t> sites[] = {
      {512, 256}, {256, 256}, {1536, 256}, {256, 768}, {2048, 256}};
  for (const auto& [n, k] : sites) {
    for (const std::int64_t m : {1, 2, 4, 8, 16, 32, 64, 128, 192}) {
      const double us = 0.5 + 2e-5 * static_cast<double>(n * k) + 4e-5 * static_cast<double>(m * n * k);
      records.push_back(record("gemm", members({{"m", m}, {"n", n}, {"k", k}}), us * spread()));
    }
  }
  for (const std::int64_t batch : {1, 2, 4, 8, 16, 32}) {
    for (const std::int64_t context : {16, 64, 256, 1000}) {
      const double us = 2 + 0.3 * static_cast<double>(batch) + 0.1 * static_cast<double>(batch * context);
      records.push_back(record("decode_attention",
                               members({{"heads", 4},
                                        {"kv_heads", 2},
                                        {"head_size", 64},
                                        {"batch", batch},
                                        {"context_sum", batch * context}}),
                               us * spread()));
    }
  }
  for (const std::int64_t q : {2, 8, 24, 64, 128}) {
    for (const std::int64_t past : {0, 64, 256, 700}) {
      const double us =
          3 + 0.01 * static_cast<double>(past + q) + 0.06 * static_cast<double>(q * past + q * (q + 1) / 2);
      records.push_back(record(
          "prefill_attention",
          members(
              {{"heads", 4}, {"kv_heads", 2}, {"head_size", 64}, {"batch", 1}, {"q_len", q}, {"past", past}}),
          us * spread()));
    }
  }
  for (const std::int64_t n : {1, 2, 4, 8, 16, 64, 128, 192}) {
    const double us = 0.2 + 0.05 * static_cast<double>(n);
    records.push_back(record(
        "append", members({{"heads", 4}, {"kv_heads", 2}, {"head_size", 64}, {"tokens", n}}), us * spread()));
    records.push_back(record("rms_norm", members({{"rows", n}, {"width", 256}}), us * spread()));
    records.push_back(record("silu_mul", members({{"rows", n}, {"width", 768}}), us * spread()));
    records.push_back(record("embed", members({{"rows", n}, {"width", 256}}), us * spread()));
    records.push_back(record("sample", members({{"rows", n}, {"vocabulary", 2048}}), us * spread()));
  }
  return records;
}

const BenchFit& find(const std::vector<BenchFit>& fits, const std::string& op, const std::string& form) {
  for (const BenchFit& fit : fits)
    if (fit.op == op && fit.form == form) return fit;
  throw std::runtime_error("no fit of " + op);
}

ModelSpec small_model(std::int64_t hidden = 256) {
  ModelSpec model = parse_model(
      "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": " +
          std::to_string(hidden) +
          ", \"intermediate_size\": 768, \"num_hidden_layers\": 3, \"num_attention_heads\": 4, "
          "\"num_key_value_heads\": 2, "
          "\"head_dim\": 64, \"vocab_size\": 2048, \"max_position_embeddings\": 2048, \"rms_norm_eps\": "
          "1e-05, "
          "\"hidden_act\": \"silu\", \"tie_word_embeddings\": false, \"torch_dtype\": \"float32\"}",
      "small");
  set_dtype(model, "float32");
  return model;
}

CalibrationFile file_of(const std::vector<BenchFit>& fits,
                        const std::string& suite = ", \"suite\": \"kvcast-bench\"") {
  CalibrationHeader header;
  header.kind = "kernels";
  header.device = "cpu";
  header.source = "test";
  std::string text = format_calibration_header(header, suite) + "\n";
  for (const BenchFit& fit : fits) text += format_bench_fit(fit) + "\n";
  return parse_calibration(text, "cal.jsonl");
}

bool refused(const std::string& fit_line, const std::string& part) {
  const std::string text =
      "{\"calibration\": {\"schema_version\": 1, \"kind\": \"kernels\", \"device\": {\"name\": \"cpu\"}, "
      "\"source\": \"test\", \"suite\": \"kvcast-bench\"}}\n" +
      fit_line + "\n";
  try {
    static_cast<void>(parse_bench_fits(parse_calibration(text, "cal.jsonl")));
  } catch (const InputError& error) {
    const std::string message = error.what();
    BOOST_TEST_INFO(message);
    return message.find("cal.jsonl:2:") == 0 && message.find(part) != std::string::npos &&
           error.code() == ExitCode::bad_data;
  }
  return false;
}

BOOST_AUTO_TEST_SUITE(bench_model)

BOOST_AUTO_TEST_CASE(coefficients_are_found_again) {
  const BenchCalibration exact = fit_bench_records(synthetic(0), "test");
  const BenchFit& decode = find(exact.fits, "decode_attention", "sum");
  BOOST_TEST(std::abs(decode.us[0] - 2) < 0.02);
  BOOST_TEST(std::abs(decode.us[1] - 0.3) < 0.003);
  BOOST_TEST(std::abs(decode.us[2] - 0.1) < 0.001);
  for (const BenchHoldOutRow& row : exact.hold_out) {
    if (row.op != "gemm") BOOST_TEST(row.errors.median < 0.01);
  }
  const BenchCalibration noisy = fit_bench_records(synthetic(0.02), "test");
  const BenchFit& again = find(noisy.fits, "decode_attention", "sum");
  BOOST_TEST(std::abs(again.us[2] / 0.1 - 1) < 0.03);
  // The truth lies within a few standard errors.
  BOOST_TEST(std::abs(again.us[2] - 0.1) < 4 * again.us_error[2]);
  BOOST_TEST(again.relative_error > 0.003);
  BOOST_TEST(again.relative_error < 0.08);
}

BOOST_AUTO_TEST_CASE(points_are_held_out_of_the_fit_that_judges_them) {
  const BenchCalibration calibration = fit_bench_records(synthetic(0), "test");
  std::int64_t held_out = 0, all = 0;
  for (const BenchPoint& point : calibration.points) {
    held_out += point.held_out ? 1 : 0;
    ++all;
  }
  BOOST_TEST(held_out * 5 > all / 2);
  BOOST_TEST(held_out * 5 < all * 2);
  std::int64_t in_table = 0;
  for (const BenchHoldOutRow& row : calibration.hold_out) in_table += row.errors.points;
  BOOST_TEST(in_table == held_out);
}

BOOST_AUTO_TEST_CASE(one_device_only) {
  std::vector<MeasurementRecord> records = synthetic(0);
  records.back().device.name = "other";
  BOOST_CHECK_THROW(static_cast<void>(fit_bench_records(records, "test")), InputError);
}

BOOST_AUTO_TEST_CASE(files_read_back) {
  const std::vector<BenchFit> fits = fit_bench_records(synthetic(0.01), "test").fits;
  const CalibrationFile file = file_of(fits);
  BOOST_TEST(is_bench_calibration(file));
  BOOST_TEST(!is_bench_calibration(file_of(fits, "")));
  const std::vector<BenchFit> again = parse_bench_fits(file);
  BOOST_TEST(again.size() == fits.size());
  for (std::size_t i = 0; i < fits.size(); ++i)
    BOOST_TEST(format_bench_fit(again[i]) == format_bench_fit(fits[i]));
}

BOOST_AUTO_TEST_CASE(malformed_fits_are_refused) {
  const std::string tail =
      "\"range_min\": [1], \"range_max\": [2], \"relative_error\": 0.1, \"hold_out\": {\"points\": 1, "
      "\"median\": 0, "
      "\"p90\": 0, \"p99\": 0}}}";
  const auto line = [&tail](const std::string& head) {
    return "{\"fit\": {\"kernel\": \"\", \"dtype\": \"float32\", \"constants\": {}, " + head + ", " + tail;
  };
  BOOST_TEST(refused(line("\"op\": \"conv\", \"form\": \"sum\", \"terms\": [\"call\"], \"us\": [1]"),
                     "unknown operator"));
  BOOST_TEST(
      refused(line("\"op\": \"append\", \"form\": \"sum\", \"terms\": [\"call\"], \"us\": [1]"), "terms"));
  BOOST_TEST(refused(
      line("\"op\": \"append\", \"form\": \"sum\", \"terms\": [\"call\", \"tokens\"], \"us\": [1]"), "us"));
  BOOST_TEST(refused(line("\"op\": \"append\", \"form\": \"line\", \"us\": [1]"), "unknown form"));
  BOOST_TEST(refused(line("\"op\": \"gemm\", \"form\": \"curve\", \"rows\": [1, 2], \"us\": [2, 1]"),
                     "must not fall"));
  BOOST_TEST(
      refused(line("\"op\": \"gemm\", \"form\": \"curve\", \"rows\": [2, 2], \"us\": [1, 1]"), "must rise"));
  BOOST_TEST(
      refused(line("\"op\": \"gemm\", \"form\": \"curve\", \"rows\": [1], \"us\": [1, 2]"), "values for"));
  BOOST_TEST(refused(
      line("\"op\": \"append\", \"form\": \"sum\", \"terms\": [\"call\", \"tokens\"], \"us\": [1, -2]"),
      "us"));
}

BOOST_AUTO_TEST_CASE(a_step_is_the_sum_of_its_kernels) {
  const std::vector<BenchFit> fits = fit_bench_records(synthetic(0), "test").fits;
  const std::unique_ptr<StepTimer> timer = make_bench_timer(fits, small_model(), 1, "float32");
  const auto gemm = [](double m, double n, double k) { return 0.5 + 2e-5 * n * k + 4e-5 * m * n * k; };
  const double row = 0.2 + 0.05 * 4;
  const double layer = gemm(4, 512, 256) + gemm(4, 256, 256) + gemm(4, 1536, 256) + gemm(4, 256, 768) +
                       2 * row + row + row + (2 + 0.3 * 4 + 0.1 * 1000);
  const double expected = 3 * layer + 2 * row + gemm(4, 2048, 256) + row;
  const StepShape shape{.tokens = 4, .sampled = 4, .decode_seqs = 4, .decode_context = 1000};
  const double us = static_cast<double>(timer->step(shape).time.count()) / (1e3 * (1 << kFineBits));
  BOOST_TEST(std::abs(us / expected - 1) < 0.01);
  BOOST_TEST(timer->relative_error(shape) > 0);
  BOOST_TEST(timer->relative_error(shape) < 0.05);
}

BOOST_AUTO_TEST_CASE(the_timer_keeps_its_contract) {
  const std::vector<BenchFit> fits = fit_bench_records(synthetic(0.02), "test").fits;
  const std::unique_ptr<StepTimer> timer = make_bench_timer(fits, small_model(), 1, "float32");
  RandomStream random(1, "shapes");
  for (int i = 0; i < 300; ++i) {
    const std::int64_t n = random.integer(1, 300), context = random.integer(n, n * 2000);
    const DecodeLine line = timer->decode(n, context);
    BOOST_TEST_REQUIRE(context <= line.context_max);
    const StepCost step =
        timer->step({.tokens = n, .sampled = n, .decode_seqs = n, .decode_context = context});
    BOOST_TEST(line.base.time.count() + context * line.per_context_token.time.count() == step.time.count());
    BOOST_TEST(line.base.hbm_bytes + context * line.per_context_token.hbm_bytes == step.hbm_bytes);
    BOOST_TEST(line.base.flop + context * line.per_context_token.flop == step.flop);

    StepShape shape{.tokens = random.integer(1, 400),
                    .sampled = random.integer(0, 30),
                    .decode_seqs = random.integer(0, 30),
                    .decode_context = random.integer(0, 9999),
                    .prefill_seqs = random.integer(0, 4),
                    .prefill_context = random.integer(0, 2000),
                    .prefill_pairs = random.integer(0, 99999)};
    const auto before = timer->step(shape).time;
    std::int64_t* counts[] = {&shape.tokens,         &shape.sampled,      &shape.decode_seqs,
                              &shape.decode_context, &shape.prefill_seqs, &shape.prefill_context,
                              &shape.prefill_pairs};
    *counts[static_cast<std::size_t>(random.integer(0, 6))] += random.integer(1, 50);
    BOOST_TEST((timer->step(shape).time >= before));
  }
}

BOOST_AUTO_TEST_CASE(other_models_are_refused_with_the_reason) {
  const std::vector<BenchFit> fits = fit_bench_records(synthetic(0), "test").fits;
  const auto message = [&fits](const ModelSpec& model, std::int64_t tp) -> std::string {
    try {
      static_cast<void>(make_bench_timer(fits, model, tp, "float32"));
      return "";
    } catch (const InputError& error) {
      return error.what();
    }
  };
  BOOST_TEST(message(small_model(), 1) == "");
  BOOST_TEST(message(small_model(), 2).find("tensor_parallel_size must be 1, not 2") != std::string::npos);
  // Matrix products of other shapes are taken from the sum over all sites, norms of other widths by their
  // bytes; attention of other heads is not there.
  BOOST_TEST(message(small_model(320), 1) == "");
  ModelSpec heads = small_model();
  for (LayerSpec& layer : heads.layers) layer.attention.kv_heads = 4;
  BOOST_TEST(message(heads, 1).find("decode_attention in float32 with heads 4, kv_heads 4, head_size 64") !=
             std::string::npos);
  BOOST_TEST(message(load_model("gpt-oss-20b"), 1).find("sliding_window") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast
