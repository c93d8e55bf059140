#include "sim/sglang/radix_tree.h"

#include <algorithm>

#include "sim/base/error.h"

namespace kvcast::sglang {

RadixTree::RadixTree(std::int64_t page, EvictionPolicy policy) : page_(page), policy_(std::move(policy)) {
  KVCAST_CHECK(page_ >= 1);
  clear();
}

void RadixTree::clear() {
  KVCAST_CHECK(locked_ == 0);
  nodes_.assign(1, Node{});
  nodes_.front().used = true;
  free_.clear();
  by_hash_.clear();
  leaves_.clear();
  evictable_ = 0;
}

TokenKey RadixTree::whole_pages(const TokenKey& key) const {
  TokenKey cut = key;
  cut.length -= cut.length % page_;
  return cut;
}

std::uint64_t RadixTree::child_hash(NodeIndex parent, const KeyCursor& cursor) const {
  return cursor.hash(page_) + 0x9E3779B97F4A7C15u * static_cast<std::uint64_t>(parent);
}

NodeIndex RadixTree::child(NodeIndex parent, const KeyCursor& cursor) const {
  const auto found = by_hash_.find(child_hash(parent, cursor));
  if (found == by_hash_.end()) return kNoNode;
  for (NodeIndex node = found->second; node != kNoNode; node = at(node).same_hash) {
    const Node& n = at(node);
    if (n.parent == parent && n.salt == cursor.salt() && cursor.common(n.runs) >= page_) return node;
  }
  return kNoNode;
}

void RadixTree::file(NodeIndex node, std::uint64_t hash) {
  NodeIndex& first = by_hash_.try_emplace(hash, kNoNode).first->second;
  at(node).hash = hash;
  at(node).same_hash = first;
  first = node;
}

void RadixTree::unfile(NodeIndex node) {
  const auto found = by_hash_.find(at(node).hash);
  KVCAST_CHECK(found != by_hash_.end());
  NodeIndex* link = &found->second;
  while (*link != node) link = &at(*link).same_hash;
  *link = at(node).same_hash;
  if (found->second == kNoNode) by_hash_.erase(found);
}

NodeIndex RadixTree::add_node() {
  NodeIndex node{};
  if (free_.empty()) {
    node = static_cast<NodeIndex>(nodes_.size());
    nodes_.emplace_back();
  } else {
    node = free_.back();
    free_.pop_back();
    at(node) = Node{};
  }
  at(node).used = true;
  return node;
}

RadixTree::Match RadixTree::match(const TokenKey& key) {
  KeyCursor cursor(whole_pages(key));
  NodeIndex node = kRoot;
  while (cursor.left() > 0) {
    NodeIndex next = child(node, cursor);
    if (next == kNoNode) break;
    stamp(next);
    std::int64_t tokens = cursor.common(at(next).runs);
    tokens -= tokens % page_;
    const bool inside = tokens < at(next).length;
    if (inside) next = split(next, tokens);
    cursor.advance(tokens);
    node = next;
    if (inside) break;
  }
  rank(node);
  return {node, cursor.position()};
}

RadixTree::Insertion RadixTree::insert(const TokenKey& key, std::int64_t priority, std::int64_t own) {
  const TokenKey cut = whole_pages(key);
  KeyCursor cursor(cut);
  NodeIndex node = kRoot;
  while (cursor.left() > 0) {
    NodeIndex next = child(node, cursor);
    if (next == kNoNode) break;
    stamp(next);
    std::int64_t tokens = cursor.common(at(next).runs);
    tokens -= tokens % page_;
    if (tokens < at(next).length) next = split(next, tokens);
    cursor.advance(tokens);
    node = next;
    Node& n = at(node);
    n.facts.priority = std::max(n.facts.priority, priority);
    n.facts.branch_longest = std::max(n.facts.branch_longest, cut.length);
    if (end(n) > own) ++n.facts.hits;
  }
  const Insertion result{cursor.position(), cursor.left()};
  if (cursor.left() > 0) add_leaf(node, cursor, priority);
  rank(node);
  ++insertions_;
  return result;
}

void RadixTree::add_leaf(NodeIndex parent, const KeyCursor& cursor, std::int64_t priority) {
  const NodeIndex leaf = add_node();
  Node& n = at(leaf);
  n.parent = parent;
  n.salt = cursor.salt();
  n.runs = cursor.rest();
  n.length = cursor.left();
  n.place = n.facts.birth = ++clock_;
  n.insertion = insertions_;
  n.facts.hits = 1;
  n.facts.priority = priority;
  n.facts.tokens_above = cursor.position();
  n.facts.branch_longest = cursor.position() + cursor.left();
  file(leaf, child_hash(parent, cursor));
  ++at(parent).children;
  evictable_ += n.length;
  stamp(leaf);
  rank(leaf);
}

/// The first `tokens` of the node become a node of their own above it. The node keeps its number.
NodeIndex RadixTree::split(NodeIndex lower, std::int64_t tokens) {
  KVCAST_CHECK(tokens > 0 && tokens < at(lower).length);
  const NodeIndex upper = add_node();
  Node& low = at(lower);
  Node& up = at(upper);
  unfile(lower);
  up.parent = low.parent;
  up.salt = low.salt;
  up.place = low.place;
  up.locks = low.locks;
  up.insertion = low.insertion;
  up.facts = low.facts;
  up.children = 1;
  up.length = tokens;
  std::vector<TokenRun> rest = cut_runs(low.runs, tokens);
  up.runs = std::move(low.runs);
  low.runs = std::move(rest);
  low.parent = upper;
  low.length -= tokens;
  low.facts.tokens_above += tokens;
  file(upper, low.hash);
  file(lower, child_hash(upper, KeyCursor({low.runs, low.length, low.salt})));
  stamp(upper);
  rank(lower);
  return upper;
}

void RadixTree::lock(NodeIndex node) {
  for (; node != kRoot; node = at(node).parent) {
    Node& n = at(node);
    if (n.locks++ == 0) {
      evictable_ -= n.length;
      locked_ += n.length;
      rank(node);
    }
  }
}

void RadixTree::unlock(NodeIndex node) {
  for (; node != kRoot; node = at(node).parent) {
    Node& n = at(node);
    KVCAST_CHECK(n.locks > 0);
    if (--n.locks == 0) {
      evictable_ += n.length;
      locked_ -= n.length;
      rank(node);
    }
  }
}

/// Files the node among the unlocked leaves, by its present rank, or takes it out.
void RadixTree::rank(NodeIndex node) {
  Node& n = at(node);
  const bool may_go = node != kRoot && n.children == 0 && n.locks == 0;
  const EvictionRank now = may_go ? policy_(n.facts) : EvictionRank{};
  if (n.ranked && may_go && n.rank == now) return;
  if (n.ranked) leaves_.erase({n.rank, node});
  n.ranked = may_go;
  n.rank = now;
  if (may_go) leaves_.insert({now, node});
}

std::int64_t RadixTree::evict(std::int64_t tokens, const std::function<void(const EvictedNode&)>& told) {
  std::int64_t gone = 0;
  while (gone < tokens && !leaves_.empty()) {
    const NodeIndex node = leaves_.begin()->node;
    const Node& n = at(node);
    gone += n.length;
    if (told) told({n.insertion, n.facts.tokens_above, end(n)});
    remove_leaf(node);
  }
  return gone;
}

void RadixTree::remove_leaf(NodeIndex node) {
  Node& n = at(node);
  KVCAST_CHECK(n.children == 0 && n.locks == 0);
  unfile(node);
  leaves_.erase({n.rank, node});
  evictable_ -= n.length;
  const NodeIndex parent = n.parent;
  --at(parent).children;
  n = Node{};
  free_.push_back(node);
  rank(parent);
}

void RadixTree::check() const {
  std::int64_t free = 0;
  std::int64_t locked = 0;
  std::vector<std::int64_t> children(nodes_.size(), 0);
  for (std::size_t i = 1; i < nodes_.size(); ++i) {
    const Node& n = nodes_[i];
    if (!n.used) continue;
    (n.locks > 0 ? locked : free) += n.length;
    ++children[to_index(n.parent)];
    const Node& parent = at(n.parent);
    KVCAST_CHECK(n.length > 0 && n.length % page_ == 0);
    KVCAST_CHECK(n.facts.tokens_above == (n.parent == kRoot ? 0 : end(parent)));
    KVCAST_CHECK(n.parent == kRoot || parent.locks >= n.locks);
    KVCAST_CHECK(n.ranked == (n.children == 0 && n.locks == 0));
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) KVCAST_CHECK(children[i] == nodes_[i].children);
  KVCAST_CHECK(free == evictable_ && locked == locked_);
}

}  // namespace kvcast::sglang
