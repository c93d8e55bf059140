/// Several answers of one sequence (samples, beams) that share blocks copy on write, as vLLM v0 has them
/// (Kwon et al. 2023, sec. 4.4).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/units.h"

namespace kvcast {

struct BlockTable;

/// The block tables of the branches of one sequence. All branches are equally long and begin with what the
/// sequence held when it was forked. A block has a count of users; a branch that writes into a block with
/// other users writes into a copy, except for the last of them, which keeps it.
class BranchTables {
 public:
  /// \param held tokens whose KV the sequence holds: all branches share their blocks
  BranchTables(std::int64_t block_size, std::int64_t held, std::int64_t branches);

  [[nodiscard]] std::int64_t branches() const { return static_cast<std::int64_t>(tables_.size()); }
  /// Tokens of each branch.
  [[nodiscard]] std::int64_t length() const { return length_; }
  /// Different blocks in all tables.
  [[nodiscard]] std::int64_t blocks() const { return shared_ + used_; }
  /// What tables without sharing would hold.
  [[nodiscard]] std::int64_t blocks_apart() const { return branches() * ceil_div(length_, block_size_); }
  /// Slots of the blocks in use that hold a token.
  [[nodiscard]] std::int64_t tokens_held() const;

  /// Blocks that write() takes, copies included.
  [[nodiscard]] std::int64_t needed() const;
  /// Every branch writes its next token. \returns blocks that were copied for it
  std::int64_t write();
  /// Branch i goes on from what branch parents[i] holds. \returns blocks that nobody uses any more
  std::int64_t reorder(std::span<const std::uint32_t> parents);

 private:
  using Local = std::uint32_t;
  [[nodiscard]] Local take();
  /// Different blocks among the tables' last ones, where the last token left room in them.
  [[nodiscard]] std::int64_t last_blocks() const;
  void give_back(Local block);

  std::int64_t block_size_;
  std::int64_t length_;
  std::int64_t shared_;                     // full blocks of the beginning, which all branches share for ever
  std::vector<std::vector<Local>> tables_;  // behind those
  std::vector<std::vector<Local>> scratch_;
  std::vector<std::int32_t> users_;  // by local number
  std::vector<Local> unused_;
  std::int64_t used_ = 0;
};

/// What an allocator offers to sequences with several branches.
class ForkingBlocks {
 public:
  virtual ~ForkingBlocks() = default;
  /// From here on the table's sequence has several branches; all share what it holds. grow() gives each a
  /// slot more.
  virtual void fork(BlockTable& table, Tokens held, std::int64_t branches) = 0;
  virtual void reorder(BlockTable& table, std::span<const std::uint32_t> parents) = 0;
  /// The tables; also of a sequence whose blocks were suspended.
  [[nodiscard]] virtual const BranchTables& branches(const BlockTable& table) const = 0;
  /// Blocks copied since the last call.
  [[nodiscard]] virtual Blocks take_copied() = 0;
};

}  // namespace kvcast
