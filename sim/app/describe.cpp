#include "sim/app/describe.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/format.h"

namespace kvcast {
namespace {

bool keeps_tokens(const LayerSpec& layer) {
  return layer.kind != LayerKind::recurrent && layer.kind != LayerKind::no_attention &&
         layer.kind != LayerKind::shared_kv;
}

/// "GQA 32/8 heads of 128", "MLA, 128 heads, latent 512 + 64".
std::string describe_attention(const LayerSpec& layer) {
  if (layer.kind == LayerKind::mla) {
    return fmt::format("MLA, {} heads, latent {} + {}", layer.mla.heads, layer.mla.kv_lora_rank,
                       layer.mla.rope_dim);
  }
  const AttentionShape& attention = layer.attention;
  const char* name = attention.kv_heads == attention.heads ? "MHA" : attention.kv_heads == 1 ? "MQA" : "GQA";
  return fmt::format("{} {}/{} heads of {}", name, attention.heads, attention.kv_heads, attention.head_dim_k);
}

/// "32 layers", "24 layers (12 with a window)", "48 layers (12 with a KV cache)".
std::string describe_layers(const std::vector<LayerSpec>& layers) {
  const auto windowed = std::count_if(layers.begin(), layers.end(), [](const LayerSpec& layer) {
    return layer.kind == LayerKind::sliding_window || layer.kind == LayerKind::chunked_local;
  });
  const auto cached = std::count_if(layers.begin(), layers.end(), keeps_tokens);
  std::string text = fmt::format("{} layer{}", layers.size(), layers.size() == 1 ? "" : "s");
  if (static_cast<std::size_t>(cached) < layers.size()) text += fmt::format(" ({} with a KV cache)", cached);
  if (windowed > 0) text += fmt::format(" ({} with a window)", windowed);
  return text;
}

}  // namespace

std::string describe_model(const ModelSpec& model) {
  std::string text = fmt::format("{}: {}", model.name, describe_layers(model.layers));
  const auto first = std::find_if(model.layers.begin(), model.layers.end(), keeps_tokens);
  if (first != model.layers.end()) text += ", " + describe_attention(*first);
  const ParameterCount count = count_parameters(model);
  if (count.total > 0)
    text += fmt::format(", {} B parameters", significant(static_cast<double>(count.total) / 1e9));
  if (count.active > 0 && count.active < count.total) {
    text += fmt::format(" ({} B active)", significant(static_cast<double>(count.active) / 1e9));
  }
  return text + ", " + model.dtype +
         (model.quantization.method.empty() ? "" : ", weights " + model.quantization.method);
}

std::string describe_gpu(const GpuSpec& gpu, const std::string& dtype) {
  const std::string rate = short_dtype(dtype);
  return fmt::format("{}: {} GiB, {} GB/s, {} TFLOP/s {}", gpu.title, significant(gpu.memory_gib),
                     grouped(static_cast<std::int64_t>(gpu.bandwidth_gb_per_s)),
                     significant(gpu.flop_per_s(rate) / 1e12), rate);
}

std::string describe_title(const ModelSpec& model, const GpuSpec& gpu, std::int64_t gpus) {
  return fmt::format("{} on {} x {}", model.name, gpus, gpu.title);
}

std::string describe_kv_dtype(const ModelSpec& model, const KvReport& kv) {
  return kv.dtype == "auto" ? model.dtype : kv.dtype;
}

std::string short_dtype(const std::string& dtype) {
  if (dtype == "bfloat16") return "bf16";
  if (dtype == "float16") return "fp16";
  if (dtype == "float32") return "fp32";
  return dtype;
}

std::vector<BudgetLine> budget_lines(const MemoryReport& report) {
  std::vector<BudgetLine> lines;
  for (const BudgetItem& item : report.budget) lines.push_back({item.item, item.bytes, item.source});
  return lines;
}

}  // namespace kvcast
