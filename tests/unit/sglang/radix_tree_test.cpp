// The radix tree against a naive one: explicit tokens, children found by comparing, every leaf looked at for every eviction.
#include <boost/test/unit_test.hpp>
#include <algorithm>
#include <list>
#include <optional>

#include "sim/base/rng.h"
#include "sim/sglang/radix_tree.h"

namespace kvcast::sglang {
namespace {

using Token = std::pair<std::uint64_t, std::int64_t>;
using Tokens = std::vector<Token>;

class NaiveTree {
 public:
  struct Node {
    Node* parent = nullptr;
    Tokens tokens;
    std::list<Node> children;
    std::int64_t locks = 0;
    std::int64_t insertion = 0;
    EvictionFacts facts;
  };

  NaiveTree(std::int64_t page, EvictionPolicy policy) : page_(static_cast<std::size_t>(page)), policy_(std::move(policy)) {}

  std::pair<Node*, std::int64_t> match(const Tokens& tokens) {
    std::size_t at = 0;
    Node* node = walk(tokens, at, [](Node&) {});
    return {node, static_cast<std::int64_t>(at)};
  }

  std::pair<std::int64_t, std::int64_t> insert(const Tokens& tokens, std::int64_t priority, std::int64_t own) {
    const auto length = static_cast<std::int64_t>(tokens.size() - tokens.size() % page_);
    std::size_t at = 0;
    Node* node = walk(tokens, at, [&](Node& n) {
      n.facts.priority = std::max(n.facts.priority, priority);
      n.facts.branch_longest = std::max(n.facts.branch_longest, length);
      if (n.facts.tokens_above + std::ssize(n.tokens) > own) ++n.facts.hits;
    });
    const auto had = static_cast<std::int64_t>(at);
    if (had < length) {
      Node& leaf = node->children.emplace_back();
      leaf.parent = node;
      leaf.tokens.assign(tokens.begin() + had, tokens.begin() + length);
      leaf.insertion = insertions_;
      leaf.facts = {++clock_, clock_, 1, priority, had, length};
    }
    ++insertions_;
    return {had, length - had};
  }

  void lock(Node* node, std::int64_t by) {
    for (; node->parent != nullptr; node = node->parent) node->locks += by;
  }

  std::vector<std::vector<std::int64_t>> evict(std::int64_t wanted, std::int64_t& gone) {
    std::vector<std::vector<std::int64_t>> out;
    for (gone = 0; gone < wanted;) {
      Node* next = nullptr;
      best_leaf(root_, next);
      if (next == nullptr) break;
      gone += std::ssize(next->tokens);
      out.push_back({next->insertion, next->facts.tokens_above, next->facts.tokens_above + std::ssize(next->tokens)});
      next->parent->children.remove_if([&](const Node& n) { return &n == next; });
    }
    return out;
  }

  std::int64_t sum(bool locked) const { return sum(root_, locked); }

 private:
  template <class Pass>
  Node* walk(const Tokens& tokens, std::size_t& at, Pass pass) {
    const std::size_t end = tokens.size() - tokens.size() % page_;
    Node* node = &root_;
    while (at < end) {
      Node* next = nullptr;
      std::size_t common = 0;
      for (Node& child : node->children) {
        common = 0;
        while (common < child.tokens.size() && at + common < end && child.tokens[common] == tokens[at + common]) ++common;
        common -= common % page_;
        if (common > 0) {
          next = &child;
          break;
        }
      }
      if (next == nullptr) break;
      next->facts.last_access = ++clock_;
      const bool inside = common < next->tokens.size();
      if (inside) next = split(next, common);
      pass(*next);
      at += common;
      node = next;
      if (inside) break;
    }
    return node;
  }

  /// The node keeps the lower part, so that locks on it stay valid.
  Node* split(Node* lower, std::size_t at) {
    Node* parent = lower->parent;
    const auto place = std::find_if(parent->children.begin(), parent->children.end(), [&](const Node& n) { return &n == lower; });
    Node& upper = *parent->children.emplace(place);
    upper.parent = parent;
    upper.tokens.assign(lower->tokens.begin(), lower->tokens.begin() + static_cast<std::ptrdiff_t>(at));
    upper.locks = lower->locks;
    upper.insertion = lower->insertion;
    upper.facts = lower->facts;
    upper.facts.last_access = ++clock_;
    lower->tokens.erase(lower->tokens.begin(), lower->tokens.begin() + static_cast<std::ptrdiff_t>(at));
    lower->facts.tokens_above += static_cast<std::int64_t>(at);
    upper.children.splice(upper.children.begin(), parent->children, place);
    lower->parent = &upper;
    return &upper;
  }

  void best_leaf(Node& node, Node*& best) {
    for (Node& child : node.children) best_leaf(child, best);
    if (node.parent == nullptr || !node.children.empty() || node.locks > 0) return;
    if (best == nullptr || policy_(node.facts) < policy_(best->facts)) best = &node;
  }

  std::int64_t sum(const Node& node, bool locked) const {
    std::int64_t total = node.parent != nullptr && (node.locks > 0) == locked ? std::ssize(node.tokens) : 0;
    for (const Node& child : node.children) total += sum(child, locked);
    return total;
  }

