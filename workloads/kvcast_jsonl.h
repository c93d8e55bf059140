/// What readers and writers of kvcast's own JSON lines share.
#pragma once

#include <cstdint>
#include <string_view>

namespace kvcast {

/// Request::tenant of a tenant's name: the number itself where the name is one, else 32 bits of its hash
/// (tenants with equal numbers, one pair in four billion, would share a prefix cache).
[[nodiscard]] std::uint32_t tenant_number(std::string_view name);

}  // namespace kvcast
