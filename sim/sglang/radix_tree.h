/// The prefix cache: a radix tree over token keys, counted in tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <unordered_map>
#include <vector>

#include "sim/sglang/eviction.h"
#include "sim/sglang/token_key.h"

namespace kvcast::sglang {

enum class NodeIndex : std::int32_t {};
constexpr NodeIndex kRoot{0};
constexpr NodeIndex kNoNode{-1};
constexpr std::size_t to_index(NodeIndex node) { return static_cast<std::size_t>(node); }

/// A node that eviction threw out: tokens [from, to) of the key that insertion number `insertion` added.
struct EvictedNode {
  std::int64_t insertion;
  std::int64_t from;
  std::int64_t to;
};

/// Contract: UnifiedRadixCache of SGLang 0.5.23 for plain attention.
/// - Keys are cut down to whole pages. A match or an insertion that ends inside a node splits it there.
/// - A match stamps every node of its path (the deepest newest), an insertion every node that it passes and
/// the new leaf; a split stamps its lower
///   part too. The upper part of a split inherits birth, hits, priority and locks.
/// - Locks count up to the root. Eviction takes whole unlocked leaves, smallest rank first, and then their
/// parents once these are such leaves.
/// - evictable() + locked() = tokens in the tree.
class RadixTree {
 public:
  struct Match {
    NodeIndex node = kRoot;  // where the match ends
    std::int64_t tokens = 0;
  };
  struct Insertion {
    std::int64_t had = 0;    // tokens of the key that were there
    std::int64_t added = 0;  // tokens of the new leaf
  };

  RadixTree(std::int64_t page, EvictionPolicy policy);

  [[nodiscard]] Match match(const TokenKey& key);
  /// \param own tokens of the key that the same request has inserted before: nodes that end within them get
  /// no hit
  Insertion insert(const TokenKey& key, std::int64_t priority, std::int64_t own);
  void lock(NodeIndex node);
  void unlock(NodeIndex node);
  /// Evicts until `tokens` went or nothing is left that may go; returns the tokens that went.
  std::int64_t evict(std::int64_t tokens, const std::function<void(const EvictedNode&)>& told = {});
  /// Forgets everything.
  void clear();

  [[nodiscard]] std::int64_t evictable() const { return evictable_; }
  [[nodiscard]] std::int64_t locked() const { return locked_; }
  [[nodiscard]] std::int64_t page() const { return page_; }
  [[nodiscard]] NodeIndex parent(NodeIndex node) const { return at(node).parent; }
  /// Place of the node among its parent's children, in order of their creation (a split keeps the place).
  [[nodiscard]] std::int64_t place(NodeIndex node) const { return at(node).place; }
  /// Looks at every node and sum; a broken one is a bug.
  void check() const;

 private:
  struct Node {
    NodeIndex parent = kNoNode;
    NodeIndex same_hash = kNoNode;  // next of the children filed under one hash
    std::uint64_t hash = 0;
    std::uint64_t salt = 0;
    std::vector<TokenRun> runs;
    std::int64_t length = 0;
    std::int64_t children = 0;
    std::int64_t locks = 0;
    std::int64_t place = 0;
    std::int64_t insertion = 0;
    EvictionFacts facts;
    EvictionRank rank;
    bool ranked = false;  // is in leaves_
    bool used = false;
  };
  struct Leaf {
    EvictionRank rank;
    NodeIndex node;
    friend auto operator<=>(const Leaf&, const Leaf&) = default;
  };

  [[nodiscard]] Node& at(NodeIndex node) { return nodes_[to_index(node)]; }
  [[nodiscard]] const Node& at(NodeIndex node) const { return nodes_[to_index(node)]; }
  [[nodiscard]] std::int64_t end(const Node& node) const { return node.facts.tokens_above + node.length; }
  [[nodiscard]] TokenKey whole_pages(const TokenKey& key) const;
  [[nodiscard]] NodeIndex child(NodeIndex parent, const KeyCursor& cursor) const;
  [[nodiscard]] std::uint64_t child_hash(NodeIndex parent, const KeyCursor& cursor) const;
  void file(NodeIndex node, std::uint64_t hash);
  void unfile(NodeIndex node);
  [[nodiscard]] NodeIndex add_node();
  [[nodiscard]] NodeIndex split(NodeIndex lower, std::int64_t tokens);
  void add_leaf(NodeIndex parent, const KeyCursor& cursor, std::int64_t priority);
  void remove_leaf(NodeIndex node);
  void stamp(NodeIndex node) { at(node).facts.last_access = ++clock_; }
  void rank(NodeIndex node);

  std::int64_t page_;
  EvictionPolicy policy_;
  std::vector<Node> nodes_;
  std::vector<NodeIndex> free_;
  std::unordered_map<std::uint64_t, NodeIndex> by_hash_;  // for look-ups only, never walked
  std::set<Leaf> leaves_;                                 // unlocked leaves, next to go first
  std::int64_t evictable_ = 0;
  std::int64_t locked_ = 0;
  std::int64_t clock_ = 0;
  std::int64_t insertions_ = 0;
};

}  // namespace kvcast::sglang
