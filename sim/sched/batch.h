/// The sequences inside one engine, and the step that a scheduler builds on them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sim/base/error.h"
#include "sim/kv/block_allocator.h"
#include "sim/kv/forks.h"
#include "sim/kv/prefix_loader.h"
#include "sim/sched/beam_model.h"
#include "sim/sched/decode_group.h"
#include "sim/sched/queue_order.h"
#include "sim/sched/reach.h"
#include "sim/sched/sequence.h"
#include "sim/sched/speculation.h"
#include "sim/step_timer.h"

namespace kvcast {

/// One sequence's share of a step.
struct Chunk {
  SeqIndex seq;
  RequestId id;     // the slot of an ended sequence may serve another by the time the output comes
  Tokens n;         // new tokens, drafts included
  Tokens computed;  // with KV before the step
  Tokens drafts;    // of n
  bool admitted;    // entered in this step
};

/// Host memory that preempted sequences are moved to.
struct SwapSpace {
  Blocks blocks;              // that it holds
  FineDuration block_time{};  // that moving one block takes, either way
  std::int64_t block_bytes = 0;
  /// Only sequences whose blocks have room there and are copied out and in again sooner than their tokens are
  /// computed again; the others are computed again.
  bool where_cheaper = false;
};

/// Sequences with several branches (Sequence::branches).
struct ForkOptions {
  FineDuration copy_time{};     // of one block, which a branch writes to and others keep
  std::int64_t copy_bytes = 0;  // read and written for it
  SwapSpace swap;               // a sequence with branches that gives way waits there, whatever others do
  double beam_fork_rate = 1;    // BeamModel's
  std::uint64_t seed = 1;       // of its draws
};

struct BatchOptions {
  bool keeps_kv = true;         // false: every step computes everything again
  bool decode_group = true;     // false: every sequence is walked in every step (the step-by-step path)
  bool holds_finished = false;  // see Scheduler
  bool asynchronous = false;    // a step is planned while the one before it runs
  /// Several steps are in a pipeline at once: nobody is scheduled whose last token is still in it, but for
  /// further chunks of a prompt.
  bool pipelined = false;
  Tokens max_model_len = Tokens::max();
  const Speculation* speculation = nullptr;
  std::optional<SwapSpace> swap;     // preempted sequences keep their KV there; none: they are computed again
  const StepTimer* timer = nullptr;  // with swap->where_cheaper: says what computing them again takes
  std::optional<ForkOptions> forks;  // none: sequences have one branch
  Reach reach;                       // what bounded layers attend to; off: all layers attend to everything
  PrefixLoader* loader = nullptr;    // brings prefixes in from below the GPU's memory
  /// The host memory in use, by whomever.
  [[nodiscard]] const SwapSpace* host() const { return swap ? &*swap : forks ? &forks->swap : nullptr; }
  // What differs between versions of vLLM's v1 scheduler.
  bool windows_wait_for_output =
      true;  // a window frees blocks only up to tokens whose step is over (from 0.32)
  bool skips_after_early_victim =
      false;  // a victim in front that was not in the step makes the walk pass over one (before 0.32)
  bool cuts_drafts_at_end = false;          // drafts beyond max_tokens are not scheduled (0.11)
  bool keeps_drafts_on_preemption = false;  // (0.11)
  bool drafts_in_prefill = false;           // EAGLE's drafts for a prompt in chunks are used (before 0.19)
};

/// How schedule_running() shares a step among those inside.
struct RunningRules {
  Tokens cap = Tokens::max();  // most tokens of one sequence
  /// Decodes before prompts that are computed in chunks, and a sequence that gives way itself does not end
  /// the walk. The budget must cover a token of everybody running.
  bool decodes_first = false;
  Blocks spare{0};       // free blocks that a decode asks for before it goes on, whether it takes one or not
  Tokens chunk_unit{1};  // a chunk that the budget cuts is rounded down to a multiple of it
};

/// Contract: a scheduler reads the state and builds a step with the primitives of the second part; the engine
/// (Replica) uses the third part. Running sequences that are past their prompt may be kept as a DecodeGroup:
/// then sequence(seq).known and .computed are stale and known(seq) is right. That representation never shows
/// in a decision: both give the same steps. A planned step is launched at once: its tokens count as computed,
/// its outputs as known but pending, until settle() takes the output.
class Batch {
 public:
  Batch(BlockAllocator& allocator, QueueOrder& order, BatchOptions options);

