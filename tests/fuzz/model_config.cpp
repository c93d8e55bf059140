// The model parser: any bytes as a config.json; what it accepts must be sized or refused, on one rank and on
// several.
#include "hwmodels/memory_report.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "hwmodels/roofline_timer.h"
#include "sim/base/error.h"

namespace {

using kvcast::InputError;

/// Runs one use of the model; a refusal is as good as a result, but its message must say something.
template <class Use>
void attempt(const Use& use) {
  try {
    use();
  } catch (const InputError& error) {
    KVCAST_CHECK(!std::string_view(error.what()).empty());
  }
}

void size(const kvcast::ModelSpec& model, const kvcast::GpuSpec& gpu, std::int64_t ranks,
          kvcast::KvDtype dtype, bool given_bytes) {
  kvcast::MemoryOptions options;
  options.profile = kvcast::load_engine_profile("vllm-0.32", gpu);
  options.tensor_parallel_size = ranks;
  options.kv_cache_dtype = dtype;
  if (given_bytes) options.available_kv_bytes = std::int64_t{20} << 30;
  attempt([&] {
    const kvcast::MemoryReport report = kvcast::memory_report(model, gpu, options);
    KVCAST_CHECK(report.kv.blocks_total >= 0);
    KVCAST_CHECK(report.fits_max_model_len <= report.max_model_len);
    KVCAST_CHECK((report.status == kvcast::MemoryStatus::ok) == report.message.empty());
  });
}

void time(const kvcast::ModelSpec& model, const kvcast::GpuSpec& gpu) {
  attempt([&] {
    const auto timer = kvcast::make_roofline_timer(model, gpu, {});
    kvcast::StepShape shape;
    shape.tokens = shape.sampled = shape.decode_seqs = 8;
    shape.decode_context = 8000;
    const kvcast::DecodeLine line = timer->decode(8, 8000);
    KVCAST_CHECK(line.context_max >= 8000);
    KVCAST_CHECK(timer->step(shape).time.count() ==
                 line.base.time.count() + 8000 * line.per_context_token.time.count());
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
  if (size_bytes > 65536) return 0;  // longer files only take longer
  const std::string text(data, data + size_bytes);
  static const kvcast::GpuSpec gpu = kvcast::find_gpu("h100-sxm", "fuzz");
  attempt([&] {
    const kvcast::ModelSpec model = kvcast::parse_model(text, "fuzz.json");
    KVCAST_CHECK(!model.layers.empty());
    size(model, gpu, 1, kvcast::KvDtype::model, false);
    size(model, gpu, 2, kvcast::KvDtype::fp8_e4m3, true);
    size(model, gpu, 8, kvcast::KvDtype::int4, true);
    time(model, gpu);
  });
  return 0;
}
