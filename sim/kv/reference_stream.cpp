#include "sim/kv/reference_stream.h"

#include <algorithm>

#include "sim/base/hash.h"
#include "sim/kv/content_chain.h"

namespace kvcast {

void ReferenceStream::refer(std::uint64_t key) {
  key |= 1U;  // 0 is no key
  BlockId number = numbers_.find(key);
  if (number == kNullBlock) {
    keys_.push_back(key);
    KVCAST_CHECK(keys_.size() < ~BlockId{0});
    number = static_cast<BlockId>(keys_.size());
    numbers_.set(key, number);
  }
  pages_.push_back(number - 1);
}

void ReferenceStream::add(Content&& content, Tokens prompt, Tokens answer, bool answer_is_named) {
  const std::int64_t block = options_.block_size;
  const std::int64_t full = prompt.value / block;
  const std::int64_t with_answer = answer_is_named ? (prompt + answer).value / block : full;
  const std::int64_t partial = options_.partial_blocks ? prompt.value % block : 0;
  Request request{pages_.size(), 0, 0, prompt.value};
  std::uint64_t partial_key = 0;
  if (partial > 0) {
    Content part = content;
    ContentChain tokens(std::move(part), prompt.value);
    partial_key = mix64(tokens.hash(0) ^ static_cast<std::uint64_t>(prompt.value));
  }
  ContentChain chain(std::move(content), block);
  for (std::int64_t i = 0; i < full; ++i) refer(chain.hash(static_cast<std::size_t>(i)));
  if (partial > 0) refer(partial_key);
  request.lookups_end = pages_.size();
  for (std::int64_t i = full; i < with_answer; ++i) refer(chain.hash(static_cast<std::size_t>(i)));
  request.end = pages_.size();
  lookups_ += static_cast<std::int64_t>(request.lookups_end - request.begin);
  prompt_tokens_ += prompt.value;
  full_blocks_ += full;
  requests_.push_back(request);
}

std::int64_t ReferenceStream::tokens(const Request& request, std::size_t reference) const {
  const std::int64_t begin = static_cast<std::int64_t>(reference - request.begin) * options_.block_size;
  return reference < request.lookups_end ? std::min(options_.block_size, request.prompt - begin)
                                         : options_.block_size;
}

}  // namespace kvcast
