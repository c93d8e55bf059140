/// Base of the sources whose requests may wait for the end of another: sessions and closed loops.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "workloads/source.h"

namespace kvcast {

/// Contract: the derived class names its requests by nodes (numbers that grow in the order of the workload),
/// adds each as a root with its arrival or as a child of another node, and makes the Request when it is
/// taken. Ties in time are taken in order of node. Memory: nodes that were added and not yet made, and nodes
/// made whose children still wait for their end.
class ChainSource : public WorkloadSource {
 public:
  using Node = std::uint64_t;

  /// \param closed whether children exist: without them the source is an open loop
  explicit ChainSource(bool closed) : closed_(closed) {}

  [[nodiscard]] std::optional<Instant> next_arrival() final;
  [[nodiscard]] Request take() final;
  [[nodiscard]] bool has_feedback() const final { return closed_; }
  void finished(RequestId id, Instant when) final;
  [[nodiscard]] RequestOrigin origin() const final { return origin_; }

 protected:
  void add_root(Node node, Instant arrival) { ready_.push({arrival, {node, "", {}, kStart}}); }
  /// Before the parent is taken. Arrives `think` after the parent's end, and not before `not_before`.
  void add_child(Node node, Node parent, Duration think, Instant not_before = kStart);

  struct Upcoming {
    Instant arrival;
    Node node = 0;
  };
  /// The earliest root that load() would add, or a bound below it; nullopt when there is nothing more to
  /// load.
  [[nodiscard]] virtual std::optional<Upcoming> upcoming() = 0;
  /// Adds the next roots (none before upcoming()) and their descendants.
  virtual void load() = 0;
  /// Makes the node's request: everything but id and arrival. Called once for each node.
  [[nodiscard]] virtual Request make(Node node, RequestId id) = 0;

 private:
  struct Ready {
    Instant arrival;
    RequestOrigin origin;  // its key is the node

    friend bool operator>(const Ready& a, const Ready& b) {
      return a.arrival != b.arrival ? a.arrival > b.arrival : a.origin.key > b.origin.key;
    }
  };
  struct Child {
    Node node = 0;
    Duration think{};
    Instant not_before;
  };
  struct Running {
    std::string name;
    std::vector<Child> children;
  };

  bool closed_;
  std::uint64_t taken_ = 0;
  RequestOrigin origin_;
  std::priority_queue<Ready, std::vector<Ready>, std::greater<>> ready_;
  std::unordered_map<Node, std::vector<Child>> children_;  // looked up only, never walked
  std::unordered_map<std::uint64_t, Running> running_;     // by request number; likewise
};

}  // namespace kvcast
