/// The waiting queue and its orders.
#pragma once

#include <cstdint>
#include <deque>

#include "sim/sglang/kv_pool.h"
#include "sim/sglang/req.h"
#include "sim/sglang/settings.h"

namespace kvcast::sglang {

/// Contract: sorts are stable and in place, so the queue keeps its order from one pass to the next.
class WaitingQueue {
 public:
  explicit WaitingQueue(const SglangSettings& settings);

  void push_back(ReqIndex req);
  [[nodiscard]] std::size_t size() const { return queue_.size(); }
  [[nodiscard]] bool empty() const { return queue_.empty(); }
  [[nodiscard]] ReqIndex operator[](std::size_t i) const { return queue_[i]; }
  /// Orders the queue for one admission pass. Returns the requests put behind by the in-batch prefix rule.
  [[nodiscard]] std::int64_t sort(Reqs& reqs, KvPool& pool);
  void drop_front(std::size_t n) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(n));
  }

 private:
  [[nodiscard]] std::int64_t match_all(Reqs& reqs, RadixTree& tree);
  void refresh(const Reqs& reqs, RadixTree& tree);
  void sort_by_prefix(const Reqs& reqs);
  void sort_by_subtree_weight(const Reqs& reqs, const RadixTree& tree);
  void sort_by_output(const Reqs& reqs);

  const SglangSettings& settings_;
  SglangPolicy policy_;
  bool refreshes_;
  std::deque<ReqIndex> queue_;
  RadixTree scratch_;              // prompts of this pass, for the in-batch rule
  std::int64_t plain_passes_ = 0;  // that did not match the queue against the tree
  bool appended_ = false;          // since the last sort by output
};

}  // namespace kvcast::sglang
