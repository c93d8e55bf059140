/// KV below the GPU's memory: host DRAM, SSD, a remote pool. Blocks are written there, and prefixes of
/// waiting sequences come back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/base/tier_totals.h"
#include "sim/kv/block_allocator.h"
#include "sim/kv/link.h"
#include "sim/kv/prefix_loader.h"
#include "sim/kv/tier_store.h"

namespace kvcast {

/// When a block goes down.
enum class TierWrites : std::uint8_t {
  through,  // to every tier, when the sequence that made or used it ends or gives way
  back,     // to the first tier when the pool evicts it, from there to the next, and so on
  on_hit,   // as `through`, once that many sequences have used it (HiCache: write_through_selective)
};

struct TierSpec {
  std::string name;
  Blocks capacity;
  LinkSpec read;         // to the GPU
  LinkSpec write;        // from it
  bool one_way = false;  // reads and writes share `read`, where a byte written takes `write`'s time
  EvictionMaker eviction = make_lru_eviction;
  FineTime lifetime = kFineNever;  // of a block since it was written
  bool shared = false;             // by all replicas, each with a link of its own
  std::vector<Outage>
      failures;  // from: all it holds and what is on its link is lost; until: it is back, empty
};

struct TiersSpec {
  std::vector<TierSpec> tiers;  // fastest first
  TierWrites writes = TierWrites::through;
  std::int64_t uses_before_write = 2;  // with on_hit
  std::int64_t block_tokens = 16;
  std::int64_t block_bytes = 0;
  bool load_always = false;  // false: only what arrives sooner than it would be computed
  bool by_layers =
      false;  // a step computes a layer while the next ones are loaded; else the sequence waits for all
  double cache_ratio = 1;   // share of the blocks found that is loaded; the rest is computed
  bool on_arrival = false;  // loads begin when a request arrives; else when it comes to the head of the queue
};

/// Stores that the replicas of one run have in common, by tier; null where each has its own.
struct SharedTiers {
  explicit SharedTiers(const TiersSpec& spec);
  std::vector<std::shared_ptr<TierStore>> stores;
  std::vector<class Tiers*> replicas;
};

/// Whether replicas have a store in common.
[[nodiscard]] bool shares_a_store(const TiersSpec& spec);

/// The tiers of one replica.
/// Contract:
/// - set_time() before anything else of a moment; moments never go back.
/// - What the pool evicts or releases is written at the next moment at which the engine plans for somebody
/// new or a
///   sequence leaves: those moments are the same however the engine walks through its steps.
/// - A load is one transfer a tier; its sequence waits for the last. A tier that fails ends the loads that it
/// has a part
///   in; their sequences go back to the queue with nothing.
/// - on_arrival: a load that is under way when its sequence comes to the head is waited for; where there is
/// none,
///   or its tokens no longer follow those in the pool, the head is asked as it is without.
/// - A block that somebody sends to a tier is not sent there again.
/// - A block that is on its way down is not found there yet; it needs no room in the pool.
class Tiers final : public PrefixLoader, public BlockWatcher {
 public:
  /// Time to compute `tokens` of a prompt behind `cached` others.
  using Recompute = std::function<FineTime(std::int64_t cached, std::int64_t tokens)>;

  Tiers(const TiersSpec& spec, SharedTiers& shared, Recompute recompute);

  void set_time(FineTime now);
  [[nodiscard]] FineTime now() const { return now_; }
  /// When something happens to a load that somebody waits for; kFineNever: nobody does.
  [[nodiscard]] FineTime next_event();
  /// Sequences whose load has ended since the last call, in order of the ends.
  [[nodiscard]] std::vector<std::uint32_t> take_ended();
  /// Writes what was released. To be called when the engine has planned or given output.
  void flush_released();
  /// With by_layers: when the last of those just admitted has all its KV; -1: all have. Forgets it.
  [[nodiscard]] FineTime take_loaded_by();
  /// Whether some sequence in the queue has loaded tokens that it has not taken: they are lost to it when the
  /// pool evicts what they build on, which any step may do.
  [[nodiscard]] bool holds_loads() const { return with_load_ > waiting_; }
  /// Counts so far; for the end of a run.
  [[nodiscard]] std::vector<TierTotals> totals(bool counts_shared);

