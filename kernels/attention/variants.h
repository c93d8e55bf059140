/// Which kernels there are, and which one fits a problem. Page size, window, sinks, soft cap, group size and
/// query lengths are run-time arguments; only the storage type, the head size and the form are compiled in.
#pragma once

#include <span>
#include <string>

#include "kernels/attention/attention.h"

namespace kvcast::kernels {

/// decode: up to 16 rows (query tokens times group) for each request and KV head. prefill: any number, in
/// tiles of 64. mla and mla_wide: latent attention with row tiles of 16 and of 64 (packed types: 32).
/// prefill_hopper: as prefill in tiles of 128, with TMA and wgmma, on sm_90 only.
enum class Form : std::uint8_t { decode, prefill, mla, mla_wide, prefill_hopper };

constexpr const char* form_name(Form form) {
  switch (form) {
    case Form::decode:
      return "decode";
    case Form::prefill:
      return "prefill";
    case Form::mla:
      return "mla";
    case Form::mla_wide:
      return "mla_wide";
    case Form::prefill_hopper:
      return "prefill_hopper";
  }
  return "";
}

struct Variant {
  KvType type;
  Form form;
  int head_size;
  int value_size;
  int rows_per_tile;  // for the plan
  int threads;        // of a CTA
  int shared_bytes;   // dynamic shared memory of a CTA
};

/// Every compiled kernel.
[[nodiscard]] std::span<const Variant> attention_variants();

/// What of a GPU decides which kernels it can run.
struct Device {
  int compute_capability = 90;        // 80, 89, 90
  int shared_bytes_max = 227 * 1024;  // that a CTA may have: 163 KiB on sm_80, 99 on sm_89, 227 on sm_90
};

/// The form for so many rows: decode and mla where no request has more than 16 for a KV head, prefill_hopper
/// from 65 on where there is such a kernel and the device is of sm_90, else prefill; mla_wide where it fits
/// in shared memory. Null if there is no kernel for the type and the head size.
[[nodiscard]] const Variant* choose_variant(const AttentionArgs& args, int q_len_max, const Device& device);

/// "" or what the kernels do not support or what is inconsistent about the arguments (pointers are not
/// followed).
[[nodiscard]] std::string check_attention(const AttentionArgs& args);

/// Calls X(type, head_size, form) for the variants of one storage type: all have the first, some the others.
#define KVCAST_PAGED_VARIANTS_OF(type, X) \
  X(type, 64, decode)                     \
  X(type, 128, decode) X(type, 256, decode) X(type, 64, prefill) X(type, 128, prefill) X(type, 256, prefill)
#define KVCAST_LATENT_VARIANTS_OF(type, X) X(type, 576, mla) X(type, 576, mla_wide)
#define KVCAST_HOPPER_VARIANTS_OF(type, X) X(type, 64, prefill_hopper) X(type, 128, prefill_hopper)

}  // namespace kvcast::kernels
