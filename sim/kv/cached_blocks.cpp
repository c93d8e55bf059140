// vLLM's KV cache manager (vllm/v1/core/kv_cache_manager.py, kv_cache_coordinator.py,
// single_type_kv_cache_manager.py of 0.32): groups of full and sliding-window attention over one pool, found
// again by the hash of everything before a block's end.
#include "sim/kv/cached_blocks.h"

#include <algorithm>
#include <optional>
#include <span>

#include "sim/base/shares.h"
#include "sim/kv/content_chain.h"

namespace kvcast {
namespace {

/// A sequence's blocks in one group, in order; what a window has passed is null.
struct GroupTable {
  std::vector<BlockId> blocks;
  std::int64_t committed = 0;  // leading blocks that are findable, or passed over
};

/// How many of a lookup's finds were unused, when the pool had a version.
struct UnusedFound {
  std::uint64_t version = ~std::uint64_t{0};
  std::int64_t blocks = 0;
};

constexpr std::uint64_t kNeverSeen = ~std::uint64_t{0};

struct Record {
  ContentChain chain;
  std::int64_t prompt = 0;
  std::vector<GroupTable> groups;
  bool findable = true;                     // its full blocks are entered by key: somebody may ask for them
  bool admitted = false;                    // holds blocks: a lookup's finds have been taken
  std::int64_t junction = 0;                // longest hit of one kind beyond the common hit; 0: none
  std::vector<std::vector<BlockId>> found;  // by group, of the last lookup
  std::int64_t hit = 0;
  mutable std::vector<UnusedFound> unused;  // by group
  std::uint64_t seen_version = kNeverSeen;  // of the pools when it was looked up last, as so many tokens
  std::int64_t seen_known = 0;
};

/// Groups that are looked up together: equal block size and window.
struct Kind {
  std::int64_t block_size;
  std::int64_t window;
  bool chunks;
  std::vector<std::size_t> members;
};

class CachedBlocks final : public BlockAllocator {
 public:
  CachedBlocks(const CachedBlocksSettings& settings, Blocks usable)
      : settings_(settings),
        pool_(usable - bounded_part(settings, usable), settings.caching, settings.free_order,
              settings.eviction) {
    if (settings.bounded_share > 0)
      bounded_pool_.emplace(bounded_part(settings, usable), settings.caching, settings.free_order,
                            settings.eviction);
    for (std::size_t g = 0; g < settings_.groups.size(); ++g) {
      const KvGroup& group = settings_.groups[g];
      const auto same = std::find_if(kinds_.begin(), kinds_.end(), [&](const Kind& kind) {
        return kind.block_size == group.block_size && kind.window == group.window &&
               kind.chunks == group.chunks;
      });
      if (same != kinds_.end()) {
        same->members.push_back(g);
      } else {
        kinds_.push_back({group.block_size, group.window, group.chunks, {g}});
      }
    }
    std::stable_sort(kinds_.begin(), kinds_.end(),
                     [](const Kind& a, const Kind& b) { return a.window == 0 && b.window != 0; });
  }

  [[nodiscard]] Tokens block_size() const override { return Tokens{settings_.groups.front().block_size}; }
  [[nodiscard]] Blocks total() const override {
    return bounded_pool_ ? pool_.total() + bounded_pool_->total() : pool_.total();
  }
  [[nodiscard]] Blocks free() const override {
    return bounded_pool_ ? pool_.free() + bounded_pool_->free() : pool_.free();
  }
  [[nodiscard]] Blocks free_for_any() const override {
    return bounded_pool_ ? std::min(pool_.free(), bounded_pool_->free()) : pool_.free();
  }
  [[nodiscard]] Growing growing() const override { return is_plain() ? Growing::by_name : Growing::by_step; }

  void open(BlockTable& table, Content&& content) override {
    if (unused_.empty()) {
      unused_.push_back(static_cast<std::uint32_t>(records_.size()));
      records_.emplace_back();
    }
    table.handle = unused_.back();
    unused_.pop_back();
    Record& r = record(table);
    r.prompt = 0;
    for (const Content::Run& run : content.prompt) r.prompt += run.length.value;
    r.findable = !content.is_private;
    r.chain = ContentChain(std::move(content), settings_.hash_unit);
    r.groups.resize(settings_.groups.size());
    r.found.resize(settings_.groups.size());
    r.unused.resize(settings_.groups.size());
    forget_lookup(r);
    r.junction = 0;
    r.admitted = false;
  }