  bool begins(std::uint32_t seq, BlockAllocator& allocator, BlockTable& table, Tokens found,
              Tokens known) override;
  [[nodiscard]] bool prefetches() const override { return spec_.on_arrival; }
  void arrives(std::uint32_t seq, BlockAllocator& allocator, BlockTable& table, Tokens found,
               Tokens known) override;
  [[nodiscard]] Tokens usable(std::uint32_t seq, Tokens found) const override;
  void admitted(std::uint32_t seq) override;
  void forget(std::uint32_t seq) override;
  /// When the sequence began to wait for its latest load.
  [[nodiscard]] FineTime began(std::uint32_t seq) const { return states_[seq].began; }
  [[nodiscard]] std::vector<std::uint64_t>& released() override { return released_; }
  [[nodiscard]] bool hears_of_evictions() const override { return spec_.writes != TierWrites::through; }
  void evicted(std::uint64_t key) override;

 private:
  struct Read {
    Link::Flow flow;
    std::uint32_t seq;
    std::int64_t blocks;
  };
  struct Write {
    Link::Flow flow;
    std::vector<TierStore::Sent> blocks;
  };
  struct Tier {
    explicit Tier(const TierSpec& tier_spec);
    const TierSpec* spec;
    Link read;
    Link write;  // unused where it is one way
    std::shared_ptr<TierStore> store;
    std::vector<Read> reads;    // in order of start
    std::vector<Write> writes;  // likewise
    std::size_t failures_past = 0;
    TierTotals totals;
    [[nodiscard]] Link& down() { return spec->one_way ? read : write; }
    [[nodiscard]] bool works(FineTime now) const;
    [[nodiscard]] FineTime next_failure() const;
  };
  struct Segment {
    std::size_t tier;
    std::int64_t blocks;
  };
  struct State {              // of a sequence
    bool asked = false;       // at the head of the queue
    bool waits = false;       // apart from the queue, for the last transfer
    std::int64_t base = 0;    // tokens in the pool when the load began
    std::int64_t loaded = 0;  // tokens behind them, loaded or on their way
    int parts = 0;            // transfers under way
    FineTime by = -1;         // by_layers: when all is there
    FineTime began = 0;
  };

  [[nodiscard]] State& state(std::uint32_t seq);
  void start_load(std::uint32_t seq, BlockAllocator& allocator, BlockTable& table, Tokens found,
                  Tokens known);
  void drop_load(State& s) {
    if (s.loaded > 0) --with_load_;
    s.loaded = 0;
  }
  void advance(FineTime now);
  void set_time_of_all(FineTime now);
  void step_to(FineTime at);
  bool read_arrived(Tier& tier, Link::Flow flow);
  void written(Tier& tier, Link::Flow flow);
  void fail(Tier& tier, FineTime at);
  void abort(std::uint32_t seq, FineTime at);
  void stop_waiting(std::uint32_t seq);
  void store(std::size_t tier, std::span<const TierStore::Sent> blocks);
  void write(std::size_t tier, std::span<const BlockKey> keys);
  void flush();
  [[nodiscard]] std::vector<Segment> segments(BlockAllocator& allocator, BlockTable& table,
                                              std::int64_t first, std::int64_t end);
  [[nodiscard]] FineTime arrival_of(const std::vector<Segment>& load);
  void drop_what_is_too_slow(std::vector<Segment>& load, std::int64_t found);
  [[nodiscard]] FineTime next_of_all();

  const TiersSpec& spec_;
  SharedTiers& shared_;
  Recompute recompute_;
  std::vector<Tier> tiers_;
  std::vector<State> states_;
  std::vector<BlockKey> released_, evicted_;
  KeyMap uses_;  // with on_hit: by blocks of the pool
  std::vector<std::uint32_t> ended_;
  std::int64_t waiting_ = 0;    // sequences that wait for a load
  std::int64_t with_load_ = 0;  // those, and the ones that have not taken what was loaded
  FineTime now_ = 0;
  FineTime next_ = kFineNever;  // nothing happens on any link before
  FineTime loaded_by_ = -1;
};

}  // namespace kvcast
