/// The sequences inside one engine, and the step that a scheduler builds on them.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/error.h"
#include "sim/kv/block_allocator.h"
#include "sim/sched/decode_group.h"
#include "sim/sched/queue_order.h"
#include "sim/sched/sequence.h"
#include "sim/step_timer.h"

namespace kvcast {

/// One sequence's share of a step.
struct Chunk {
  SeqIndex seq;
  Tokens n;         // new tokens
  Tokens computed;  // with KV before the step
  bool admitted;    // entered in this step
};

struct BatchOptions {
  bool keeps_kv = true;        // false: every step computes everything again
  bool decode_group = true;    // false: every sequence is walked in every step (the step-by-step path)
  bool holds_finished = false;  // see Scheduler
};

/// Contract: a scheduler reads the state and builds a step with the primitives of the second part; the engine (Replica) uses the third part.
/// Running sequences that are past their prompt may be kept as a DecodeGroup: then sequence(seq).known and .computed are stale and known(seq) is
/// right. That representation never shows in a decision: both give the same steps.
class Batch {
 public:
  Batch(BlockAllocator& allocator, QueueOrder& order, BatchOptions options);

  // What a policy reads.
  [[nodiscard]] std::int64_t running() const { return running_; }
  [[nodiscard]] std::int64_t waiting() const { return static_cast<std::int64_t>(order_.size()); }
  [[nodiscard]] SeqIndex waiting_front() const { return order_.front(); }
  [[nodiscard]] SeqIndex first_running() const { return first_; }
  [[nodiscard]] SeqIndex last_running() const { return last_; }
  [[nodiscard]] SeqIndex next_running(SeqIndex seq) const { return links_[to_index(seq)].next; }
  [[nodiscard]] const Sequence& sequence(SeqIndex seq) const { return sequences_[to_index(seq)]; }
  [[nodiscard]] Tokens known(SeqIndex seq) const;
  /// Sum of known tokens over the running sequences.
  [[nodiscard]] std::int64_t running_context() const;
  [[nodiscard]] Tokens budget() const { return budget_; }
  [[nodiscard]] const BlockAllocator& allocator() const { return allocator_; }
  [[nodiscard]] bool keeps_kv() const { return options_.keeps_kv; }

  // What a policy does. All or nothing: false has changed nothing, but for the preemptions of schedule_running().
  void begin_step(Tokens budget);
  /// In order of admission gives each running sequence min(what it wants, cap, budget left); when blocks lack, preempts the queue order's victim
  /// until they suffice or the sequence itself was preempted, which ends the walk. Returns false if anybody was preempted.
  [[nodiscard]] bool schedule_running(Tokens cap);
  /// Moves the head of the queue into the step with n of its tokens, holding room for those.
  [[nodiscard]] bool admit_front(Tokens n);
  /// The same, holding room for the longest it may become.
  [[nodiscard]] bool admit_front_reserved(Tokens n);
  /// Adds work that no sequence asked for (rows that pad a static batch).
  void pad(const StepShape& padding) { padding_ = padding; }

  // The engine's side.
  struct Preemption {
    SeqIndex seq;
    Tokens dropped;  // tokens whose KV was thrown away
  };
  struct Dissolved {
    SeqIndex seq;
    bool stepped;  // has decoded in the group since it joined
  };
  struct Emission {
    SeqIndex seq;
    bool ended;
  };
  struct Ended {
    SeqIndex seq;
    std::uint64_t admitted_no;
  };

  /// \param end known tokens at which the sequence ends (the truth)
  SeqIndex add(const Sequence& sequence, Tokens end);
  [[nodiscard]] const DecodeGroup& group() const { return group_; }
  [[nodiscard]] bool group_scheduled() const { return group_scheduled_; }
  [[nodiscard]] const std::vector<Chunk>& chunks() const { return chunks_; }
  [[nodiscard]] const std::vector<Preemption>& preempted() const { return preempted_; }
  [[nodiscard]] const std::vector<Dissolved>& dissolved() const { return dissolved_; }
  [[nodiscard]] const StepShape& padding() const { return padding_; }
  [[nodiscard]] bool step_empty() const { return chunks_.empty() && !group_scheduled_; }
  [[nodiscard]] StepShape step_shape() const;
  [[nodiscard]] Blocks blocks_used() const { return allocator_.total() - allocator_.free(); }
  /// Tokens whose KV is held or being written in the step.
  [[nodiscard]] std::int64_t tokens_resident() const;
  /// The step's output is there: `steps` of them for a run of the decode group alone (its first step's blocks were taken by the plan).
  void apply_step(std::int64_t steps);
  [[nodiscard]] const std::vector<Emission>& emissions() const { return emissions_; }  // by chunks
  [[nodiscard]] const std::vector<Ended>& ended() const { return ended_; }             // in order of admission
  /// Frees what ended sequences held, and their slots.
  void release_ended();
  /// Takes everybody who is left out, running and waiting, as at a cut-off: `visit(seq)` in order of slots.
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::size_t i = 0; i < sequences_.size(); ++i) {
      if (links_[i].used) visit(static_cast<SeqIndex>(i));
    }
  }

 private:
  struct Link {
    SeqIndex previous = kNoSeq;
    SeqIndex next = kNoSeq;
    std::int64_t joined_at = 0;  // clock of the group
    Tokens end;
    bool in_group = false;
    bool grows = false;
    bool used = false;
  };

  [[nodiscard]] bool schedule_grouped(Tokens cap);
  [[nodiscard]] bool schedule_walking(Tokens cap);
  [[nodiscard]] bool grow_or_preempt(SeqIndex seq, Tokens tokens);
  void dissolve_group();
  void preempt(SeqIndex seq);
  void enter(SeqIndex seq, Tokens n);
  void schedule(SeqIndex seq, Tokens n, bool admitted);
  void emit(const Chunk& chunk);
  void join_group(SeqIndex seq);
  void link_last(SeqIndex seq);
  void unlink(SeqIndex seq);

  BlockAllocator& allocator_;
  QueueOrder& order_;
  BatchOptions options_;
  std::vector<Sequence> sequences_;
  std::vector<Link> links_;
  std::vector<SeqIndex> free_slots_;
  SeqIndex first_ = kNoSeq;
  SeqIndex last_ = kNoSeq;
  std::int64_t running_ = 0;
  std::uint64_t next_admitted_no_ = 0;
  DecodeGroup group_;
  std::vector<SeqIndex> individuals_;  // running, not in the group, in order of admission
  std::vector<BlockTable> held_;       // of finished sequences whose batch has not ended

  // The step being built.
  Tokens budget_;
  bool group_scheduled_ = false;
  std::vector<Chunk> chunks_;
  std::vector<Preemption> preempted_;
  std::vector<Dissolved> dissolved_;
  StepShape padding_;
  std::vector<Emission> emissions_;
  std::vector<Ended> ended_;
  std::vector<DecodeGroup::Ending> endings_;
};

}  // namespace kvcast
