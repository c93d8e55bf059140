/// What a request's tokens are, as caches and routers compare them.
#pragma once

#include "sim/kv/block_allocator.h"
#include "sim/request.h"

namespace kvcast {

/// A prompt of which nothing is known shares nothing: its tokens are a segment of their own, and so is its
/// output.
[[nodiscard]] Content content_of(const Request& request);

}  // namespace kvcast
