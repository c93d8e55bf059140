#include "sim/cluster/prefix_index.h"

#include <algorithm>
#include <numeric>

#include "sim/base/config.h"
#include "sim/cluster/prompt_content.h"
#include "sim/kv/content_chain.h"

namespace kvcast {

PrefixKnowledge read_prefix_knowledge(Config& cluster) {
  return cluster.get_choice("prefix_index", {"approximate", "exact"}, "approximate") == "exact"
             ? PrefixKnowledge::exact
             : PrefixKnowledge::approximate;
}

PrefixIndex::PrefixIndex(const RouterSetup& setup, PrefixKnowledge knowledge)
    : knowledge_(knowledge), parts_(setup.replicas.size()), matched_(setup.replicas.size()) {
  for (const ReplicaFacts& replica : setup.replicas)
    block_size_ = std::gcd(block_size_, replica.pool.block_size.value);
  for (std::size_t i = 0; i < parts_.size() && block_size_ > 0; ++i) {
    const PoolSize& pool = setup.replicas[i].pool;
    parts_[i].unit = static_cast<std::size_t>(std::max<std::int64_t>(1, pool.block_size.value / block_size_));
    parts_[i].blocks_max = static_cast<std::size_t>(pool.blocks.value) * parts_[i].unit;
  }
}

void PrefixIndex::look_up(const Request& request, std::span<const ReplicaLoad> loads) {
  if (knowledge_ == PrefixKnowledge::exact) {
    for (std::size_t i = 0; i < loads.size(); ++i) matched_[i] = loads[i].held_prefix.value;
    return;
  }
  hashes_.clear();
  matched_.assign(parts_.size(), 0);
  Content content = content_of(request);
  if (content.is_private || block_size_ == 0) return;  // nobody asks for it again, or there is no cache
  ContentChain chain(std::move(content), block_size_);
  const auto blocks = static_cast<std::size_t>(request.input.value / block_size_);
  for (std::size_t b = 0; b < blocks; ++b) hashes_.push_back(chain.hash(b));
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    std::size_t n = 0;
    while (n < blocks && parts_[i].place.contains(hashes_[n])) ++n;
    matched_[i] = static_cast<std::int64_t>(n - n % parts_[i].unit) * block_size_;
  }
}

void PrefixIndex::insert(std::size_t i) {
  Part& part = parts_[i];
  for (std::size_t b = hashes_.size(); b-- > 0;) {
    const auto [at, is_new] = part.place.try_emplace(hashes_[b]);
    if (is_new) {
      part.order.push_front(hashes_[b]);
      at->second = part.order.begin();
    } else {
      part.order.splice(part.order.begin(), part.order, at->second);
    }
    if (part.order.size() <= part.blocks_max) continue;
    part.place.erase(part.order.back());
    part.order.pop_back();
  }
}

void PrefixIndex::changed(std::size_t i, std::span<const ReplicaLoad> loads) {
  if (!loads[i].open) parts_[i] = {};
}

std::size_t longest_match(const PrefixIndex& index, std::span<const ReplicaLoad> loads) {
  std::size_t best = first_open(loads);
  for (std::size_t i = best + 1; i < loads.size(); ++i) {
    if (!loads[i].open) continue;
    const bool longer = index.matched(i) > index.matched(best);
    const bool equal = index.matched(i) == index.matched(best);
    if (longer || (equal && loads[i].requests < loads[best].requests)) best = i;
  }
  return best;
}

}  // namespace kvcast
