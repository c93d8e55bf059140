// Sequences that two replicas serve one after the other: room held for KV that comes, and KV held until it
// has gone.
#include <algorithm>

#include "sim/sched/batch.h"

namespace kvcast {

bool Batch::reserve_front() {
  const SeqIndex seq = order_.front();
  Sequence& s = at(seq);
  KVCAST_CHECK(s.awaits_kv);
  Growth whole;
  whole.slots = s.known;
  whole.computed = whole.shareable = s.computed;  // the rest is found by nobody before it is there
  if (!allocator_.grow(s.table, whole)) return false;
  order_.pop();
  ++awaiting_;
  reserved_.push_back({seq, s.computed});
  return true;
}

void Batch::receive(SeqIndex seq, bool told) {
  Sequence& s = at(seq);
  KVCAST_CHECK(s.awaits_kv && awaiting_ > 0);
  --awaiting_;
  s.awaits_kv = false;
  if (told) s.known += Tokens{1};
  s.computed = s.known - Tokens{1};  // the last one is computed here: it gives the next token
  tokens_aside_ += s.computed.value;
  received_.push_back(seq);
}

bool Batch::admit_received() {
  const SeqIndex seq = received_.front();
  Sequence& s = at(seq);
  if (!allocator_.grow(s.table, growth(seq, Tokens{1}, Tokens{0}))) return false;
  received_.pop_front();
  tokens_aside_ -= s.computed.value;
  order_.admitted(s);
  s.admitted_no = next_admitted_no_++;
  link_last(seq);
  individuals_.push_back(seq);
  schedule(seq, Tokens{1}, true, Tokens{0});
  return true;
}

void Batch::release_kept(RequestId id) {
  const auto kept = std::find_if(kept_.begin(), kept_.end(), [id](const Kept& k) { return k.id == id; });
  KVCAST_CHECK(kept != kept_.end());
  allocator_.release(kept->table);
  allocator_.close(kept->table);
  tokens_aside_ -= kept->tokens.value;
  kept_.erase(kept);
}

}  // namespace kvcast
