/// The KV slots of one engine and the prefix cache that holds those which no request needs for itself.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "sim/sglang/radix_tree.h"
#include "sim/sglang/req.h"

namespace kvcast::sglang {

/// Contract: free + evictable + locked + what requests hold for themselves = total, in tokens, at every
/// moment; slots move in whole pages.
class KvPool {
 public:
  /// \param tree none: the radix cache is off
  KvPool(std::int64_t tokens, std::int64_t page, std::optional<RadixTree> tree);

  [[nodiscard]] std::int64_t total() const { return total_; }
  [[nodiscard]] std::int64_t free() const { return free_; }
  [[nodiscard]] std::int64_t evictable() const { return tree_ ? tree_->evictable() : 0; }
  [[nodiscard]] std::int64_t locked() const { return tree_ ? tree_->locked() : 0; }
  /// Tokens whose KV is held for requests that run: those only of theirs, and locked ones.
  [[nodiscard]] std::int64_t resident() const { return own_ + locked(); }
  [[nodiscard]] std::int64_t page() const { return page_; }
  [[nodiscard]] std::int64_t pages(std::int64_t tokens) const { return (tokens + page_ - 1) / page_ * page_; }
  [[nodiscard]] RadixTree* tree() { return tree_ ? &*tree_ : nullptr; }

  /// Evicts until so many tokens are free; false: not so many can be.
  bool make_room(std::int64_t tokens);
  /// The request's slots reach to token `to`; there must be room.
  void grow(Req& req, std::int64_t to);
  /// `tokens` more for requests together, in `count` new pages.
  void take_pages(std::int64_t count, std::int64_t tokens);
  /// Room that a decode step of these requests needs; evicts for it.
  [[nodiscard]] bool fits_decode(const Reqs& reqs, std::span<const ReqIndex> batch);
  /// Whether it would fit, once `ending` have given back all that they hold.
  [[nodiscard]] bool fits_decode_after(const Reqs& reqs, std::span<const ReqIndex> batch,
                                       std::span<const ReqIndex> ending);
  /// Slots for one more token each, after fits_decode().
  void grow_decode(Reqs& reqs, std::span<const ReqIndex> batch);
  /// Inserts the first n tokens and moves the lock to where they end.
  void insert_unfinished(Req& req, std::int64_t n);
  /// Inserts prompt and outputs, then the prompt alone, and gives back all that is left. Returns the tokens
  /// that are the tree's now.
  std::int64_t insert_finished(Req& req);
  /// Gives back what the request holds for itself; inserts nothing.
  void release(Req& req);

 private:
  [[nodiscard]] std::int64_t decode_need(const Reqs& reqs, std::span<const ReqIndex> batch) const;
  void end(Req& req);

  std::int64_t total_;
  std::int64_t free_;
  std::int64_t own_ = 0;  // tokens of requests that are not the tree's
  std::int64_t page_;
  std::optional<RadixTree> tree_;
};

}  // namespace kvcast::sglang
