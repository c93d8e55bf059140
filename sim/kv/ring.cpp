// A sliding window as a ring buffer (Jiang et al. 2023, "Mistral 7B", sec. 2: rolling buffer cache): the
// block that has left the window is the one that is written next, so that a sequence of any length holds as
// many blocks as the window can touch. A prompt's chunk attends to its own keys as they are computed, and the
// ring takes its last ones.
#include "sim/kv/allocators.h"
#include "sim/kv/bounded_blocks.h"

namespace kvcast {

AllocatorMaker make_ring(Config& engine, const CachedBlocksSettings& layers) {
  return bounded_maker(engine, layers, "ring");
}

}  // namespace kvcast
