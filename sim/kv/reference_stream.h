/// What a trace asks of a prefix cache: the blocks of its prompts, one after the other, without an engine
/// around them.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/kv/block_allocator.h"
#include "sim/kv/block_pool.h"

namespace kvcast {

/// How prompts are cut into blocks.
struct StreamOptions {
  std::int64_t block_size = 16;  // tokens
  /// The last, partial block of a prompt is a block too (Mooncake's traces hash it); an engine caches full
  /// blocks only.
  bool partial_blocks = false;
};

/// Contract: add() in order of arrival. A block is named by all tokens up to its end and by the tenant.
/// References of a request: the blocks of its prompt, then, where later prompts may hold its answer, the
/// further blocks that the answer fills; they enter the cache with it.
class ReferenceStream {
 public:
  using Page = std::uint32_t;  // dense numbers of distinct blocks, from 0
  struct Request {
    std::size_t begin;        // of its references, in pages()
    std::size_t lookups_end;  // the prompt's blocks end here: only they are looked up
    std::size_t end;
    std::int64_t prompt;  // tokens
  };

  explicit ReferenceStream(const StreamOptions& options) : options_(options) {}

  /// \param answer_is_named whether a later prompt may hold the answer
  void add(Content&& content, Tokens prompt, Tokens answer, bool answer_is_named);

  [[nodiscard]] const std::vector<Page>& pages() const { return pages_; }
  [[nodiscard]] const std::vector<Request>& requests() const { return requests_; }
  [[nodiscard]] std::size_t distinct() const { return keys_.size(); }
  [[nodiscard]] std::uint64_t key(Page page) const { return keys_[page]; }
  [[nodiscard]] std::int64_t block_size() const { return options_.block_size; }
  /// Tokens of a reference.
  [[nodiscard]] std::int64_t tokens(const Request& request, std::size_t reference) const;
  [[nodiscard]] std::int64_t lookups() const { return lookups_; }
  [[nodiscard]] std::int64_t prompt_tokens() const { return prompt_tokens_; }
  /// Blocks that the prompts fill; less than lookups() where partial ones count too.
  [[nodiscard]] std::int64_t full_blocks() const { return full_blocks_; }

 private:
  void refer(std::uint64_t key);

  StreamOptions options_;
  KeyMap numbers_;  // page + 1 by key
  std::vector<std::uint64_t> keys_;
  std::vector<Page> pages_;
  std::vector<Request> requests_;
  std::int64_t lookups_ = 0;
  std::int64_t prompt_tokens_ = 0;
  std::int64_t full_blocks_ = 0;
};

}  // namespace kvcast
