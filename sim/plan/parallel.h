/// Independent pieces of work on several threads.
#pragma once

#include <cstddef>
#include <functional>

namespace kvcast {

/// Calls work(0) ... work(count - 1), each once, on up to `threads` threads. Pieces must not depend on each
/// other; what they leave at their own index is then the same for any number of threads.
/// \throws what the piece with the smallest index threw, after all have ended
void for_each_parallel(std::size_t count, unsigned threads, const std::function<void(std::size_t)>& work);

}  // namespace kvcast