  // What a policy reads.
  [[nodiscard]] std::int64_t running() const { return running_; }
  /// Branches of those running; before a fork those to come.
  [[nodiscard]] std::int64_t running_branches() const { return running_ + further_branches_; }
  [[nodiscard]] std::int64_t waiting() const { return static_cast<std::int64_t>(order_.size()); }
  [[nodiscard]] SeqIndex waiting_front() const { return order_.front(); }
  /// Preempted sequences whose KV is in host memory, in order of preemption. They are no part of waiting().
  [[nodiscard]] std::int64_t swapped() const { return static_cast<std::int64_t>(swapped_.size()); }
  [[nodiscard]] SeqIndex swapped_front() const { return swapped_.front(); }
  [[nodiscard]] SeqIndex first_running() const { return first_; }
  [[nodiscard]] SeqIndex last_running() const { return last_; }
  [[nodiscard]] SeqIndex next_running(SeqIndex seq) const { return links_[to_index(seq)].next; }
  [[nodiscard]] const Sequence& sequence(SeqIndex seq) const { return sequences_[to_index(seq)]; }
  [[nodiscard]] Tokens known(SeqIndex seq) const;
  /// Known tokens less those under way, `group_steps` steps of the group among them.
  [[nodiscard]] Tokens delivered(SeqIndex seq, std::int64_t group_steps) const;
  [[nodiscard]] bool groups_decodes() const { return options_.decode_group; }
  /// Sum of known tokens over the running sequences.
  [[nodiscard]] std::int64_t running_context() const;
  /// Sum over the running sequences of what bounded layers attend to.
  [[nodiscard]] std::int64_t running_attended() const;
  [[nodiscard]] const Reach& reach() const { return options_.reach; }
  [[nodiscard]] Tokens budget() const { return budget_; }
  [[nodiscard]] const BlockAllocator& allocator() const { return allocator_; }
  [[nodiscard]] bool keeps_kv() const { return options_.keeps_kv; }
  [[nodiscard]] const std::vector<Chunk>& chunks() const { return chunks_; }
  [[nodiscard]] bool group_scheduled() const { return group_scheduled_; }
  [[nodiscard]] const Speculation* speculation() const { return options_.speculation; }

  // What a policy does. All or nothing: false has changed nothing, but for the preemptions of
  // schedule_running().
  void begin_step(Tokens budget);
  /// In order of admission gives each running sequence min(what it wants, cap, budget left); when blocks
  /// lack, preempts the queue order's victim until they suffice or the sequence itself was preempted, which
  /// ends the walk. Returns false if anybody was preempted.
  [[nodiscard]] bool schedule_running(const RunningRules& rules);
  [[nodiscard]] bool schedule_running(Tokens cap) { return schedule_running(RunningRules{.cap = cap}); }
  /// True: the head of the queue has left it, to wait until a prefix is loaded.
  [[nodiscard]] bool load_front();
  /// Whether the head of the queue takes no part in steps before KV has come from another replica.
  [[nodiscard]] bool front_awaits_kv() const { return sequence(order_.front()).awaits_kv; }
  /// Takes room for all that the head of the queue knows, cached blocks first (lookup_front() has been
  /// called); it leaves the queue to wait for the rest of its KV.
  [[nodiscard]] bool reserve_front();
  /// Sequences whose KV has come: they hold their room and need one token computed.
  [[nodiscard]] std::int64_t received() const { return static_cast<std::int64_t>(received_.size()); }
  /// Moves the first of them into the step.
  [[nodiscard]] bool admit_received();
  /// Looks the head of the queue up in the prefix cache; returns its cached tokens, loaded ones included.
  Tokens lookup_front();
  /// Moves the head of the queue into the step with n of its tokens behind the cached ones, holding room for
  /// those and for `ahead` more.
  [[nodiscard]] bool admit_front(Tokens n, Tokens drafts = Tokens{0}, Tokens ahead = Tokens{0});
  /// The same without a cache, holding room for the longest it may become.
  [[nodiscard]] bool admit_front_reserved(Tokens n);
  /// Brings the first of the swapped sequences back, behind everybody running, for one token. Its blocks and
  /// that token's must be free.
  void swap_in_front();
  /// Takes the head of the queue out, to be put back in front by restore_passed_over().
  void pass_over_front();
  void restore_passed_over();
  /// Adds work that no sequence asked for (rows that pad a static batch).
  void pad(const StepShape& padding) { padding_ = padding; }