  void watch(BlockWatcher* watcher) override { pool_.watch(watcher); }
  [[nodiscard]] std::uint64_t content_key(const BlockTable& table, std::int64_t index) override {
    Record& r = record(table);
    return r.findable ? key(r, settings_.groups.front().block_size, index, 0) : 0;
  }

  /// The free queue does: a sequence gives back its last block first. A policy may keep that one longest.
  [[nodiscard]] bool evicts_ends_first() const override { return !pool_.has_policy(); }

  void close(BlockTable& table) override {
    KVCAST_CHECK(!record(table).admitted);
    unused_.push_back(table.handle);
  }

  [[nodiscard]] Tokens lookup(BlockTable& table, Tokens known) override {
    Record& r = record(table);
    KVCAST_CHECK(!r.admitted);
    // The head of a queue is looked up in every step that it waits in.
    const std::uint64_t version = content_version();
    if (r.seen_version == version && r.seen_known == known.value) return Tokens{r.hit};
    forget_lookup(r);
    r.seen_version = version;
    r.seen_known = known.value;
    r.junction = 0;
    if (settings_.caching && r.findable) find_common(r, known.value - 1);
    return Tokens{r.hit};
  }

  [[nodiscard]] Blocks needed(const BlockTable& table, Tokens slots) const override {
    return table.handle == BlockTable::kUnopened ? needed_by_anybody(slots.value)
                                                 : needed(records_[table.handle], slots.value, false);
  }
  [[nodiscard]] Blocks needed_whole(const BlockTable& table, Tokens known) const override {
    return needed(records_[table.handle], known.value, true);
  }

  [[nodiscard]] bool grow(BlockTable& table, const Growth& growth) override {
    Record& r = record(table);
    if (r.admitted && is_plain()) return grow_plain(r, growth);
    pass_windows(r, growth.computed.value - growth.in_flight.value);
    if (needed(r, growth.slots.value, false) > free()) return false;
    if (!r.admitted) adopt(r);
    for (std::size_t g = 0; g < r.groups.size(); ++g) {
      const std::int64_t wanted = ceil_div(growth.slots.value, settings_.groups[g].block_size);
      std::vector<BlockId>& blocks = r.groups[g].blocks;
      const std::int64_t lacks = wanted - static_cast<std::int64_t>(blocks.size());
      if (lacks > 0) pool(g).take(lacks, blocks);
    }
    commit(r, growth.shareable.value);
    return true;
  }

  void commit(BlockTable& table, Tokens shareable) override {
    if (record(table).admitted) commit(record(table), shareable.value);
  }

  void release(BlockTable& table) override {
    Record& r = record(table);
    for (std::size_t g = 0; g < r.groups.size(); ++g) {
      GroupTable& group = r.groups[g];
      pool(g).release_backwards(group.blocks);
      group.blocks.clear();
      group.committed = 0;
    }
    r.admitted = false;
    forget_lookup(r);
  }

  /// What was private so far can be found by the sequence itself from here on.
  void suspend(BlockTable& table) override {
    Record& r = record(table);
    if (settings_.caching && !r.findable) {
      r.findable = true;
      ++entered_;
      for (std::size_t g = 0; g < r.groups.size(); ++g) {
        for (std::int64_t i = 0; i < r.groups[g].committed; ++i) {
          const BlockId id = r.groups[g].blocks[static_cast<std::size_t>(i)];
          if (id != kNullBlock && pool(g).key(id) == BlockPool::kUnfindable) {
            pool(g).enter(key(r, settings_.groups[g].block_size, i, g), id);
          }
        }
      }
    }
    release(table);
  }

  [[nodiscard]] Blocks growth_bound(std::int64_t tables, std::int64_t steps) const override {
    Demand demand;
    for (const KvGroup& group : settings_.groups)
      demand.of(group) += (ceil_div(steps, group.block_size) + 1) * tables;
    return covered(demand);
  }

 private:
  [[nodiscard]] Record& record(const BlockTable& table) { return records_[table.handle]; }

  /// One group, which keeps all.
  [[nodiscard]] bool is_plain() const {
    return settings_.groups.size() == 1 && settings_.groups.front().window == 0;
  }

