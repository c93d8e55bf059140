/// What a router knows of the prefixes that replicas hold: what it sent where, or what their caches tell it.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "sim/cluster/router.h"

namespace kvcast {

/// approximate: a router that is not told of evictions remembers what it sent where, in blocks of a prompt's
/// front, of the largest size that divides every replica's blocks. Each replica's part holds as many tokens
/// as its KV pool and forgets the least recently sent ones, of one prompt the last blocks first. exact:
/// engines publish what they store and evict (vLLM's KV events, as Dynamo and llm-d read them), and the
/// router has read all of it.
enum class PrefixKnowledge { approximate, exact };

/// Reads prefix_index: approximate (default) or exact.
[[nodiscard]] PrefixKnowledge read_prefix_knowledge(Config& cluster);

class PrefixIndex {
 public:
  PrefixIndex(const RouterSetup& setup, PrefixKnowledge knowledge);

  /// Looks a request up: what of its front is held at each replica, which matched() tells until the next
  /// call.
  void look_up(const Request& request, std::span<const ReplicaLoad> loads);
  /// Tokens of the request's front that replica i holds.
  [[nodiscard]] std::int64_t matched(std::size_t i) const { return matched_[i]; }
  /// The request that was looked up goes to replica i.
  void insert(std::size_t i);

  /// See Router::changed(): a replica that closes is forgotten.
  void changed(std::size_t i, std::span<const ReplicaLoad> loads);

  /// Blocks that are remembered of replica i.
  [[nodiscard]] std::size_t held(std::size_t i) const { return parts_[i].order.size(); }
  /// What a router that asks this index needs besides.
  [[nodiscard]] bool needs_held_prefix() const { return knowledge_ == PrefixKnowledge::exact; }

 private:
  struct Part {
    std::size_t blocks_max = 0;
    std::size_t unit = 1;            // blocks of this index in one of the replica's
    std::list<std::uint64_t> order;  // the most recent in front
    std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> place;
  };

  PrefixKnowledge knowledge_;
  std::int64_t block_size_ = 0;
  std::vector<Part> parts_;
  std::vector<std::uint64_t> hashes_;  // of the request that was looked up
  std::vector<std::int64_t> matched_;  // in tokens
};

/// The open replica that holds most of the request that was looked up; of equals the one with fewer requests.
[[nodiscard]] std::size_t longest_match(const PrefixIndex& index, std::span<const ReplicaLoad> loads);

}  // namespace kvcast
