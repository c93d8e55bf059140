#include "sim/kv/forks.h"

#include <algorithm>

#include "sim/base/error.h"

namespace kvcast {

BranchTables::BranchTables(std::int64_t block_size, std::int64_t held, std::int64_t branches)
    : block_size_(block_size),
      length_(held),
      shared_(held / block_size),
      tables_(static_cast<std::size_t>(branches)) {
  KVCAST_CHECK(block_size > 0 && held > 0 && branches > 0);
  if (held % block_size == 0) return;
  const Local last = take();
  users_[last] = static_cast<std::int32_t>(branches);
  for (std::vector<Local>& table : tables_) table.push_back(last);
}

BranchTables::Local BranchTables::take() {
  if (unused_.empty()) {
    unused_.push_back(static_cast<Local>(users_.size()));
    users_.push_back(0);
  }
  const Local block = unused_.back();
  unused_.pop_back();
  users_[block] = 1;
  ++used_;
  return block;
}

void BranchTables::give_back(Local block) {
  KVCAST_CHECK(users_[block] > 0);
  if (--users_[block] > 0) return;
  unused_.push_back(block);
  --used_;
}

std::int64_t BranchTables::needed() const {
  if (length_ % block_size_ == 0) return branches();
  return branches() - last_blocks();  // each is kept by one of its users
}

std::int64_t BranchTables::last_blocks() const {
  std::vector<Local> last;
  last.reserve(tables_.size());
  for (const std::vector<Local>& table : tables_) last.push_back(table.back());
  std::sort(last.begin(), last.end());
  return std::unique(last.begin(), last.end()) - last.begin();
}

std::int64_t BranchTables::write() {
  std::int64_t copied = 0;
  const bool begins_block = length_ % block_size_ == 0;
  for (std::vector<Local>& table : tables_) {
    if (begins_block) {
      table.push_back(take());
    } else if (users_[table.back()] > 1) {
      give_back(table.back());
      table.back() = take();
      ++copied;
    }
  }
  ++length_;
  return copied;
}

std::int64_t BranchTables::reorder(std::span<const std::uint32_t> parents) {
  KVCAST_CHECK(parents.size() == tables_.size());
  const std::int64_t before = used_;
  scratch_.resize(tables_.size());
  for (std::size_t i = 0; i < parents.size(); ++i) {
    scratch_[i] = tables_[parents[i]];
    for (const Local block : scratch_[i]) ++users_[block];
  }
  for (const std::vector<Local>& table : tables_) {
    for (const Local block : table) give_back(block);
  }
  tables_.swap(scratch_);
  return before - used_;
}

std::int64_t BranchTables::tokens_held() const {
  const std::int64_t in_last = length_ % block_size_;
  if (in_last == 0) return blocks() * block_size_;
  const std::int64_t last = last_blocks();
  return (blocks() - last) * block_size_ + last * in_last;
}

}  // namespace kvcast
