/// What a router remembers of prompts: which prefixes it sent where. An approximation of the engines' caches,
/// as routers keep it that are not told of what engines evict.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "sim/cluster/router.h"

namespace kvcast {

/// Contract: counts whole blocks of a prompt's front. Each replica's part holds as many blocks as its KV pool
/// and forgets the least recently sent ones, of one prompt the last blocks first.
class PrefixIndex {
 public:
  PrefixIndex(std::size_t replicas, const PoolSize& pool);

  /// Looks a request up: its blocks that are held at each replica, which matched() tells until the next call.
  void look_up(const Request& request);
  /// Tokens of the request's front that replica i holds.
  [[nodiscard]] std::int64_t matched(std::size_t i) const { return matched_[i] * block_size_; }
  /// The request that was looked up goes to replica i.
  void insert(std::size_t i);

  [[nodiscard]] std::int64_t block_size() const { return block_size_; }
  /// Blocks that are remembered of replica i.
  [[nodiscard]] std::size_t held(std::size_t i) const { return parts_[i].order.size(); }

 private:
  struct Part {
    std::list<std::uint64_t> order;  // the most recent in front
    std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> place;
  };

  std::int64_t block_size_;
  std::size_t blocks_max_;
  std::vector<Part> parts_;
  std::vector<std::uint64_t> hashes_;  // of the request that was looked up
  std::vector<std::int64_t> matched_;
};

/// The replica that holds most of the request that was looked up; of equals the one with fewer requests.
[[nodiscard]] std::size_t longest_match(const PrefixIndex& index, std::span<const ReplicaLoad> loads);

}  // namespace kvcast
