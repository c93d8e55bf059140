/// The sequences that decode one token a step, kept as sums: a step of the group costs O(1) whatever its
/// size, and a run of steps has a closed form.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "sim/base/error.h"
#include "sim/base/units.h"
#include "sim/sched/reach.h"
#include "sim/sched/sequence.h"

namespace kvcast {

/// Contract: members are sequences whose known tokens all have KV but the last one. The group's clock counts
/// its steps; each step adds a token to every member. Nobody leaves but by reaching its end, or all at once
/// by clear().
class DecodeGroup {
 public:
  struct Member {
    SeqIndex seq;
    std::uint64_t admitted_no;
    Tokens known;                    // at the moment of joining
    Tokens remaining;                // outputs until its end, at least 1
    bool grows;                      // takes a block when its tokens pass a multiple of the block size
    std::int64_t dropped = 0;        // of its prompt: neither attended to nor held
    Tokens full_at = Tokens::max();  // with so many tokens held it takes no block any more
  };
  struct Ending {
    std::int64_t at;  // clock
    std::uint64_t admitted_no;
    SeqIndex seq;
    std::int64_t phase;  // of its block boundary; -1: does not grow
    std::int64_t known;  // at its end
    std::int64_t dropped;
  };
  struct Named {
    std::uint64_t admitted_no;
    SeqIndex seq;
  };

  /// \param block_size period of the members' growth, tokens
  /// \param by_name keep the growing members by phase too, for named()
  /// \param reach what bounded layers attend to
  DecodeGroup(Tokens block_size, bool by_name, const Reach& reach = {})
      : block_size_(block_size.value), reach_(reach), crossings_(static_cast<std::size_t>(block_size.value)) {
    if (by_name) named_.resize(crossings_.size());
  }

  [[nodiscard]] std::int64_t size() const { return size_; }
  /// Sum over the members of the tokens that the next step attends to (known tokens).
  [[nodiscard]] std::int64_t context() const { return context_; }
  /// Sum over the members of what bounded layers attend to in the next step; 0 without such layers.
  [[nodiscard]] std::int64_t attended() const { return attended_; }
  /// Members whose part in that grows with the next step.
  [[nodiscard]] std::int64_t attending_more() const { return attending_more_; }
  /// attended() one token earlier: of the tokens that are held already.
  [[nodiscard]] std::int64_t attended_before() const { return attended_ - attending_more_ - just_full_; }
  [[nodiscard]] std::int64_t clock() const { return clock_; }
  /// Steps until the first member ends; the group must not be empty.
  [[nodiscard]] std::int64_t steps_to_first_end() const { return endings_.front().at - clock_; }
  /// Steps until a member's attention or its blocks stop to grow, or its attention starts a new chunk.
  [[nodiscard]] std::int64_t steps_to_first_turn() const {
    return turns_.empty() ? std::numeric_limits<std::int64_t>::max() : turns_.front().at - clock_;
  }

  void join(const Member& member);

  /// Blocks that the steps [clock + from, clock + from + steps) take, in O(min(steps, block_size)).
  [[nodiscard]] Blocks blocks_taken(std::int64_t from, std::int64_t steps) const;
  /// Of the steps [clock + from, clock + from + steps_max), how many the given number of free blocks covers.
  [[nodiscard]] std::int64_t steps_covered(std::int64_t from, std::int64_t steps_max, Blocks free) const;
  /// Members that take a block in a step at that clock, in order of admission.
  [[nodiscard]] const std::vector<Named>& named(std::int64_t clock) const {
    return named_[static_cast<std::size_t>(clock % block_size_)];
  }

  /// Moves on by `steps`, at most steps_to_first_end() and steps_to_first_turn(); appends those that end to
  /// `ended`, in order of admission.
  void advance(std::int64_t steps, std::vector<Ending>& ended);

  void clear();

 private:
  /// A member stops to grow: its attention, or (from this phase) its blocks. Or its attention starts a new
  /// chunk.
  struct Turn {
    std::int64_t at;       // clock
    std::int64_t phase;    // -1: attention
    std::int64_t end = 0;  // clock: the member's, where chunks follow each other
  };

  void attend(const Member& member);
  void attend_in_chunks(const Member& member);
  [[nodiscard]] std::int64_t attended_at_end(const Ending& ending) const;
  void push_turn(const Turn& turn);
  void pass_turns();
  static bool turns_later(const Turn& a, const Turn& b) { return a.at > b.at; }
  static bool later(const Ending& a, const Ending& b) {
    return a.at != b.at ? a.at > b.at : a.admitted_no > b.admitted_no;
  }
  [[nodiscard]] std::size_t phase_at(std::int64_t step) const {
    return static_cast<std::size_t>((clock_ + step) % block_size_);
  }

  std::int64_t block_size_;
  Reach reach_;
  std::int64_t attended_ = 0;
  std::int64_t attending_more_ = 0;
  /// Members whose attention reached its cap with the last step; with chunks minus the tokens of those that
  /// the last step left behind.
  std::int64_t just_full_ = 0;
  std::vector<Turn> turns_;  // heap, the first in front
  std::int64_t size_ = 0;
  std::int64_t context_ = 0;
  std::int64_t clock_ = 0;
  std::int64_t growing_ = 0;
  std::vector<std::int64_t>
      crossings_;  // members that need a block in a step at clock c, by c mod block_size
  std::vector<std::vector<Named>> named_;  // the same by name, in order of admission
  std::vector<Ending> endings_;            // heap, the first to end in front
};

}  // namespace kvcast