  /// grow() of a sequence that holds blocks: what most steps of most deployments do.
  [[nodiscard]] bool grow_plain(Record& r, const Growth& growth) {
    std::vector<BlockId>& blocks = r.groups.front().blocks;
    const std::int64_t lacks = ceil_div(growth.slots.value, settings_.groups.front().block_size) -
                               static_cast<std::int64_t>(blocks.size());
    if (lacks > 0) {
      if (Blocks{lacks} > pool_.free()) return false;
      pool_.take(lacks, blocks);
    }
    commit(r, growth.shareable.value);
    return true;
  }

  static void forget_lookup(Record& r) {
    for (std::vector<BlockId>& found : r.found) found.clear();
    for (UnusedFound& count : r.unused) count = {};
    r.hit = 0;
    r.seen_version = kNeverSeen;
  }

  /// Another number than before whenever a block may be found that was not, or no longer.
  [[nodiscard]] std::uint64_t content_version() const {
    return entered_ + pool_.version() + (bounded_pool_ ? bounded_pool_->version() : 0);
  }

  [[nodiscard]] static std::int64_t passed_tokens(const KvGroup& group, std::int64_t computed) {
    if (group.chunks) return computed / group.window * group.window;
    return group.window == 0 ? 0 : std::max<std::int64_t>(0, computed - group.window + 1);
  }

  /// Blocks asked of the two pools.
  struct Demand {
    std::int64_t blocks = 0;
    std::int64_t bounded = 0;
    [[nodiscard]] std::int64_t& of(const KvGroup& group) { return group.bounded ? bounded : blocks; }
  };
  [[nodiscard]] static Blocks bounded_part(const CachedBlocksSettings& settings, Blocks usable) {
    return Blocks{share_of(usable.value, settings.bounded_share)};
  }
  [[nodiscard]] BlockPool& pool(std::size_t g) {
    return bounded_pool_ && settings_.groups[g].bounded ? *bounded_pool_ : pool_;
  }
  [[nodiscard]] const BlockPool& pool(std::size_t g) const {
    return bounded_pool_ && settings_.groups[g].bounded ? *bounded_pool_ : pool_;
  }
  /// Who asks compares one number with free(): where one of two pools lacks blocks it is more than that.
  [[nodiscard]] Blocks covered(const Demand& demand) const {
    const Blocks sum{demand.blocks + demand.bounded};
    if (!bounded_pool_) return sum;
    const bool lacks = Blocks{demand.blocks} > pool_.free() || Blocks{demand.bounded} > bounded_pool_->free();
    return lacks ? std::max(sum, free() + Blocks{1}) : sum;
  }

  [[nodiscard]] Blocks needed(const Record& r, std::int64_t slots, bool whole) const {
    Demand demand;
    for (std::size_t g = 0; g < r.groups.size(); ++g) {
      const KvGroup& group = settings_.groups[g];
      std::int64_t& sum = demand.of(group);
      std::int64_t wanted = ceil_div(slots, group.block_size);
      if (whole && group.admission_blocks) wanted = std::min(wanted, *group.admission_blocks);
      if (r.admitted) {
        sum += std::max<std::int64_t>(0, wanted - static_cast<std::int64_t>(r.groups[g].blocks.size()));
        continue;
      }
      const std::int64_t passed = passed_tokens(group, r.hit) / group.block_size;
      const auto found = static_cast<std::int64_t>(r.found[g].size());
      sum += std::max<std::int64_t>(0, wanted - std::max(passed, found));
      if (found > passed) sum += unused_found(r, g, passed);
    }
    return covered(demand);
  }

  /// Of the blocks that the lookup found those that nobody holds: they leave the free queue when they are
  /// taken. Counted once, as long as the pool stays as it is: who admits asks several times.
  [[nodiscard]] std::int64_t unused_found(const Record& r, std::size_t g, std::int64_t passed) const {
    UnusedFound& count = r.unused[g];
    const BlockPool& blocks = pool(g);
    if (count.version == blocks.version()) return count.blocks;
    count = {blocks.version(), 0};
    for (const BlockId id : std::span(r.found[g]).subspan(static_cast<std::size_t>(passed)))
      count.blocks += id != kNullBlock && blocks.unused(id) ? 1 : 0;
    return count.blocks;
  }

  /// By a sequence that holds nothing and finds nothing.
  [[nodiscard]] Blocks needed_by_anybody(std::int64_t slots) const {
    Demand demand;
    for (const KvGroup& group : settings_.groups) demand.of(group) += ceil_div(slots, group.block_size);
    return covered(demand);
  }

