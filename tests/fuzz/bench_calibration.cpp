// A calibration of kvcast's own kernels: the file, its fits, and the timer that is made of them.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "hwmodels/bench_model.h"
#include "sim/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kvcast;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const CalibrationFile file = parse_calibration(text, "input");
    static_cast<void>(is_bench_calibration(file));
    const std::vector<BenchFit> fits = parse_bench_fits(file);
    for (const BenchFit& fit : fits) static_cast<void>(format_bench_fit(fit));
    ModelSpec model;
    model.name = "small";
    model.dtype = "float32";
    model.dtype_bytes = 4;
    model.hidden_size = 256;
    model.vocab_size = 2048;
    LayerSpec layer;
    layer.attention.heads = 4;
    layer.attention.kv_heads = 2;
    layer.attention.head_dim_k = layer.attention.head_dim_v = 64;
    layer.mlp.intermediate = 768;
    model.layers = {layer, layer};
    const std::unique_ptr<StepTimer> timer = make_bench_timer(fits, model, 1, model.dtype);
    const DecodeLine line = timer->decode(7, 1000);
    const StepCost step = timer->step({.tokens = 7, .sampled = 7, .decode_seqs = 7, .decode_context = 1000});
    KVCAST_CHECK(line.base.time.count() + 1000 * line.per_context_token.time.count() == step.time.count());
    static_cast<void>(
        timer->relative_error({.tokens = 7, .sampled = 7, .decode_seqs = 7, .decode_context = 1000}));
  } catch (const InputError&) {
  }
  return 0;
}
