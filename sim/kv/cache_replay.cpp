#include "sim/kv/cache_replay.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <utility>

#include "sim/base/error.h"

namespace kvcast {
namespace {

constexpr Slot kAbsent = ~Slot{0};

/// Counts the lookups of a request that are resident in a run from its start.
template <class Resident>
void look_up(const ReferenceStream& stream, const ReferenceStream::Request& request, const Resident& resident,
             CacheResult& result) {
  for (std::size_t i = request.begin; i < request.lookups_end; ++i) {
    if (!resident(stream.pages()[i])) return;
    ++result.hits;
    result.hit_tokens += stream.tokens(request, i);
  }
}

}  // namespace

CacheResult replay_cache(const ReferenceStream& stream, EvictionMaker maker, std::size_t capacity) {
  CacheResult result;
  result.capacity = capacity;
  if (capacity == 0) return result;
  const std::size_t slots = std::min(capacity, stream.distinct());
  const auto policy = maker(capacity);
  std::vector<Slot> slot_of(stream.distinct(), kAbsent);
  std::vector<ReferenceStream::Page> page_in(slots);
  Slot used = 0;
  for (const ReferenceStream::Request& request : stream.requests()) {
    look_up(
        stream, request, [&](ReferenceStream::Page page) { return slot_of[page] != kAbsent; }, result);
    const std::int64_t end_token =
        request.prompt + static_cast<std::int64_t>(request.end - request.lookups_end) * stream.block_size();
    for (std::size_t i = request.begin; i < request.end; ++i) {
      const ReferenceStream::Page page = stream.pages()[i];
      if (slot_of[page] != kAbsent) {
        ++result.resident_hits;
        policy->hit(slot_of[page]);
        continue;
      }
      Slot slot = used;
      if (used < slots) {
        ++used;
      } else {
        slot = policy->victim(stream.key(page));
        slot_of[page_in[slot]] = kAbsent;
      }
      slot_of[page] = slot;
      page_in[slot] = page;
      const std::int64_t begin_token = static_cast<std::int64_t>(i - request.begin) * stream.block_size();
      policy->inserted(slot,
                       {stream.key(page), recompute_cost(begin_token, std::max(end_token, begin_token + 1))});
    }
  }
  return result;
}

namespace {

/// Which references are the last to their page so far, in order of time, with prefix sums (Fenwick 1994).
/// Times are renumbered when they run out, so that the tree is as large as twice the distinct pages.
class LastReferences {
 public:
  explicit LastReferences(std::size_t pages)
      : last_(pages, 0), page_at_(2 * pages + 2, kNobody), sums_(2 * pages + 2, 0) {}

  /// Distinct pages referenced since the page's last reference, itself included; 0 for its first. The page's
  /// last reference is now.
  std::size_t refer(ReferenceStream::Page page) {
    if (now_ + 1 == page_at_.size()) renumber();
    std::size_t distance = 0;
    if (last_[page] != 0) {
      distance = live_ - sum(last_[page]) + 1;
      take_out(last_[page]);
    }
    put(++now_, page);
    return distance;
  }

 private:
  static constexpr ReferenceStream::Page kNobody = ~ReferenceStream::Page{0};

  void put(std::size_t time, ReferenceStream::Page page) {
    last_[page] = time;
    page_at_[time] = page;
    ++live_;
    for (std::size_t i = time; i < sums_.size(); i += i & (~i + 1)) ++sums_[i];
  }
  void take_out(std::size_t time) {
    page_at_[time] = kNobody;
    --live_;
    for (std::size_t i = time; i < sums_.size(); i += i & (~i + 1)) --sums_[i];
  }
  [[nodiscard]] std::size_t sum(std::size_t time) const {
    std::size_t sum = 0;
    for (std::size_t i = time; i > 0; i -= i & (~i + 1)) sum += sums_[i];
    return sum;
  }
  void renumber() {
    std::vector<ReferenceStream::Page> live;
    live.reserve(live_);
    for (const ReferenceStream::Page page : page_at_) {
      if (page != kNobody) live.push_back(page);
    }
    std::fill(page_at_.begin(), page_at_.end(), kNobody);
    std::fill(sums_.begin(), sums_.end(), 0);
    now_ = live_ = 0;
    for (const ReferenceStream::Page page : live) put(++now_, page);
  }