  /// Frees the blocks that lie wholly before every window, last first (rule 35).
  void pass_windows(Record& r, std::int64_t computed) {
    for (std::size_t g = 0; g < r.groups.size(); ++g) {
      const KvGroup& group = settings_.groups[g];
      if (group.window == 0) continue;
      std::vector<BlockId>& blocks = r.groups[g].blocks;
      const std::int64_t passed = passed_tokens(group, computed) / group.block_size;
      freed_.clear();
      for (std::int64_t i = std::min(passed, static_cast<std::int64_t>(blocks.size())) - 1; i >= 0; --i) {
        BlockId& block = blocks[static_cast<std::size_t>(i)];
        if (block == kNullBlock) break;  // whatever lies before was passed earlier
        freed_.push_back(block);
        block = kNullBlock;
      }
      pool(g).release(freed_);
    }
  }

  /// Takes what the lookup found; what a window has passed stays behind as null.
  void adopt(Record& r) {
    for (std::size_t g = 0; g < r.groups.size(); ++g) {
      const std::int64_t passed = passed_tokens(settings_.groups[g], r.hit) / settings_.groups[g].block_size;
      std::vector<BlockId>& found = r.found[g];
      found.resize(std::max(found.size(), static_cast<std::size_t>(passed)), kNullBlock);
      std::fill_n(found.begin(), passed, kNullBlock);
      for (const BlockId id : found) pool(g).touch(id);
      r.groups[g].blocks.assign(found.begin(), found.end());
      r.groups[g].committed = static_cast<std::int64_t>(found.size());
    }
    r.admitted = true;
    forget_lookup(r);
  }

  // ---- Finding

  [[nodiscard]] BlockKey key(Record& r, std::int64_t block_size, std::int64_t index, std::size_t group) {
    const auto unit = static_cast<std::size_t>((index + 1) * (block_size / settings_.hash_unit) - 1);
    return key_of(r.chain.hash(unit), group);
  }
  [[nodiscard]] static BlockKey key_of(std::uint64_t hash, std::size_t group) {
    const std::uint64_t mixed = hash ^ (static_cast<std::uint64_t>(group) * 0x9E3779B97F4A7C15u);
    return mixed | 1U;  // 0 and BlockPool::kUnfindable are taken
  }

  /// The block of each member of the kind at `index`; false where one has none.
  bool find_at(Record& r, const Kind& kind, std::int64_t index) {
    for (const std::size_t g : kind.members) {
      const BlockId id = pool(g).find(key(r, kind.block_size, index, g));
      if (id == kNullBlock) return false;
      at_index_[g] = id;
    }
    return true;
  }

  void put(Record& r, const Kind& kind, std::int64_t index) {
    for (const std::size_t g : kind.members) r.found[g][static_cast<std::size_t>(index)] = at_index_[g];
  }
  void cut(Record& r, const Kind& kind, std::int64_t length) {
    for (const std::size_t g : kind.members) r.found[g].resize(static_cast<std::size_t>(length), kNullBlock);
  }

  /// The run of found blocks from the start, at most `limit` tokens.
  std::int64_t find_full(Record& r, const Kind& kind, std::int64_t limit, bool drop) {
    const std::int64_t most = limit / kind.block_size;
    std::int64_t length = 0;
    if (kind.members.size() == 1) {
      length = find_run(r, kind.members.front(), most);
    } else {
      cut(r, kind, 0);
      for (; length < most && find_at(r, kind, length); ++length) {
        for (const std::size_t g : kind.members) r.found[g].push_back(at_index_[g]);
      }
    }
    if (drop && length > 0) --length;
    while (length * kind.block_size % settings_.unit != 0) --length;
    cut(r, kind, length);
    return length * kind.block_size;
  }

  /// Of one group the run of found blocks from the start, at most so many.
  std::int64_t find_run(Record& r, std::size_t g, std::int64_t most) {
    std::vector<BlockId>& found = r.found[g];
    found.clear();
    const auto units = static_cast<std::size_t>(settings_.groups[g].block_size / settings_.hash_unit);
    const BlockPool& blocks = pool(g);
    for (std::size_t unit = units - 1; most > 0; unit += units, --most) {
      const BlockId id = blocks.find(key_of(r.chain.hash(unit), g));
      if (id == kNullBlock) break;
      found.push_back(id);
    }
    return static_cast<std::int64_t>(found.size());
  }

