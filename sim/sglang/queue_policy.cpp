#include "sim/sglang/queue_policy.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace kvcast {

const Catalog<SglangPolicy>& sglang_policy_catalog() {
  static const Catalog<SglangPolicy> catalog(
      "schedule_policy",
      {
          {"fcfs", "first come, first served (SGLang's default)", SglangPolicy::fcfs},
          {"lof", "longest max_new_tokens first", SglangPolicy::lof},
          {"lpm", "longest cached prefix first; above 128 waiting as they came", SglangPolicy::lpm},
          {"dfs-weight", "depth first through the radix tree, heaviest subtree first",
           SglangPolicy::dfs_weight},
      });
  return catalog;
}

NewTokenRatio NewTokenRatio::of(double schedule_conservativeness) {
  NewTokenRatio ratio;
  ratio.start = std::min(0.7 * schedule_conservativeness, 1.0);
  ratio.floor = std::min(ratio.start * 0.14, 1.0);
  ratio.decay = (ratio.start - ratio.floor) / 600;
  return ratio;
}

namespace sglang {
namespace {

/// Of the passes that do not match the queue, one in so many does it for the queue's head, so that LRU keeps
/// these prefixes.
constexpr std::int64_t kRefreshEvery = 32;
constexpr std::size_t kRefreshed = 128;

SglangPolicy policy_of(const SglangSettings& settings) {
  const bool by_tree =
      settings.schedule_policy == SglangPolicy::lpm || settings.schedule_policy == SglangPolicy::dfs_weight;
  return by_tree && settings.disable_radix_cache ? SglangPolicy::fcfs : settings.schedule_policy;
}

}  // namespace

WaitingQueue::WaitingQueue(const SglangSettings& settings)
    : settings_(settings),
      policy_(policy_of(settings)),
      refreshes_(!settings.disable_radix_cache && settings.radix_eviction_policy == "lru"),
      scratch_(1, eviction_catalog().find("lru", "scratch").make({})) {}

void WaitingQueue::push_back(ReqIndex req) {
  queue_.push_back(req);
  appended_ = true;
}

std::int64_t WaitingQueue::sort(Reqs& reqs, KvPool& pool) {
  const bool few = static_cast<std::int64_t>(queue_.size()) <= settings_.lpm_fallback_waiting;
  if (policy_ == SglangPolicy::dfs_weight || (policy_ == SglangPolicy::lpm && few)) {
    const std::int64_t behind = match_all(reqs, *pool.tree());
    if (policy_ == SglangPolicy::lpm) {
      sort_by_prefix(reqs);
    } else {
      sort_by_subtree_weight(reqs, *pool.tree());
    }
    return behind;
  }
  if (refreshes_ && !queue_.empty() && plain_passes_++ % kRefreshEvery == 0) refresh(reqs, *pool.tree());
  if (policy_ == SglangPolicy::lof) sort_by_output(reqs);
  return 0;
}

std::int64_t WaitingQueue::match_all(Reqs& reqs, RadixTree& tree) {
  scratch_.clear();
  std::int64_t behind = 0;
  for (const ReqIndex i : queue_) {
    Req& req = reqs[to_index(i)];
    const TokenKey key = req.key(req.length());
    const RadixTree::Match match = tree.match(key);
    req.match_node = match.node;
    req.matched = std::min(match.tokens, req.length() - 1);
    req.put_behind = false;
    if (match.tokens > settings_.in_batch_prefix_check) continue;
    req.put_behind = scratch_.match(key).tokens >= settings_.in_batch_prefix_deprioritize;
    if (req.put_behind) {
      ++behind;
    } else {
      scratch_.insert(key, 0, 0);
    }
  }
  return behind;
}

void WaitingQueue::refresh(const Reqs& reqs, RadixTree& tree) {
  for (std::size_t i = std::min(queue_.size(), kRefreshed); i-- > 0;) {
    const Req& req = reqs[to_index(queue_[i])];
    static_cast<void>(tree.match(req.key(req.length())));
  }
}

void WaitingQueue::sort_by_prefix(const Reqs& reqs) {
  std::stable_sort(queue_.begin(), queue_.end(), [&](ReqIndex a, ReqIndex b) {
    const Req& left = reqs[to_index(a)];
    const Req& right = reqs[to_index(b)];
    if (left.put_behind || right.put_behind) return !left.put_behind;
    return left.matched > right.matched;
  });
}

void WaitingQueue::sort_by_output(const Reqs& reqs) {
  if (!std::exchange(appended_, false)) return;
  std::stable_sort(queue_.begin(), queue_.end(), [&](ReqIndex a, ReqIndex b) {
    return reqs[to_index(a)].max_new > reqs[to_index(b)].max_new;
  });
}

/// Depth first; of a node's children the one with the most waiting requests in its subtree first, ties in
/// order of creation; requests that end in a node after those in its subtrees.
void WaitingQueue::sort_by_subtree_weight(const Reqs& reqs, const RadixTree& tree) {
  struct Subtree {
    std::int64_t weight = 0;
    std::vector<ReqIndex> here;
    std::vector<NodeIndex> children;
  };
  std::map<NodeIndex, Subtree> subtrees;
  for (const ReqIndex i : queue_) {
    NodeIndex node = reqs[to_index(i)].match_node;
    subtrees[node].here.push_back(i);
    for (; node != kNoNode; node = tree.parent(node)) {
      const bool first = ++subtrees[node].weight == 1;
      if (first && node != kRoot) subtrees[tree.parent(node)].children.push_back(node);
    }
  }
  std::vector<std::pair<NodeIndex, bool>> stack{{kRoot, false}};  // with: its subtrees are done
  queue_.clear();
  while (!stack.empty()) {
    const auto [node, done] = stack.back();
    stack.pop_back();
    Subtree& subtree = subtrees[node];
    if (done) {
      queue_.insert(queue_.end(), subtree.here.begin(), subtree.here.end());
      continue;
    }
    stack.emplace_back(node, true);
    std::sort(subtree.children.begin(), subtree.children.end(), [&](NodeIndex a, NodeIndex b) {
      const std::int64_t left = subtrees[a].weight;
      const std::int64_t right = subtrees[b].weight;
      return left != right ? left < right : tree.place(a) > tree.place(b);  // the first is pushed last
    });
    for (const NodeIndex child : subtree.children) stack.emplace_back(child, false);
  }
}

}  // namespace sglang
}  // namespace kvcast
