// Counts what a run does to its blocks, so that the cost of forms of the cache can be told per operation:
// block_operations SCENARIO [KEY=VALUE...]. What a run costs is counted apart, by callgrind, of the plain
// program (tests/bench/block_operations/measure.sh): a count must not be part of what it divides.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/app/compose.h"
#include "sim/kv/prefix_loader.h"

namespace kvcast {
namespace {

/// Of blocks by their users: a shared block is freed by each.
struct Operations {
  std::int64_t allocated = 0;  // taken from the free ones
  std::int64_t hit = 0;        // found and used
  std::int64_t freed = 0;
  std::int64_t evicted = 0;    // whose content nobody can find any more
  std::int64_t looked_up = 0;  // once a request and admission, however often the engine asks
};

/// Any allocator, watched from outside.
class CountingBlocks final : public BlockAllocator, public BlockWatcher {
 public:
  CountingBlocks(std::unique_ptr<BlockAllocator> blocks, Operations& counts)
      : blocks_(std::move(blocks)), counts_(counts) {
    blocks_->watch(this);
  }

  [[nodiscard]] Tokens block_size() const override { return blocks_->block_size(); }
  [[nodiscard]] Blocks total() const override { return blocks_->total(); }
  [[nodiscard]] Blocks free() const override { return blocks_->free(); }
  [[nodiscard]] Blocks largest_free() const override { return blocks_->largest_free(); }
  void open(BlockTable& table, Content&& content) override { blocks_->open(table, std::move(content)); }
  void close(BlockTable& table) override {
    stays_.erase(table.handle);
    blocks_->close(table);
  }
  [[nodiscard]] Tokens lookup(BlockTable& table, Tokens known) override {
    const Tokens found = blocks_->lookup(table, known);
    if (table.handle == BlockTable::kUnopened) return found;
    Stay& stay = stays_[table.handle];
    stay.found = found.value / block_size().value;
    if (!std::exchange(stay.looked_up, true)) counts_.looked_up += stay.found + 1;
    return found;
  }
  [[nodiscard]] Blocks needed(const BlockTable& table, Tokens slots) const override {
    return blocks_->needed(table, slots);
  }
  [[nodiscard]] Blocks needed_whole(const BlockTable& table, Tokens known) const override {
    return blocks_->needed_whole(table, known);
  }
  [[nodiscard]] bool grow(BlockTable& table, const Growth& growth) override {
    const std::int64_t before = free().value;
    if (!blocks_->grow(table, growth)) return false;
    if (table.handle == BlockTable::kUnopened) {
      counts_.allocated += before - free().value;
      return true;
    }
    Stay& stay = stays_[table.handle];
    const std::int64_t holds = std::max(stay.held, ceil_div(growth.slots.value, block_size().value));
    const std::int64_t hits = stay.held == 0 ? stay.found : 0;
    counts_.hit += hits;
    counts_.allocated += holds - stay.held - hits;
    stay.held = holds;
    return true;
  }
  void commit(BlockTable& table, Tokens shareable) override { blocks_->commit(table, shareable); }
  void release(BlockTable& table) override { give_back(table, false); }
  void suspend(BlockTable& table) override { give_back(table, true); }
  void watch(BlockWatcher* watcher) override {
    watcher_ = watcher;
    blocks_->watch(this);
  }
  [[nodiscard]] std::uint64_t content_key(const BlockTable& table, std::int64_t index) override {
    return blocks_->content_key(table, index);
  }
  [[nodiscard]] bool evicts_ends_first() const override { return blocks_->evicts_ends_first(); }
  [[nodiscard]] Growing growing() const override { return blocks_->growing(); }
  [[nodiscard]] Blocks held(const BlockTable& table, Tokens computed) const override {
    return blocks_->held(table, computed);
  }
  void take(Blocks n) override {
    counts_.allocated += n.value;
    blocks_->take(n);
  }
  [[nodiscard]] std::vector<std::uint64_t>& released() override {
    return watcher_ != nullptr ? watcher_->released() : released_;
  }
  void evicted(std::uint64_t key) override {
    ++counts_.evicted;
    if (watcher_ != nullptr) watcher_->evicted(key);
  }

 private:
  struct Stay {  // of a sequence whose blocks have names
    std::int64_t held = 0;
    std::int64_t found = 0;
    bool looked_up = false;
  };
  void give_back(BlockTable& table, bool comes_back) {
    const std::int64_t before = free().value;
    comes_back ? blocks_->suspend(table) : blocks_->release(table);
    if (table.handle == BlockTable::kUnopened) {
      counts_.freed += free().value - before;
      return;
    }
    counts_.freed += stays_[table.handle].held;
    stays_[table.handle] = {};
  }

  std::unique_ptr<BlockAllocator> blocks_;
  Operations& counts_;
  BlockWatcher* watcher_ = nullptr;
  std::vector<std::uint64_t> released_;  // what nobody asks for
  std::map<std::uint32_t, Stay> stays_;
};

void count(const std::string& scenario, const std::vector<Setting>& settings) {
  ScenarioText text = open_scenario(scenario, settings);
  Experiment experiment = compose(read_scenario(text));
  Operations counts;
  EngineSetup& engine = experiment.cluster.engine;
  engine.allocator = [inner = engine.allocator, &counts](const PoolSize& size) {
    return std::make_unique<CountingBlocks>(inner(size), counts);
  };
  const RunRecord record = run(experiment.cluster, experiment.workload.make_source, *experiment.timer, {}, 1);
  std::int64_t transferred = 0;
  std::int64_t evicted = counts.evicted;
  for (const TierTotals& tier : record.tiers) {
    transferred += tier.blocks_read + tier.blocks_written;
    evicted += tier.blocks_evicted;
  }
  const std::int64_t sum =
      counts.allocated + counts.hit + counts.freed + evicted + counts.looked_up + transferred;
  std::printf("allocated %lld hit %lld freed %lld evicted %lld looked_up %lld transferred %lld sum %lld\n",
              static_cast<long long>(counts.allocated), static_cast<long long>(counts.hit),
              static_cast<long long>(counts.freed), static_cast<long long>(evicted),
              static_cast<long long>(counts.looked_up), static_cast<long long>(transferred),
              static_cast<long long>(sum));
}

}  // namespace
}  // namespace kvcast

int main(int argc, char** argv) {
  std::vector<kvcast::Setting> settings;
  for (int i = 2; i < argc; ++i) {
    const std::string text = argv[i];
    const std::size_t at = text.find('=');
    settings.push_back({text.substr(0, at), at == std::string::npos ? "" : text.substr(at + 1)});
  }
  try {
    kvcast::count(argc > 1 ? argv[1] : "default", settings);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