  /// Behind the begin of the chunk that the limit lies in, the run of found blocks
  /// (ChunkedLocalAttentionManager.find_longest_cache_hit); what lies before is not needed.
  std::int64_t find_chunk(Record& r, const Kind& kind, std::int64_t limit) {
    const std::int64_t begin = limit / kind.window * kind.window / kind.block_size;
    cut(r, kind, 0);
    cut(r, kind, begin);
    std::int64_t length = begin;
    for (; length < limit / kind.block_size && find_at(r, kind, length); ++length) {
      for (const std::size_t g : kind.members) r.found[g].push_back(at_index_[g]);
    }
    while (length * kind.block_size % settings_.unit != 0) --length;
    cut(r, kind, length);
    return length * kind.block_size;
  }

  /// From the right, the first run of blocks long enough for a window; without one, the run from the start
  /// (rule 37).
  std::int64_t find_window(Record& r, const Kind& kind, std::int64_t limit, bool drop) {
    const std::int64_t wanted = ceil_div(kind.window - 1, kind.block_size) + (drop ? 1 : 0);
    std::int64_t length = limit / kind.block_size;
    cut(r, kind, 0);
    cut(r, kind, length);
    std::int64_t run = 0;
    bool found = false;
    for (std::int64_t i = length - 1; i >= 0 && !found; --i) {
      if (!find_at(r, kind, i)) {
        run = 0;
        continue;
      }
      const std::int64_t end = (drop ? i : i + 1) * kind.block_size;
      if (run == 0 && end % settings_.unit != 0) continue;
      put(r, kind, i);
      if (++run >= wanted) {
        length = i + run;
        found = true;
      }
    }
    if (!found) length = run;
    const auto align = [&] {
      while (length * kind.block_size % settings_.unit != 0) --length;
    };
    if (!found) align();
    if (drop && length > 0) {
      --length;
      align();
    }
    cut(r, kind, length);
    return length * kind.block_size;
  }

  /// The longest prefix that every kind has: each shortens it for the next, until nothing changes (rule 38).
  void find_common(Record& r, std::int64_t limit) {
    at_index_.resize(settings_.groups.size());
    std::int64_t hit = limit;
    std::int64_t longest = 0;
    std::vector<std::int64_t> full_hit(kinds_.size(), -1);
    std::vector<bool> dropped(kinds_.size(), false);
    const bool one_pass = kinds_.size() == 1 || (kinds_.size() == 2 && kinds_.front().window == 0);
    for (;;) {
      std::int64_t current = hit;
      for (std::size_t k = 0; k < kinds_.size(); ++k) {
        const Kind& kind = kinds_[k];
        if (full_hit[k] >= 0) {  // cached runs from the start only get shorter with the limit
          current = std::min(current, full_hit[k]);
          continue;
        }
        const bool drop = settings_.drop_last_block && !dropped[k];
        // With several kinds the block that will be dropped may lie beyond the limit.
        const std::int64_t reach = drop && kinds_.size() > 1 ? current + kind.block_size : current;
        const std::int64_t length = kind.window == 0 ? find_full(r, kind, reach, drop)
                                    : kind.chunks    ? find_chunk(r, kind, current)
                                                     : find_window(r, kind, reach, drop);
        if (drop) {
          dropped[k] = true;
        } else if (length < current) {
          std::fill(dropped.begin(), dropped.end(), false);
        }
        if (kind.window == 0) full_hit[k] = length;
        current = length;
        longest = std::max(longest, current);
      }
      const bool settled = current >= hit || one_pass;
      hit = std::min(hit, current);
      if (settled) break;
    }
    for (const Kind& kind : kinds_) {
      if (kind.window == 0) cut(r, kind, hit / kind.block_size);
    }
    r.hit = hit;
    if (settings_.keep_junctions && kinds_.size() > 1 && longest > hit) r.junction = longest;
  }

  // ---- Committing

  void commit(Record& r, std::int64_t shareable) {
    if (!settings_.caching) return;
    if (settings_.groups.size() > 1 && settings_.commit_whole_units)
      shareable = shareable / settings_.unit * settings_.unit;
    const bool weighs = pool_.has_policy();
    for (std::size_t g = 0; g < r.groups.size(); ++g) {
      GroupTable& table = r.groups[g];
      const KvGroup& group = settings_.groups[g];
      const std::int64_t full =
          std::min(shareable / group.block_size, static_cast<std::int64_t>(table.blocks.size()));
      if (table.committed < full) ++entered_;
      if (group.window == 0 && !weighs) {
        r.findable ? enter_full(r, table, g, full) : mark_full(table, g, full);
        continue;
      }
      for (; table.committed < full; ++table.committed) {
        const BlockId id = table.blocks[static_cast<std::size_t>(table.committed)];
        if (id == kNullBlock || !kept(r, group, table.committed)) continue;
        if (weighs) pool(g).weigh(id, cost(r, group, table.committed));
        if (r.findable) {
          pool(g).enter(key(r, group.block_size, table.committed, g), id);
        } else {
          pool(g).enter_unfindable(id);
        }
      }
    }
  }