  // The engine's side.
  struct Preemption {
    SeqIndex seq;
    Tokens dropped;        // tokens whose KV was thrown away
    bool swapped = false;  // its KV is in host memory
  };
  struct Dissolved {
    SeqIndex seq;
    bool in_flight;  // its last step is under way
    bool stepped;    // has decoded in the group since it joined
  };
  struct Emission {
    std::size_t chunk;  // index in the flight's chunks
    Tokens delivered;   // set by settle(); 0: the sequence had ended before
  };
  struct Ended {
    SeqIndex seq;
    std::uint64_t admitted_no;
    bool in_group;
  };
  struct Drafted {
    RequestId id{};
    std::int64_t scheduled, accepted;
  };
  /// A launched step (or the last one of a run) whose output has not been taken.
  struct Flight {
    std::int64_t group_members = 0;  // 0: the group was not in it
    std::int64_t group_ended = 0;
    std::int64_t clock = 0;  // of the group, behind the step
    std::vector<Chunk> chunks;
    std::vector<Emission> emissions;  // by chunks
    std::vector<Ended> ended;         // in order of admission
    bool dissolved = false;           // the group has been dissolved since
    std::vector<SeqIndex> orphans;    // those who were in the group with this step
    std::vector<Drafted> drafted;     // set by settle()
  };

  /// \param end known tokens at which max_tokens or the answer's own length ends the sequence (the truth)
  SeqIndex add(const Sequence& sequence, Tokens end, Content&& content);
  /// Sequences that wait for a load or for KV from another replica, and those that have it and wait for a
  /// step; they are no part of waiting().
  [[nodiscard]] std::int64_t loading() const { return loading_ + awaiting_ + received(); }
  /// The sequence's load has ended: it is in front of the queue again.
  void loaded(SeqIndex seq);
  struct Reservation {
    SeqIndex seq;
    Tokens cached;  // of what it knows, found in the prefix cache
  };
  /// Those that reserve_front() has taken room for since the last call, in order.
  [[nodiscard]] std::vector<Reservation> take_reserved() { return std::exchange(reserved_, {}); }
  /// The KV that the sequence waits for is there. \param told its first token has been told by another
  /// replica
  void receive(SeqIndex seq, bool told);
  /// Another replica has what the request held when it ended (Sequence::keeps_kv).
  void release_kept(RequestId id);
  /// Requests that have ended and hold their KV still.
  [[nodiscard]] std::size_t kept() const { return kept_.size(); }
  [[nodiscard]] const DecodeGroup& group() const { return group_; }
  [[nodiscard]] const std::vector<Preemption>& preempted() const { return preempted_; }
  [[nodiscard]] const std::vector<Dissolved>& dissolved() const { return dissolved_; }
  /// Blocks moved to and from host memory since the last call; the next step waits for them.
  [[nodiscard]] Blocks take_moved_blocks() { return std::exchange(moved_, Blocks{0}); }
  /// Blocks copied within the device since the last call; the next step waits for them too.
  [[nodiscard]] Blocks take_copied_blocks() {
    return further_branches_ > 0 ? forking().take_copied() : Blocks{0};
  }
  struct BranchUsage {
    std::int64_t blocks = 0;  // different ones that forked sequences hold
    std::int64_t apart = 0;   // that they would hold if branches shared none
  };
  [[nodiscard]] bool has_branches() const { return further_branches_ > 0; }
  [[nodiscard]] const SpeculationTotals& speculated() const { return speculated_; }
  /// Of those running.
  [[nodiscard]] BranchUsage branch_usage() const;
  [[nodiscard]] bool step_empty() const { return chunks_.empty() && !group_scheduled_; }
  [[nodiscard]] StepShape step_shape() const;
  [[nodiscard]] Blocks blocks_used() const { return allocator_.total() - allocator_.free(); }
  /// Most blocks in use at any plan of a step inside a run (windows free some on the way, so the last plan
  /// need not be the peak).
  [[nodiscard]] Blocks blocks_used_in_runs() const { return used_in_runs_; }
  /// Tokens whose KV is held or being written, `further` steps of the group from now.
  [[nodiscard]] std::int64_t tokens_resident(std::int64_t further = 0) const;
  /// How many steps like the planned one the group can make before a member ends or a block may lack.
  [[nodiscard]] std::int64_t repeatable_steps() const;

