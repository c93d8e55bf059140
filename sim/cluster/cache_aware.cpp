// SGLang's cache-aware router (lmsys.org/blog/2024-12-04-sglang-v0-4; its options and their defaults are
// those of the SGLang model gateway, docs "cache-aware routing"): when the loads differ by more than both
// thresholds, the least loaded; else the longest match if it covers enough of the prompt; else the replica of
// which the router remembers least.
#include "sim/base/config.h"
#include "sim/cluster/prefix_index.h"

namespace kvcast {
namespace {

struct Thresholds {
  double cache;              // share of the prompt that a match must exceed
  std::int64_t balance_abs;  // requests
  double balance_rel;
};

class CacheAware final : public Router {
 public:
  CacheAware(const RouterSetup& setup, const Thresholds& thresholds)
      : index_(setup, PrefixKnowledge::approximate), thresholds_(thresholds) {}

  [[nodiscard]] std::optional<ReplicaId> pick(const Request& request,
                                              std::span<const ReplicaLoad> loads) override {
    index_.look_up(request, loads);
    const std::size_t picked = choose(request, loads);
    index_.insert(picked);
    return static_cast<ReplicaId>(picked);
  }
  void changed(std::size_t i, std::span<const ReplicaLoad> loads) override { index_.changed(i, loads); }
  [[nodiscard]] RouterNeeds needs() const override { return {.requests = true}; }

 private:
  [[nodiscard]] std::size_t choose(const Request& request, std::span<const ReplicaLoad> loads) const {
    const std::size_t first = first_open(loads);
    std::size_t least = first, most = first;
    for (std::size_t i = first + 1; i < loads.size(); ++i) {
      if (!loads[i].open) continue;
      if (loads[i].requests < loads[least].requests) least = i;
      if (loads[i].requests > loads[most].requests) most = i;
    }
    const std::int64_t fewest = loads[least].requests;
    const bool unbalanced = loads[most].requests - fewest > thresholds_.balance_abs &&
                            static_cast<double>(loads[most].requests) >
                                thresholds_.balance_rel * static_cast<double>(fewest);
    if (unbalanced) return least;
    const std::size_t longest = longest_match(index_, loads);
    const auto matched = static_cast<double>(index_.matched(longest));
    if (matched > thresholds_.cache * static_cast<double>(request.input.value)) return longest;
    std::size_t emptiest = first;
    for (std::size_t i = first + 1; i < loads.size(); ++i) {
      if (loads[i].open && index_.held(i) < index_.held(emptiest)) emptiest = i;
    }
    return emptiest;
  }

  PrefixIndex index_;
  Thresholds thresholds_;
};

}  // namespace

RouterMaker make_cache_aware(Config& cluster) {
  Config own = cluster.child("cache_aware");
  const Thresholds thresholds{.cache = own.get_real("cache_threshold", {0, 1}, 0.3),
                              .balance_abs = own.get_int("balance_abs_threshold", {0, 1 << 30}, 64),
                              .balance_rel = own.get_real("balance_rel_threshold", {1, 1e9}, 1.5)};
  return [thresholds](const RouterSetup& setup) { return std::make_unique<CacheAware>(setup, thresholds); };
}

}  // namespace kvcast