  /// Of a group that keeps all, where nobody will ask for the blocks up to `full`.
  void mark_full(GroupTable& table, std::size_t g, std::int64_t full) {
    BlockPool& blocks = pool(g);
    for (; table.committed < full; ++table.committed) {
      const BlockId id = table.blocks[static_cast<std::size_t>(table.committed)];
      if (id != kNullBlock) blocks.enter_unfindable(id);
    }
  }

  /// Of a group that keeps all: the blocks up to `full` become findable.
  void enter_full(Record& r, GroupTable& table, std::size_t g, std::int64_t full) {
    if (table.committed >= full) return;
    const auto units = static_cast<std::size_t>(settings_.groups[g].block_size / settings_.hash_unit);
    const auto end = static_cast<std::size_t>(full);
    const std::span<const std::uint64_t> hashes = r.chain.first(end * units);
    BlockPool& blocks = pool(g);
    const std::span<const BlockId> ids = table.blocks;
    for (auto i = static_cast<std::size_t>(table.committed); i < end; ++i) {
      const BlockId id = ids[i];
      if (id != kNullBlock) blocks.enter(key_of(hashes[(i + 1) * units - 1], g), id);
    }
    table.committed = full;
  }

  /// What an eviction policy may know of a block: what must be computed again without it.
  [[nodiscard]] static double cost(const Record& r, const KvGroup& group, std::int64_t index) {
    const std::int64_t begin = index * group.block_size;
    return recompute_cost(begin, std::max(r.prompt, begin + group.block_size));
  }

  /// Whether a block of a window group can ever serve a hit under the retention in force (rule 40).
  [[nodiscard]] bool kept(const Record& r, const KvGroup& group, std::int64_t index) const {
    if (group.window == 0 || group.chunks) return true;
    if (settings_.keep_all_window_blocks && !group.kept_every) return true;
    const std::optional<std::int64_t>& interval =
        group.kept_every ? group.kept_every : settings_.retention_interval;
    const std::int64_t need =
        ceil_div(group.window - 1, group.block_size) + (settings_.drop_last_block ? 1 : 0);
    const std::int64_t shift = settings_.drop_last_block ? 1 : 0;
    const std::int64_t segment = interval.value_or(settings_.unit);
    if (segment > 0) {
      const std::int64_t blocks = segment / group.block_size;
      if (need >= blocks) return true;
      if (index >= shift && (index - shift) % blocks >= blocks - need) return true;
    }
    if (!interval) return false;
    const auto before = [&](std::int64_t boundary) {
      const std::int64_t end = boundary / settings_.unit * settings_.unit / group.block_size + shift;
      return index >= end - need && index < end;
    };
    if (r.junction > 0 && before(r.junction)) return true;
    if (!settings_.drop_last_block) return before(r.prompt - 1);
    const std::int64_t unit = settings_.unit;
    return before(std::max<std::int64_t>(0, (r.prompt - 1) / unit * unit - unit)) ||
           before(std::max<std::int64_t>(0, r.prompt / unit * unit - unit));
  }

  CachedBlocksSettings settings_;
  BlockPool pool_;
  std::optional<BlockPool> bounded_pool_;  // of a split cache
  std::vector<Kind> kinds_;                // full ones first
  std::vector<Record> records_;
  std::vector<std::uint32_t> unused_;
  std::uint64_t entered_ = 0;  // grows when keys may have been entered
  std::vector<BlockId> freed_;
  std::vector<BlockId> at_index_;  // by group
};

}  // namespace

std::unique_ptr<BlockAllocator> make_cached_blocks(const CachedBlocksSettings& settings,
                                                   const PoolSize& size) {
  KVCAST_CHECK(!settings.groups.empty());
  for (const KvGroup& group : settings.groups) {
    KVCAST_CHECK(group.block_size % settings.hash_unit == 0);
    KVCAST_CHECK(settings.unit % group.block_size == 0);
  }
  return std::make_unique<CachedBlocks>(settings, size.blocks);
}

}  // namespace kvcast
