/// Quantised KV caches that go beyond one dtype for all: layers that stay as the model has them, scales per
/// channel, newest tokens in 16 bits.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace kvcast {

struct ModelSpec;

/// What shares a scale.
enum class KvScales : std::uint8_t {
  per_tensor,      // all of it: the scales stay outside the cache
  per_token_head,  // a head's vector of one token, in groups of group_size elements
  per_channel,     // group_size tokens of one element of a head (KIVI's keys)
};

/// How one layer stores K and V. Bytes of scales and zero points are 2 each.
struct KvStorage {
  bool as_model = false;  // in the model's dtype, whatever kv_cache_dtype says (kv_cache_dtype_skip_layers)
  std::int64_t bits = 0;  // of a value: 2, 4, 8; 0: as kv_cache_dtype says
  KvScales keys = KvScales::per_token_head;
  KvScales values = KvScales::per_token_head;
  std::int64_t group_size = 0;  // elements (per_token_head) or tokens (per_channel); 0: a whole vector
  bool zero_point = true;       // beside each scale: asymmetric
  std::int64_t residual = 0;    // newest tokens of a sequence in 16 bits
  bool one_vector = false;      // K and V are one: stored once

  auto operator<=>(const KvStorage&) const = default;
};

/// Bytes of one head's vector of one token; scales that tokens share count in part, rounded up.
/// Source: Liu et al. 2024, "KIVI" (arXiv 2402.02750), sec. 3: keys per channel, values per token, groups of
/// 32, the newest tokens in full precision.
[[nodiscard]] std::int64_t kv_vector_bytes(const KvStorage& storage, KvScales scales, std::int64_t elements);

/// Bytes that the newest tokens' 16-bit copies of one sequence take on one rank.
[[nodiscard]] std::int64_t residual_bytes(const ModelSpec& model, std::int64_t tensor_parallel);

/// Gives every layer that keeps K and V this storage. \param block_size tokens; scales per channel need whole
/// groups in a block \throws InputError for latent attention, which has no K and V, and for groups that
/// blocks cut
void apply_storage(ModelSpec& model, const KvStorage& storage, std::int64_t block_size);

/// kv_cache_dtype_skip_layers: indices, or "sliding_window" for all windowed layers. \throws InputError
/// naming what is possible
void skip_layers(ModelSpec& model, const std::vector<std::string>& layers);

/// "4 bits, keys per channel, values per token and head, groups of 32, newest 128 tokens in 16 bits"
[[nodiscard]] std::string describe(const KvStorage& storage);

}  // namespace kvcast