  std::size_t page_;
  EvictionPolicy policy_;
  Node root_;
  std::int64_t clock_ = 0;
  std::int64_t insertions_ = 0;
};

/// A few beginnings, a few middles, endings of their own.
Tokens random_tokens(RandomStream& random) {
  Tokens tokens;
  for (std::int64_t part = random.integer(1, 4); part > 0; --part) {
    const auto segment = static_cast<std::uint64_t>(random.integer(1, 4));
    const std::int64_t length = random.integer(1, 3) * static_cast<std::int64_t>(segment);
    for (std::int64_t i = 0; i < length; ++i) tokens.emplace_back(segment, i);
  }
  return tokens;
}

TokenSequence sequence_of(const Tokens& tokens) {
  TokenSequence sequence;
  for (const Token& token : tokens) sequence.append({token.first, token.second, 1});
  return sequence;
}

struct Held {
  NodeIndex node;
  NaiveTree::Node* naive;
};

void random_operations(const std::string& policy, std::int64_t page, RandomStream& random) {
  const TlruSettings tlru{random.integer(0, 20), random.integer(0, 10)};
  const EvictionPolicy rank = eviction_catalog().find(policy, "test").make(tlru);
  RadixTree tree(page, rank);
  NaiveTree naive(page, rank);
  std::vector<Held> held;
  for (int step = 0; step < 300; ++step) {
    const Tokens tokens = random_tokens(random);
    const TokenSequence sequence = sequence_of(tokens);
    const TokenKey key = sequence.key(sequence.length(), 0);
    const double what = random.uniform();
    if (what < 0.35) {
      const std::int64_t priority = random.integer(0, 3);
      const std::int64_t own = random.integer(0, sequence.length());
      const RadixTree::Insertion insertion = tree.insert(key, priority, own);
      BOOST_REQUIRE((naive.insert(tokens, priority, own) == std::pair{insertion.had, insertion.added}));
    } else if (what < 0.6) {
      const RadixTree::Match match = tree.match(key);
      const auto [node, hit] = naive.match(tokens);
      BOOST_REQUIRE_EQUAL(match.tokens, hit);
      if (held.size() < 6) {
        tree.lock(match.node);
        naive.lock(node, 1);
        held.push_back({match.node, node});
      }
    } else if (what < 0.8 && !held.empty()) {
      const auto which = static_cast<std::ptrdiff_t>(random.integer(0, std::ssize(held) - 1));
      tree.unlock(held[static_cast<std::size_t>(which)].node);
      naive.lock(held[static_cast<std::size_t>(which)].naive, -1);
      held.erase(held.begin() + which);
    } else {
      const std::int64_t wanted = random.integer(0, 12);
      std::vector<std::vector<std::int64_t>> out;
      std::int64_t naive_gone = 0;
      const std::int64_t gone = tree.evict(wanted, [&](const EvictedNode& n) { out.push_back({n.insertion, n.from, n.to}); });
      BOOST_REQUIRE(out == naive.evict(wanted, naive_gone));
      BOOST_REQUIRE_EQUAL(gone, naive_gone);
    }
    tree.check();
    BOOST_REQUIRE_EQUAL(tree.evictable(), naive.sum(false));
    BOOST_REQUIRE_EQUAL(tree.locked(), naive.sum(true));
  }
}

BOOST_AUTO_TEST_SUITE(radix_tree)

BOOST_AUTO_TEST_CASE(equals_a_naive_tree_under_every_policy) {
  for (const std::string& policy : eviction_catalog().names()) {
    for (const std::int64_t page : {1, 2, 4}) {
      for (std::uint64_t seed = 1; seed <= 25; ++seed) {
        RandomStream random(seed, "radix/" + policy);
        BOOST_TEST_CONTEXT(policy << " page " << page << " seed " << seed) { random_operations(policy, page, random); }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(keys_of_different_salts_share_nothing) {
  RadixTree tree(1, eviction_catalog().find("lru", "test").make({}));
  TokenSequence sequence;
  sequence.append({1, 0, 10});
  tree.insert(sequence.key(10, 0), 0, 0);
  BOOST_TEST(tree.match(sequence.key(10, 1)).tokens == 0);
  BOOST_TEST(tree.match(sequence.key(10, 0)).tokens == 10);
}

BOOST_AUTO_TEST_CASE(whole_nodes_go_and_locked_ones_stay) {
  RadixTree tree(4, eviction_catalog().find("lru", "test").make({}));
  TokenSequence one, two;
  one.append({1, 0, 17});
  two.append({1, 0, 8});
  two.append({2, 0, 8});
  tree.insert(one.key(17, 0), 0, 0);
  tree.insert(two.key(16, 0), 0, 0);
  BOOST_TEST(tree.evictable() == 24);  // 8 in common, 8 and 8 of their own; the 17th token fills no page
  const RadixTree::Match match = tree.match(one.key(11, 0));
  BOOST_TEST(match.tokens == 8);
  tree.lock(match.node);
  BOOST_TEST(tree.evict(1) == 8);
  BOOST_TEST(tree.evict(100) == 8);
  BOOST_TEST(tree.locked() == 8);
  tree.unlock(match.node);
  BOOST_TEST(tree.evict(100) == 8);
}

BOOST_AUTO_TEST_CASE(an_unknown_policy_is_named_with_the_known_ones) {
  BOOST_CHECK_EXCEPTION(static_cast<void>(eviction_catalog().find("lur", "f.yaml:3:4")), InputError, [](const InputError& error) {
    const std::string text = error.what();
    return text.find("f.yaml:3:4: unknown radix eviction policy \"lur\" (known: lru, lfu, slru, fifo, filo, mru, priority, tlru") == 0;
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace kvcast::sglang