  void launch();
  /// Takes the blocks of `more` further steps of the launched run of the group, so that blocks_used() is
  /// right for a look at that moment.
  void take_blocks(std::int64_t more);
  /// The launched run of the group goes on for `more` steps; the last of them is now the one in flight.
  void extend(std::int64_t more);
  [[nodiscard]] const std::deque<Flight>& flights() const { return flights_; }
  /// The oldest step's output is there: delivers tokens, corrects for rejected drafts. Its sequences stay
  /// until retire().
  Flight& settle();
  /// Frees what its ended sequences held, and forgets the oldest flight.
  void retire();
  /// Everybody inside: `visit(seq)` in order of slots.
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
    std::int64_t ended_at = -1;  // clock of its last step in the group
    Tokens end;                  // as add() was told, at most max_model_len
    Tokens end_by_length;        // as add() was told
    Tokens in_flight;            // tokens of launched steps whose output has not been taken
    bool in_group = false;
    bool grows = false;
    bool is_running = false;
    bool last_step = false;  // its last token is under way: it is not scheduled again
    bool used = false;
    std::unique_ptr<BeamModel> beams;
  };

  [[nodiscard]] ForkingBlocks& forking() const {
    ForkingBlocks* const blocks = allocator_.forking();
    KVCAST_CHECK(blocks != nullptr);
    return *blocks;
  }
  [[nodiscard]] Sequence& at(SeqIndex seq) { return sequences_[to_index(seq)]; }
  [[nodiscard]] Link& link(SeqIndex seq) { return links_[to_index(seq)]; }
  [[nodiscard]] const Link& link(SeqIndex seq) const { return links_[to_index(seq)]; }
  [[nodiscard]] Tokens wanted(SeqIndex seq, Tokens cap) const;
  [[nodiscard]] Growth growth(SeqIndex seq, Tokens n, Tokens ahead) const;
  [[nodiscard]] Tokens lookahead() const;
  [[nodiscard]] bool individuals_are_last() const;
  [[nodiscard]] Tokens share(SeqIndex seq) const;
  [[nodiscard]] bool is_prompt(SeqIndex seq) const { return sequence(seq).in_prefill; }
  [[nodiscard]] bool schedule_grouped();
  [[nodiscard]] bool schedule_walking();
  void walk(bool prompts, bool decodes);
  [[nodiscard]] SeqIndex first_behind(std::uint64_t admitted_no) const;
  [[nodiscard]] bool lacks_spare(SeqIndex seq) const;
  [[nodiscard]] bool grow_or_preempt(SeqIndex seq, Tokens n, bool& skip_next);
  [[nodiscard]] bool blocks_have_names() const {
    return growing_ == BlockAllocator::Growing::by_name || growing_ == BlockAllocator::Growing::by_step;
  }
  void grow_group_until(std::int64_t clock, bool in_run);
  void grow_member(SeqIndex seq, std::int64_t clock);
  void commit_group_until(std::int64_t clock);
  void dissolve_group();
  void preempt(SeqIndex seq);
  [[nodiscard]] bool swaps(const Sequence& s) const;
  void swap_out(SeqIndex seq);
  [[nodiscard]] Blocks blocks_of(const Sequence& s) const;
  void enter(SeqIndex seq, Tokens n, Tokens drafts);
  void schedule(SeqIndex seq, Tokens n, bool admitted, Tokens padding_drafts);
  bool launch_chunk(const Chunk& chunk, Flight& flight);
  void advance_group(std::int64_t steps, Flight& flight);
  void settle_chunk(const Chunk& chunk, Flight& flight, Emission* emission);
  void settle_group(Flight& flight);
  void add_drafting(const Sequence& s, StepShape& shape) const;
  void add_verification(const Chunk& chunk, StepShape& shape) const;
  [[nodiscard]] Tokens drafts_asked(const Sequence& s) const {
    return Tokens{options_.speculation->asked(running_, s.draft_length)};
  }
  void join_group(SeqIndex seq);
  /// What a decode of the sequence counts: one, or its branches.
  [[nodiscard]] std::int64_t rows(SeqIndex seq) const {
    return sequence(seq).forked ? sequence(seq).branches : 1;
  }
  [[nodiscard]] std::int64_t tokens_held(SeqIndex seq) const;
  [[nodiscard]] std::int64_t attended(SeqIndex seq, std::int64_t known) const {
    return options_.reach.of(known, options_.reach.dropped(sequence(seq).input));
  }
  void branch(SeqIndex seq);
  void link_last(SeqIndex seq);
  void unlink(SeqIndex seq);