  std::vector<std::size_t> last_;               // time of each page's last reference; 0: none
  std::vector<ReferenceStream::Page> page_at_;  // by time
  std::vector<std::uint32_t> sums_;
  std::size_t now_ = 0;
  std::size_t live_ = 0;
};

}  // namespace

std::vector<CacheResult> replay_lru(const ReferenceStream& stream, std::span<const std::size_t> capacities) {
  KVCAST_CHECK(std::is_sorted(capacities.begin(), capacities.end()));
  std::vector<CacheResult> results(capacities.size());
  const auto smallest_with = [&](std::size_t distance) {
    return static_cast<std::size_t>(std::lower_bound(capacities.begin(), capacities.end(), distance) -
                                    capacities.begin());
  };
  LastReferences references(stream.distinct());
  for (const ReferenceStream::Request& request : stream.requests()) {
    std::size_t needed = 0;  // blocks of a cache that has the run from the prompt's start up to here
    for (std::size_t i = request.begin; i < request.end; ++i) {
      const std::size_t distance = references.refer(stream.pages()[i]);
      if (distance > 0) {
        const std::size_t at = smallest_with(distance);
        if (at < results.size()) ++results[at].resident_hits;
      }
      if (i >= request.lookups_end || needed == std::numeric_limits<std::size_t>::max()) continue;
      needed = distance == 0 ? std::numeric_limits<std::size_t>::max() : std::max(needed, distance);
      const std::size_t at = smallest_with(needed);
      if (at == results.size()) continue;
      ++results[at].hits;
      results[at].hit_tokens += stream.tokens(request, i);
    }
  }
  for (std::size_t c = 0; c < results.size(); ++c) {
    results[c].capacity = capacities[c];
    if (c == 0) continue;
    results[c].hits += results[c - 1].hits;
    results[c].hit_tokens += results[c - 1].hit_tokens;
    results[c].resident_hits += results[c - 1].resident_hits;
  }
  return results;
}

CacheResult replay_belady(const ReferenceStream& stream, std::size_t capacity) {
  CacheResult result;
  result.capacity = capacity;
  if (capacity == 0) return result;
  const std::vector<ReferenceStream::Page>& pages = stream.pages();
  constexpr std::uint32_t kUnused = ~std::uint32_t{0};
  KVCAST_CHECK(pages.size() < kUnused);
  std::vector<std::uint32_t> next(pages.size(), kUnused);  // reference to the same page
  std::vector<std::uint32_t> seen(stream.distinct(), kUnused);
  for (std::size_t i = pages.size(); i-- > 0;)
    next[i] = std::exchange(seen[pages[i]], static_cast<std::uint32_t>(i));
  // Residents by the reference that asks for them next, latest first; entries of references that have passed
  // are stale.
  std::priority_queue<std::uint32_t> latest;
  std::vector<char> resident(stream.distinct(), 0);
  std::size_t used = 0;
  for (const ReferenceStream::Request& request : stream.requests()) {
    look_up(
        stream, request, [&](ReferenceStream::Page page) { return resident[page] != 0; }, result);
    for (std::size_t i = request.begin; i < request.end; ++i) {
      const ReferenceStream::Page page = pages[i];
      if (resident[page] != 0) ++result.resident_hits;
      if (resident[page] == 0) {
        if (next[i] == kUnused) continue;
        if (used == capacity) {
          // A stale entry names a reference before this one, so it lies below every entry in force.
          const std::uint32_t last = latest.top();
          if (last <= next[i]) continue;
          latest.pop();
          resident[pages[last]] = 0;
          --used;
        }
        resident[page] = 1;
        ++used;
      } else if (next[i] == kUnused) {
        resident[page] = 0;  // nobody asks for it again
        --used;
        continue;
      }
      latest.push(next[i]);
    }
  }
  return result;
}

}  // namespace kvcast
