#include "kernels/bench/cuda_device.h"
#include "kernels/common/kv_format.h"

namespace kvcast::bench {
namespace {

using kernels::KvType;

constexpr std::int64_t kPage = 16;
constexpr double kCacheBytesMax = 4e9;  // read by one execution

struct Heads {
  std::int64_t heads, kv_heads, head_size;
};

double row_bytes(KvType type, const Heads& shape) {
  const double scale = kernels::kv_has_scale(type) ? 4 : 0;
  return static_cast<double>(shape.kv_heads) *
         (2.0 * kernels::kv_row_bytes(type, static_cast<int>(shape.head_size)) + 2 * scale);
}

Case decode(KvType type, const Heads& shape, std::int64_t page, std::int64_t batch, std::int64_t context,
            bool ragged, std::int64_t q_len, std::int64_t window) {
  const std::int64_t seen = window > 0 && window < context ? window : context;
  const double queries = 2.0 * static_cast<double>(batch * q_len * shape.heads * shape.head_size) * 2;
  return {.op = "decode_attention",
          .dtype = kernels::kv_type_name(type),
          .shape = {{"heads", shape.heads},
                    {"kv_heads", shape.kv_heads},
                    {"head_size", shape.head_size},
                    {"page", page},
                    {"batch", batch},
                    {"context_sum", batch * context},
                    {"ragged", ragged ? 1 : 0},
                    {"q_len", q_len},
                    {"window", window}},
          .bytes = static_cast<double>(batch * seen) * row_bytes(type, shape) + queries,
          .flop = 4.0 * static_cast<double>(batch * seen * q_len * shape.heads * shape.head_size)};
}

Case prefill(KvType type, const Heads& shape, std::int64_t batch, std::int64_t q_len, std::int64_t past) {
  const double pairs = static_cast<double>(q_len) * static_cast<double>(past) +
                       static_cast<double>(q_len) * static_cast<double>(q_len + 1) / 2;
  return {.op = "prefill_attention",
          .dtype = kernels::kv_type_name(type),
          .shape = {{"heads", shape.heads},
                    {"kv_heads", shape.kv_heads},
                    {"head_size", shape.head_size},
                    {"page", kPage},
                    {"batch", batch},
                    {"q_len", q_len},
                    {"past", past}},
          .bytes = static_cast<double>(batch * (past + q_len)) * row_bytes(type, shape) +
                   4.0 * static_cast<double>(batch * q_len * shape.heads * shape.head_size),
          .flop = 4.0 * static_cast<double>(batch * shape.heads * shape.head_size) * pairs};
}

Case gemm(const char* dtype, std::int64_t m, std::int64_t n, std::int64_t k) {
  const double size = dtype == std::string("fp8_e4m3") ? 1 : 2;
  return {.op = "gemm",
          .variant = "cublaslt",
          .dtype = dtype,
          .shape = {{"m", m}, {"n", n}, {"k", k}},
          .bytes = size * static_cast<double>(m * k + n * k) + 2.0 * static_cast<double>(m * n),
          .flop = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k)};
}

Case rows(const char* op, std::int64_t count, std::int64_t width, std::int64_t passes) {
  return {.op = op,
          .dtype = "bfloat16",
          .shape = {{"rows", count}, {"width", width}},
          .bytes = 2.0 * static_cast<double>(count * width * passes)};
}

Case blocks(const char* op, const char* variant, std::int64_t count, std::int64_t block_bytes) {
  return {.op = op,
          .variant = variant,
          .dtype = "bytes",
          .shape = {{"blocks", count}, {"block_bytes", block_bytes}},
          .bytes = 2.0 * static_cast<double>(count * block_bytes)};
}

constexpr Heads kHeads[] = {{32, 8, 128}, {64, 8, 128}, {8, 1, 128}, {16, 8, 128},
                            {8, 8, 128},  {64, 8, 64},  {16, 4, 256}};

void add_decode(bool full, std::vector<Case>& cases) {
  const KvType types[] = {KvType::bf16, KvType::fp8_e4m3, KvType::int8, KvType::int4};
  const std::size_t shapes = full ? std::size(kHeads) : 2;
  for (std::size_t s = 0; s < shapes; ++s) {
    for (const KvType type : types) {
      for (const std::int64_t batch : {1, 4, 16, 64, 256}) {
        for (const std::int64_t context : {256, 1024, 4096, 16384, 65536, 131072}) {
          const Case one = decode(type, kHeads[s], kPage, batch, context, false, 1, 0);
          if (one.bytes <= kCacheBytesMax) cases.push_back(one);
        }
      }
    }
  }
  for (const std::int64_t page : {8, 32, 64, 128})
    for (const std::int64_t batch : {4, 64})
      cases.push_back(decode(KvType::bf16, kHeads[0], page, batch, 4096, false, 1, 0));
  for (const std::int64_t window : {128, 1024, 4096})
    for (const std::int64_t batch : {1, 16, 64})
      cases.push_back(decode(KvType::bf16, kHeads[0], kPage, batch, 16384, false, 1, window));
  for (const std::int64_t q_len : {2, 4, 8})
    for (const std::int64_t batch : {1, 16, 64})
      cases.push_back(decode(KvType::bf16, kHeads[1], kPage, batch, 4096, false, q_len, 0));
  for (const std::int64_t batch : {4, 16, 64, 256})
    for (const std::int64_t context : {512, 2048})
      cases.push_back(decode(KvType::bf16, kHeads[0], kPage, batch, context, true, 1, 0));
}

/// Latent attention of DeepSeek-V3's shape: one row of 512 + 64 channels for each token, shared by all heads.
void add_latent(bool full, std::vector<Case>& cases) {
  for (const KvType type : {KvType::bf16, KvType::fp8_e4m3}) {
    for (const std::int64_t heads : {16, 64, 128}) {
      if (!full && heads != 16) continue;
      for (const std::int64_t batch : {1, 4, 16, 64, 256}) {
        for (const std::int64_t context : {256, 1024, 4096, 16384, 65536}) {
          const double tokens = static_cast<double>(batch * context);
          Case one{.op = "mla_decode",
                   .dtype = kernels::kv_type_name(type),
                   .shape = {{"heads", heads},
                             {"kv_heads", 1},
                             {"head_size", 576},
                             {"page", 64},
                             {"batch", batch},
                             {"context_sum", batch * context},
                             {"q_len", 1}},
                   .bytes = tokens * kernels::kv_row_bytes(type, 576) +
                            2.0 * static_cast<double>(batch * heads * 1088),
                   .flop = 2.0 * tokens * static_cast<double>(heads * 1088)};
          if (one.bytes <= kCacheBytesMax) cases.push_back(one);
        }
      }
    }
  }
}

/// Prompts of the same models in the latent space: all heads of a token are rows of one cache.
void add_latent_prefill(bool full, std::vector<Case>& cases) {
  for (const KvType type : {KvType::bf16, KvType::fp8_e4m3}) {
    for (const std::int64_t heads : {16, 64, 128}) {
      if (!full && (heads != 16 || type != KvType::bf16)) continue;
      for (const std::int64_t q_len : {16, 128, 512, 2048, 8192}) {
        for (const std::int64_t past : {0, 4096, 32768}) {
          const double pairs = static_cast<double>(q_len * past + q_len * (q_len + 1) / 2);
          if (pairs * static_cast<double>(heads) > 5e9) continue;  // tens of milliseconds
          cases.push_back({.op = "mla_prefill",
                           .dtype = kernels::kv_type_name(type),
                           .shape = {{"heads", heads},
                                     {"kv_heads", 1},
                                     {"head_size", 576},
                                     {"page", 64},
                                     {"batch", 1},
                                     {"q_len", q_len},
                                     {"past", past}},
                           .bytes = static_cast<double>(past + q_len) * kernels::kv_row_bytes(type, 576) +
                                    2.0 * static_cast<double>(q_len * heads * 1088),
                           .flop = 2.0 * pairs * static_cast<double>(heads * 1088)});
        }
      }
    }
  }
}

void add_prefill(bool full, std::vector<Case>& cases) {
  const std::size_t shapes = full ? 5 : 1;
  for (std::size_t s = 0; s < shapes; ++s) {
    for (const KvType type : {KvType::bf16, KvType::fp8_e4m3}) {
      for (const std::int64_t q_len : {128, 512, 2048, 8192, 16384}) {
        for (const std::int64_t past : {0, 4096, 32768}) {
          for (const std::int64_t batch : {1, 4, 16})
            if (batch * q_len <= 32768) cases.push_back(prefill(type, kHeads[s], batch, q_len, past));
        }
      }
    }
  }
}

void add_gemm(bool full, std::vector<Case>& cases) {
  // Llama 3.1 8B at TP 1, 70B at TP 1, 4 and 8, Qwen2.5 7B and 32B, Mistral Nemo: qkv, output, gate-up, down,
  // head.
  const std::pair<std::int64_t, std::int64_t> sites[] = {
      {6144, 4096},  {4096, 4096},  {28672, 4096}, {4096, 14336}, {128256, 4096}, {10240, 8192},
      {8192, 8192},  {57344, 8192}, {8192, 28672}, {2560, 8192},  {8192, 2048},   {14336, 8192},
      {8192, 7168},  {1280, 8192},  {8192, 1024},  {7168, 8192},  {8192, 3584},   {4608, 3584},
      {3584, 3584},  {37888, 3584}, {3584, 18944}, {7168, 5120},  {5120, 5120},   {55296, 5120},
      {5120, 27648}, {6144, 5120},  {5120, 4096},  {28672, 5120}, {5120, 14336},  {131072, 5120}};
  const std::size_t count = full ? std::size(sites) : 5;
  for (std::size_t s = 0; s < count; ++s) {
    for (const char* dtype : {"bfloat16", "fp8_e4m3"}) {
      for (const std::int64_t m : {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384})
        if (full || m <= 4096) cases.push_back(gemm(dtype, m, sites[s].first, sites[s].second));
    }
  }
}

void add_rest(bool full, std::vector<Case>& cases) {
  const Heads shape = kHeads[0];
  for (const std::int64_t tokens : {1, 8, 64, 256, 1024, 4096, 16384, 32768}) {
    for (const KvType type : {KvType::bf16, KvType::fp8_e4m3, KvType::int8, KvType::int4, KvType::nf4}) {
      if (!full && type == KvType::nf4) continue;
      cases.push_back(
          {.op = "append",
           .dtype = kernels::kv_type_name(type),
           .shape = {{"heads", shape.heads},
                     {"kv_heads", shape.kv_heads},
                     {"head_size", shape.head_size},
                     {"page", kPage},
                     {"tokens", tokens}},
           .bytes = static_cast<double>(tokens) *
                    (row_bytes(type, shape) +
                     2.0 * static_cast<double>((2 * shape.heads + 2 * shape.kv_heads) * shape.head_size))});
    }
    for (const std::int64_t width : {4096, 8192}) cases.push_back(rows("rms_norm", tokens, width, 4));
    for (const std::int64_t width : {14336, 28672}) cases.push_back(rows("silu_mul", tokens, width, 3));
    cases.push_back(rows("embed", tokens, 4096, 2));
  }
  for (const std::int64_t count : {1, 8, 64, 256}) {
    for (const char* variant : {"greedy", "top_k", "top_p"})
      cases.push_back({.op = "sample",
                       .variant = variant,
                       .dtype = "float32",
                       .shape = {{"rows", count}, {"vocabulary", 128256}},
                       .bytes = 4.0 * static_cast<double>(count * 128256)});
  }
  for (const std::int64_t count : {1, 16, 256, 4096})
    for (const char* op : {"copy_blocks", "gather_blocks", "scatter_blocks"})
      cases.push_back(blocks(op, "", count, 65536));
  for (const char* op : {"swap_out", "swap_in"}) {
    for (const char* variant : {"dma", "kernel"}) {
      for (const std::int64_t bytes : {4096, 32768, 262144, 2097152, 4194304}) {
        for (const std::int64_t count : {16, 512, 16384})
          if (count * bytes <= (std::int64_t{1} << 30)) cases.push_back(blocks(op, variant, count, bytes));
      }
    }
  }
}

/// What the device itself can do, and what runs at once.
void add_micro(bool full, std::vector<Case>& cases) {
  for (const char* variant : {"stream", "graph"})
    cases.push_back(
        {.op = "launch", .variant = variant, .dtype = "none", .shape = {{"kernels", 64}}, .bytes = 1});
  const auto moved = [&cases](const char* op, const char* variant, std::int64_t bytes, double times) {
    cases.push_back({.op = op,
                     .variant = variant,
                     .dtype = "bytes",
                     .shape = {{"bytes", bytes}},
                     .bytes = times * static_cast<double>(bytes)});
  };
  for (const std::int64_t mib : {4, 64, 1024}) {
    if (!full && mib == 64) continue;
    moved("memory", "read", mib << 20, 1);
    moved("memory", "write", mib << 20, 1);
    moved("memory", "copy", mib << 20, 2);
  }
  for (const std::int64_t mib : {4, 16}) moved("memory", "l2_read", mib << 20, 1);
  for (const std::int64_t mib : {1, 64}) {
    moved("pcie", "h2d", mib << 20, 1);
    moved("pcie", "d2h", mib << 20, 1);
    moved("pcie", "duplex", mib << 20, 2);
  }
  for (const char* variant : {"dma", "kernel"})
    for (const std::int64_t bytes : {32768, 2097152}) {
      Case both = blocks("swap_duplex", variant, 64, bytes);
      both.bytes *= 2;
      cases.push_back(both);
    }
  for (const char* variant : {"decode+swap_dma", "decode+swap_kernel", "decode+prefill"})
    for (const std::int64_t part : {0, 1, 2})
      cases.push_back({.op = "overlap",
                       .variant = variant,
                       .dtype = "bfloat16",
                       .shape = {{"part", part},
                                 {"batch", 32},
                                 {"context_sum", 131072},
                                 {"blocks", 16},
                                 {"block_bytes", 524288}},
                       .bytes = 131072.0 * row_bytes(KvType::bf16, kHeads[0])});
}

}  // namespace