  BlockAllocator& allocator_;
  QueueOrder& order_;
  BatchOptions options_;
  BlockAllocator::Growing growing_;
  std::vector<Sequence> sequences_;
  std::vector<Link> links_;
  std::vector<SeqIndex> free_slots_;
  SeqIndex first_ = kNoSeq;
  SeqIndex last_ = kNoSeq;
  std::int64_t running_ = 0;
  std::int64_t further_branches_ = 0;  // of those running, beyond one each
  std::uint64_t next_admitted_no_ = 0;
  DecodeGroup group_;
  std::int64_t grown_until_ = 0;  // clock of the group up to which its members' blocks are taken
  Blocks used_in_runs_;
  std::int64_t committed_until_ = 0;  // clock up to which full blocks of members are findable
  std::vector<SeqIndex>
      individuals_;  // running, not in the group, not in their last step, in order of admission
  std::vector<SeqIndex> last_steps_;  // running, in their last step
  std::vector<BlockTable> held_;      // of ended sequences, to be released
  std::vector<SeqIndex> passed_over_;
  std::int64_t loading_ = 0;
  struct Kept {
    RequestId id;
    BlockTable table;
    Tokens tokens;
  };
  std::int64_t awaiting_ = 0;  // sequences that wait for KV from another replica
  std::vector<Reservation> reserved_;
  std::deque<SeqIndex> received_;
  std::deque<Kept> kept_;
  std::int64_t tokens_aside_ = 0;  // with KV, of those received and kept
  std::deque<SeqIndex> swapped_;
  Blocks swap_free_;
  Blocks moved_;
  SpeculationTotals speculated_;
  std::deque<Flight> flights_;
  std::vector<Flight> spare_flights_;

  // The step being built.
  Tokens budget_;
  RunningRules rules_;
  Tokens front_cached_;
  bool group_scheduled_ = false;
  std::vector<Chunk> chunks_;
  std::vector<Preemption> preempted_;
  std::vector<Dissolved> dissolved_;
  StepShape padding_;
  std::vector<DecodeGroup::Ending> endings_;
};

}  // namespace kvcast
