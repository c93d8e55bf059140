// The GPU and engine catalogues: every entry is complete, defaults follow the GPU, wrong names are met with
// the right ones.
#include <boost/test/unit_test.hpp>
#include <set>

#include "hwmodels/engine_profile.h"
#include "hwmodels/gpu_spec.h"
#include "sim/base/error.h"

namespace kvcast {
namespace {

template <class Action>
std::string message_of(const Action& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

GpuSpec gpu_of(const std::string& yaml) {
  Config config = Config::from_text(yaml, "s.yaml");
  GpuSpec gpu = read_gpu(config, "gpu", "h100-sxm");
  config.finish();
  return gpu;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu_catalogue)

BOOST_AUTO_TEST_CASE(every_entry_is_complete) {
  std::set<std::string> names;
  for (const GpuSpec& gpu : list_gpus()) {
    BOOST_TEST_CONTEXT(gpu.name) {
      names.insert(gpu.name);
      BOOST_TEST(gpu.sources.size() >= 2U);
      BOOST_TEST(gpu.price_source != "");
      BOOST_TEST(gpu.price_per_hour > 0);
      BOOST_TEST(
          (gpu.sm_count > 0 && gpu.link_gb_per_s > 0 && gpu.link_latency_us > 0 && gpu.pcie_gb_per_s > 0));
      BOOST_TEST(gpu.flop_per_s("fp8") >= gpu.flop_per_s("bf16"));
      BOOST_TEST(gpu.flop_per_s("fp4") >= gpu.flop_per_s("fp8"));
      BOOST_TEST(gpu.flop_per_s("bf16") == gpu.flop_per_s("fp16"));
      BOOST_TEST(gpu.flop_per_s("bf16") > gpu.flop_per_s("fp32"));
    }
  }
  for (const char* name : {"a100-40-sxm", "a100-80-sxm", "h100-sxm", "h100-pcie", "h100-nvl", "h200", "b200",
                           "l40s", "l4", "a10g", "rtx-4090", "rtx-pro-6000", "mi300x"}) {
    BOOST_TEST(names.count(name) == 1U);
  }
}

BOOST_AUTO_TEST_CASE(narrow_dtypes_fall_back_to_wider_units) {
  BOOST_TEST(find_gpu("a100-80-sxm", "x").flop_per_s("fp8") ==
             312e12);  // no fp8 units: dequantised into bf16
  BOOST_TEST(find_gpu("h100-sxm", "x").flop_per_s("fp4") == 1978.9e12);
  BOOST_TEST(find_gpu("b200", "x").flop_per_s("fp4") == 9000e12);
}

BOOST_AUTO_TEST_CASE(unknown_names) {
  const std::string message = message_of([] { static_cast<void>(gpu_of("gpu: h100-smx")); });
  BOOST_TEST(message.find("s.yaml:1:6: unknown GPU \"h100-smx\" (known: a100-40-pcie, ") == 0U);
  BOOST_TEST(message.find("did you mean h100-sxm?") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(devices_are_found_by_what_drivers_call_them) {
  BOOST_TEST(gpu_of_device("NVIDIA H100 80GB HBM3").value().name == "h100-sxm");
  BOOST_TEST(gpu_of_device("h200").value().name == "h200");
  BOOST_TEST(gpu_of_device("NVIDIA H100 SXM5 80 GB").value().name == "h100-sxm");
  BOOST_TEST(!gpu_of_device("NVIDIA H100").has_value());
  BOOST_TEST(!gpu_of_device("").has_value());  // AMD's entries have no driver name
  for (const GpuSpec& gpu : list_gpus()) {
    if (gpu.vendor == "nvidia") BOOST_TEST(gpu_of_device(gpu.driver_name).value().name == gpu.name);
  }
}

BOOST_AUTO_TEST_CASE(mappings) {
  const GpuSpec own =
      gpu_of("gpu: {name: mine, memory_gib: 10, bandwidth_gb_per_s: 500, tflops: {bf16: 50}}");
  BOOST_TEST(own.memory_bytes() == std::int64_t{10} << 30);
  BOOST_TEST(own.flop_per_s("bf16") == 50e12);
  BOOST_TEST(!own.from_catalogue);
  const GpuSpec changed = gpu_of("gpu: {name: slow-h100, base: h100-sxm, bandwidth_gb_per_s: 2000}");
  BOOST_TEST(changed.bandwidth_gb_per_s == 2000);
  BOOST_TEST(changed.flop_per_s("bf16") == 989.4e12);
  BOOST_TEST(message_of([] {
               static_cast<void>(gpu_of("gpu: {name: mine, memory_gib: 10, bandwidth_gb_per_s: 500}"));
             }).find("tflops") != std::string::npos);
  BOOST_TEST(message_of([] {
               static_cast<void>(gpu_of("gpu: {name: mine, bandwidth_gb_per_s: 500, tflops: {bf16: 1}}"));
             }).find("memory_gib") != std::string::npos);
  BOOST_TEST(message_of([] {
               static_cast<void>(gpu_of("gpu: {name: h200, tflops: {bf61: 1}}"));
             }).find("did you mean bf16?") != std::string::npos);
  BOOST_TEST(message_of([] { static_cast<void>(gpu_of("gpu: {name: h200, memory: 1}")); }).find("memory") !=
             std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(engine_profiles)

BOOST_AUTO_TEST_CASE(every_profile_loads) {
  BOOST_TEST(list_engine_profiles().size() >= 6U);
  for (const EngineProfileName& entry : list_engine_profiles()) {
    const EngineProfile profile = load_engine_profile(entry.name, find_gpu("h100-sxm", "x"));
    BOOST_TEST(profile.summary == entry.summary);
    BOOST_TEST((profile.block_size > 0 && profile.mla_block_size > 0 && !profile.sources.empty() &&
                !profile.host_overhead_source.empty()));
  }
}

BOOST_AUTO_TEST_CASE(defaults_follow_the_gpu) {
  const auto profile = [](const char* name, const char* gpu) {
    return load_engine_profile(name, find_gpu(gpu, "x"));
  };
  BOOST_TEST(profile("vllm-0.32", "h100-sxm").max_num_seqs == 1024);
  BOOST_TEST(profile("vllm-0.32", "h100-sxm").max_num_batched_tokens == 8192);
  BOOST_TEST(profile("vllm-0.32", "a100-80-sxm").max_num_seqs == 256);  // not the A100, whatever its memory
  BOOST_TEST(profile("vllm-0.32", "a100-80-sxm").max_num_batched_tokens == 2048);
  BOOST_TEST(profile("vllm-0.32", "l4").max_num_batched_tokens == 2048);
  BOOST_TEST(profile("vllm-0.32", "b200").max_num_batched_tokens == 16384);  // 160 GiB and more, new in 0.32
  BOOST_TEST(profile("vllm-0.24", "b200").max_num_batched_tokens == 8192);
}

BOOST_AUTO_TEST_CASE(versions_differ) {
  const auto profile = [](const char* name) { return load_engine_profile(name, find_gpu("h100-sxm", "x")); };
  BOOST_TEST(profile("vllm-0.19").gpu_memory_utilization == 0.90);
  BOOST_TEST(profile("vllm-0.24").gpu_memory_utilization == 0.92);
  BOOST_TEST(!profile("vllm-0.19").subtracts_cuda_graphs);
  BOOST_TEST(profile("vllm-0.24").subtracts_cuda_graphs);
  BOOST_TEST(!profile("vllm-0.11").async_scheduling);
  BOOST_TEST((profile("vllm-0.19").token_formula == TokenFormula::blocks_per_groups));
  const std::string message = message_of(
      [] { static_cast<void>(load_engine_profile("vllm-0.3", find_gpu("h100-sxm", "x"), "s.yaml:2:3")); });
  BOOST_TEST(message.find("s.yaml:2:3: unknown engine profile \"vllm-0.3\" (known: hf-static, sglang-0.5, "
                          "tensorrt-llm-1, vllm-0.11, ") == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace kvcast