std::vector<Case> gpu_overlap_parts(const Case& what) {
  const Case first = decode(KvType::bf16, kHeads[0], kPage, what.get("batch"),
                            what.get("context_sum") / what.get("batch"), false, 1, 0);
  const bool prompt = what.variant == "decode+prefill";
  const Case second = prompt ? prefill(KvType::bf16, kHeads[0], 1, 2048, 0)
                             : blocks("swap_out", what.variant == "decode+swap_dma" ? "dma" : "kernel",
                                      what.get("blocks"), what.get("block_bytes"));
  return {first, second};
}

std::vector<Case> gpu_suite(Suite suite) {
  const bool full = suite == Suite::full;
  std::vector<Case> cases;
  add_decode(full, cases);
  add_latent(full, cases);
  add_latent_prefill(full, cases);
  add_prefill(full, cases);
  add_gemm(full, cases);
  add_rest(full, cases);
  add_micro(full, cases);
  return cases;
}

std::vector<Case> gpu_sentinels() {
  std::vector<Case> cases = {gemm("bfloat16", 3072, 8192, 8192),
                             decode(KvType::bf16, kHeads[0], kPage, 32, 8192, false, 1, 0),
                             blocks("copy_blocks", "", 2048, 131072)};
  for (Case& sentinel : cases) sentinel.sentinel = true;
  return cases;
}

}  // namespace kvcast::bench
