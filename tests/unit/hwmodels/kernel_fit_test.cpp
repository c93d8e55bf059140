// Calibrations of kernels: their file, the tables that they come from, and that the fit finds what made the
// data.
#include "hwmodels/kernel_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "hwmodels/json_fields.h"
#include "sim/base/error.h"
#include "sim/base/rng.h"

namespace kvcast {
namespace {

constexpr const char* kHeader =
    R"({"calibration": {"schema_version": 1, "kind": "kernels", "device": {"name": "h100-sxm"}, "source": "a test"}})";

/// The message of the InputError that a call ends with; empty: it ends well.
template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

void check_refused(const std::string& text, const std::string& message) {
  const std::string got = refusal([&] { (void)KernelModel(parse_calibration(text, "c.jsonl")); });
  BOOST_TEST(got.find(message) != std::string::npos, "\"" << got << "\" does not say \"" << message << "\"");
}

constexpr const char* kGemmHeader = "framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency";
constexpr const char* kAttentionHeader =
    "framework,version,device,op_name,kernel_source,batch_size,isl,num_heads,num_key_value_heads,head_dim,"
    "beam_width,attn_dtype,kv_cache_dtype,step,window_size,latency";

/// Decode attention of a known form with 2 % noise, over the grid of published tables.
KernelSamples made_attention(const std::vector<double>& parameters) {
  const KernelForm* form = find_kernel_form("decode_attention");
  KernelSamples samples{{form, {128, 0, 2, 132}, {{"source", "made"}}}, {}};
  RandomStream random(7, "noise");
  for (double batch = 1; batch <= 512; batch *= 2) {
    for (double context = 2; context <= 65536; context *= 2) {
      for (const double kv_heads : {1., 4., 8.}) {
        for (const double group : {1., 4., 8.}) {
          KernelSample sample;
          sample.at = {batch, context, kv_heads * group, kv_heads};
          sample.us =
              form->time_us({sample.at.data(), samples.key.constants.data(), parameters.data(), false, 0}) *
              std::exp(0.02 * random.normal());
          samples.rows.push_back(sample);
        }
      }
    }
  }
  return samples;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(kernel_fit)

BOOST_AUTO_TEST_CASE(the_fit_finds_what_made_the_data) {
  const std::vector<double> truth = {9, 1.5, 3, 0.2, 40, 3000, 2.5, 36, 1.6};
  const KernelFits fits = fit_kernels({made_attention(truth)}, {});
  const KernelFit& fit = fits.kernels.front().fit;
  BOOST_TEST(fit.parameters[0] == 9, boost::test_tools::tolerance(0.05));     // launch
  BOOST_TEST(fit.parameters[2] == 3, boost::test_tools::tolerance(0.05));     // wave
  BOOST_TEST(fit.parameters[5] == 3000, boost::test_tools::tolerance(0.03));  // bandwidth
  BOOST_TEST(fits.kernels.front().holdout.median < 0.02);
  BOOST_TEST(fit.error_near < 0.03);
  BOOST_TEST(fit.parameter_errors[5] < 0.02);
  // Only rows that were held out are judged: 15 % of them.
  const auto share =
      static_cast<double>(fits.kernels.front().holdout.rows) / static_cast<double>(10 * 16 * 9);
  BOOST_TEST(share == 0.15, boost::test_tools::tolerance(0.05));
}

BOOST_AUTO_TEST_CASE(a_fit_reads_back_as_it_was_written) {
  const KernelFits fits = fit_kernels({made_attention({9, 1.5, 3, 0.2, 40, 3000, 2.5, 36, 1.6})}, {});
  const std::string text =
      std::string(kHeader) + "\n" + format_kernel_fit(fits.kernels.front().fit, "{}") + "\n";
  const KernelModel model(parse_calibration(text, "c.jsonl"));
  BOOST_REQUIRE(model.fits().size() == 1U);
  BOOST_TEST((model.fits().front().key == fits.kernels.front().fit.key));
  for (const double context : {100., 3000., 50000.}) {
    const double at[] = {16, context, 32, 8};
    BOOST_TEST(kernel_time(model.fits().front(), at, false).us ==
                   kernel_time(fits.kernels.front().fit, at, false).us,
               boost::test_tools::tolerance(0.005));
  }
  // Equal inputs give equal files.
  BOOST_TEST(format_kernel_fit(model.fits().front(), "{}") ==
             format_kernel_fit(fits.kernels.front().fit, "{}"));
}

BOOST_AUTO_TEST_CASE(the_residual_fades_to_the_form_and_its_error_grows) {
  const KernelFits fits = fit_kernels({made_attention({9, 1.5, 3, 0.2, 40, 3000, 2.5, 36, 1.6})}, {});
  KernelFit fit = fits.kernels.front().fit;
  fit.error_far = 0.5;
  const double near[] = {16, 1024, 32, 8}, far[] = {1e9, 1e12, 1e6, 1};
  const double form_far =
      fit.key.form->time_us({far, fit.key.constants.data(), fit.parameters.data(), true, 0});
  BOOST_TEST(kernel_time(fit, far, true).us == form_far, boost::test_tools::tolerance(0.01));
  BOOST_TEST(kernel_time(fit, far, true).error == 0.5, boost::test_tools::tolerance(0.01));
  BOOST_TEST(kernel_time(fit, near, true).error < 0.3);
}

BOOST_AUTO_TEST_CASE(cold_caches_are_never_faster) {
  const KernelForm* form = find_kernel_form("decode_attention");
  const double constants[] = {128, 0, 2, 132}, parameters[] = {9, 1.5, 3, 0.2, 40, 3000, 2.5, 36, 1.6};
  for (double context = 1; context < 1e6; context *= 3) {
    const double at[] = {8, context, 32, 8};
    BOOST_TEST(form->time_us({at, constants, parameters, true, 0}) >=
               form->time_us({at, constants, parameters, false, 0}));
  }
}

BOOST_AUTO_TEST_CASE(contexts_are_split_where_they_do_not_fill_the_gpu) {
  BOOST_TEST(attention_splits(8, 64, 132) > 1);     // 8 work items on 132 SMs
  BOOST_TEST(attention_splits(200, 64, 132) == 1);  // enough items
  BOOST_TEST(attention_splits(8, 4, 132) == 1);     // too short
  BOOST_TEST(attention_splits(1, 1000, 132) <= 32);
}

BOOST_AUTO_TEST_CASE(a_site_that_was_not_measured_takes_its_neighbours) {
  const KernelForm* form = find_kernel_form("gemm");
  KernelSamples samples{{form, {2}, {{"dtype", "bfloat16"}}}, {}};
  const double parameters[] = {5, 700, 2800, 2};
  for (const double n : {1024., 2048., 4096., 8192.}) {
    for (const double k : {1024., 4096., 8192.}) {
      for (double rows = 1; rows <= 8192; rows *= 2) {
        KernelSample sample;
        sample.at = {rows, n, k};
        sample.us =
            1.3 * form->time_us({sample.at.data(), samples.key.constants.data(), parameters, false, 0});
        samples.rows.push_back(sample);
      }
    }
  }
  const KernelFits fits = fit_kernels({samples}, {});
  const KernelFit& fit = fits.kernels.front().fit;
  const SiteCurve known(fit, {4096, 4096}), other(fit, {3000, 3000});
  BOOST_TEST(known.measured());
  BOOST_TEST(!other.measured());
  const double at[] = {512, 3000, 3000};
  BOOST_TEST(
      other.at(512).us == 1.3 * form->time_us({at, samples.key.constants.data(), parameters, false, 0}),
      boost::test_tools::tolerance(0.1));
  BOOST_TEST(other.at(512).error >= known.at(512).error);
  BOOST_TEST(std::any_of(fits.report.begin(), fits.report.end(),
                         [](const HoldoutLine& line) { return line.kernel == "gemm, whole sites"; }));
}

BOOST_AUTO_TEST_CASE(tables_become_points) {
  KernelTables tables(132);
  tables.begin("g.csv", kGemmHeader);
  tables.row("VLLM,0.24.0,NVIDIA H100 80GB HBM3,gemm,x,fp8,16,4096,8192,0.02", 2);
  tables.begin("d.csv", kAttentionHeader);
  tables.row(
      "VLLM,0.24.0,NVIDIA H100 80GB HBM3,generation_attention,fa3,4,1,32,8,128,1,bfloat16,fp8,1023,128,0.03",
      2);
  tables.row(
      "VLLM,0.24.0,NVIDIA H100 80GB HBM3,generation_attention,fa3,4,1,32,8,128,1,bfloat16,fp8,127,128,0.01",
      3);
  BOOST_REQUIRE(tables.samples().size() == 3U);
  BOOST_TEST(tables.samples()[0].rows[0].us == 20, boost::test_tools::tolerance(1e-9));
  BOOST_TEST(tables.samples()[1].rows[0].at[1] == 1024);    // step counts the tokens before the new one
  BOOST_TEST(tables.samples()[1].key.constants[1] == 128);  // window
  BOOST_TEST(tables.samples()[2].key.constants[1] == 0);    // a context within the window: the full kernel
  BOOST_TEST(tables.engines().front() == "vllm 0.24.0");
}

BOOST_AUTO_TEST_CASE(collectives_count_elements) {
  KernelTables tables(132);
  tables.begin("n.csv",
               "framework,version,device,op_name,kernel_source,nccl_dtype,num_gpus,message_size,latency");
  tables.row("TRTLLM,2.29.2,NVIDIA H100 80GB HBM3,all_reduce,NCCL,half,2,1048576,0.0279", 2);
  tables.row("TRTLLM,2.29.2,NVIDIA H100 80GB HBM3,all_reduce,NCCL,int8,2,1048576,0.0164", 3);
  BOOST_TEST(tables.samples()[0].rows[0].at[0] == 2 * 1048576);
  BOOST_TEST(tables.samples()[1].rows[0].at[0] == 1048576);
}

BOOST_AUTO_TEST_CASE(wrong_tables_are_refused_with_their_place) {
  const auto row = [](const std::string& header, const std::string& text) {
    return refusal([&] {
      KernelTables tables(132);
      tables.begin("t.csv", header);
      tables.row(text, 2);
    });
  };
  BOOST_TEST(refusal([] { KernelTables(1).begin("t.csv", "a,b,c"); }).find("no known table") !=
             std::string::npos);
  BOOST_TEST(refusal([] {
               KernelTables(1).begin("t.csv", "gemm_dtype,m,n,k");
             }).find("needs the column framework") != std::string::npos);
  BOOST_TEST(refusal([] { KernelTables(1).begin("t.csv", "m,m"); }).find("twice") != std::string::npos);
  BOOST_TEST(row(kGemmHeader, "V,1,H,gemm,x,bfloat16,16").find("t.csv:2:1") != std::string::npos);
  BOOST_TEST(row(kGemmHeader, "V,1,H,gemm,x,bfloat16,-3,1,1,1").find("t.csv:2:23: m") != std::string::npos);
  BOOST_TEST(row(kGemmHeader, "V,1,H,gemm,x,bfloat17,3,1,1,1").find("did you mean bfloat16") !=
             std::string::npos);
  BOOST_TEST(row(kGemmHeader, "V,1,H,gemm,x,bfloat16,3,1,1,0").find("latency") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(wrong_calibrations_are_refused_with_their_place) {
  const std::string header = std::string(kHeader) + "\n";
  check_refused("", "c.jsonl:1:1: the file is empty");
  check_refused("{\"fit\": {}}\n", "c.jsonl:1:1: the first line");
  check_refused("{\"calibration\": {\"schema_version\": 2}}\n", "c.jsonl:1:36: schema_version: this version");
  check_refused(header + "{\"fits\": {}}\n", "c.jsonl:2:10: unknown key \"fits\"");
  check_refused(header + "\n{\"fit\": {\"kernel\": \"gem\"}}\n", "did you mean gemm");
  check_refused(header + "{\"fit\": {\"kernel\": \"gemm\", \"constants\": {}}}\n",
                "weight_bytes: is missing");
  check_refused(header + "[1]\n", "each line is one object");
  check_refused(header + "{\"fit\": {\"kernel\": }}\n", "c.jsonl:2:20");
}

BOOST_AUTO_TEST_CASE(fields_are_strict) {
  const JsonValue value = parse_json("{\"a\": 1, \"b\": \"x\", \"c\": [1, 2.5]}", "f.json", 5);
  JsonFields fields(value, "f.json");
  BOOST_TEST(fields.integer("a", 0, 10) == 1);
  BOOST_TEST(refusal([&] { (void)fields.integer("a", 2, 10); }) ==
             "f.json:5:7: a: 1 is not between 2 and 10");
  BOOST_TEST(refusal([&] { (void)fields.integer("b"); }).find("expected an integer, found a string") !=
             std::string::npos);
  BOOST_TEST(refusal([&] { (void)fields.real("d"); }) == "f.json:5:1: d: is missing");
  BOOST_TEST(fields.reals("c").size() == 2U);
  BOOST_TEST(refusal([&] { JsonFields(value, "f.json").finish(); }).find("unknown key \"a\"") !=
             std::string::npos);
  BOOST_TEST(refusal([&] { fields.finish(); }).empty());
}

BOOST_AUTO_TEST_CASE(the_embedded_calibration_is_found_by_device_and_engine) {
  BOOST_TEST(find_calibration("kernels", "h100-sxm", "vllm").has_value());
  BOOST_TEST(!find_calibration("kernels", "h100-sxm", "sglang").has_value());
  BOOST_TEST(!find_calibration("steps", "h100-sxm", "vllm").has_value());
  BOOST_TEST(refusal([] { (void)load_calibration("h100"); }).find("h100-sxm-vllm-0.24") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast
