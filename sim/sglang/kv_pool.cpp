#include "sim/sglang/kv_pool.h"

#include <algorithm>

#include "sim/base/error.h"

namespace kvcast::sglang {

KvPool::KvPool(std::int64_t tokens, std::int64_t page, std::optional<RadixTree> tree)
    : total_(tokens), free_(tokens), page_(page), tree_(std::move(tree)) {
  KVCAST_CHECK(tokens > 0 && tokens % page == 0);
}

bool KvPool::make_room(std::int64_t tokens) {
  if (free_ < tokens && tree_) free_ += tree_->evict(tokens - free_);
  return free_ >= tokens;
}

void KvPool::grow(Req& req, std::int64_t to) {
  KVCAST_CHECK(to >= req.kv);
  free_ -= pages(to) - pages(req.kv);
  KVCAST_CHECK(free_ >= 0);
  own_ += to - req.kv;
  req.kv = to;
}

void KvPool::take_pages(std::int64_t count, std::int64_t tokens) {
  own_ += tokens;
  free_ -= count * page_;
  KVCAST_CHECK(free_ >= 0);
}

std::int64_t KvPool::decode_need(const Reqs& reqs, std::span<const ReqIndex> batch) const {
  std::int64_t begins = 0;
  for (const ReqIndex i : batch) begins += reqs[to_index(i)].kv % page_ == 0 ? 1 : 0;
  return begins * page_;
}

bool KvPool::fits_decode(const Reqs& reqs, std::span<const ReqIndex> batch) {
  return make_room(decode_need(reqs, batch));
}

bool KvPool::fits_decode_after(const Reqs& reqs, std::span<const ReqIndex> batch,
                               std::span<const ReqIndex> ending) {
  std::int64_t room = free_;
  for (const ReqIndex i : ending) {
    const Req& req = reqs[to_index(i)];
    room += pages(req.kv) - req.shared;
    if (tree_) tree_->unlock(req.node);
  }
  room += evictable();
  for (const ReqIndex i : ending) {
    if (tree_) tree_->lock(reqs[to_index(i)].node);
  }
  return room >= decode_need(reqs, batch);
}

void KvPool::grow_decode(Reqs& reqs, std::span<const ReqIndex> batch) {
  // The paged allocator asks for a page per request, though it takes only the pages that begin.
  if (page_ > 1) static_cast<void>(make_room(page_ * static_cast<std::int64_t>(batch.size())));
  for (const ReqIndex i : batch) grow(reqs[to_index(i)], reqs[to_index(i)].kv + 1);
}

void KvPool::insert_unfinished(Req& req, std::int64_t n) {
  if (!tree_) return;
  const std::int64_t whole = n - n % page_;
  const RadixTree::Insertion insertion = tree_->insert(req.key(whole), req.priority, req.inserted);
  KVCAST_CHECK(insertion.had >= req.shared);
  free_ += insertion.had - req.shared;  // slots of tokens that a request beside it had put there first
  const RadixTree::Match match = tree_->match(req.key(whole));
  KVCAST_CHECK(match.tokens == whole);
  tree_->lock(match.node);
  tree_->unlock(req.node);
  req.node = match.node;
  own_ -= whole - req.shared;
  req.shared = whole;
  req.inserted = whole;
}

std::int64_t KvPool::insert_finished(Req& req) {
  if (!tree_) {
    release(req);
    return 0;
  }
  const std::int64_t fed = std::min(req.kv, req.length());
  const std::int64_t whole = fed - fed % page_;
  const RadixTree::Insertion insertion = tree_->insert(req.key(whole), req.priority, req.inserted);
  KVCAST_CHECK(insertion.had >= req.shared);
  // Cut at the prompt's end, so that the outputs can go without it.
  const std::int64_t cut = req.prompt - req.prompt % page_;
  if (cut < whole) tree_->insert(req.key(cut), req.priority + 1, cut);
  free_ += pages(req.kv) - req.shared - insertion.added;
  end(req);
  return whole;
}

void KvPool::release(Req& req) {
  free_ += pages(req.kv) - req.shared;
  end(req);
}

void KvPool::end(Req& req) {
  own_ -= req.kv - req.shared;
  KVCAST_CHECK(own_ >= 0 && free_ <= total_);
  if (tree_) tree_->unlock(req.node);
  req.node = kRoot;
  req.kv = req.shared = req.inserted = 0;
}

}  // namespace kvcast::sglang
