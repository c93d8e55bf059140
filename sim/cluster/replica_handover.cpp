// A replica's part in requests that two replicas serve: prompts computed for another, KV that comes from one.
#include <algorithm>

#include "sim/cluster/replica.h"

namespace kvcast {

bool Replica::enqueue_awaiting(Request&& request, bool first_seen) {
  KVCAST_CHECK(engine_.role == Role::decode);
  return enter(std::move(request), {.awaits_kv = true, .answers = true, .first_seen = first_seen});
}

bool Replica::enqueue_for(Request&& request) {
  KVCAST_CHECK(engine_.role == Role::prefill);
  return enter(std::move(request), {.awaits_kv = false, .answers = false, .first_seen = false});
}

bool ends_with_first_token(const Request& request, const EngineSetup& engine) {
  const bool one = request.output == Tokens{1} || request.output_limit == Tokens{1};
  return one || request.input + Tokens{1} >= engine.max_model_len;
}

std::vector<Reserved> Replica::take_reserved() {
  std::vector<Reserved> reserved;
  for (const Batch::Reservation& one : batch_.take_reserved())
    reserved.push_back({batch_.sequence(one.seq).id, static_cast<std::uint32_t>(one.seq), one.cached});
  return reserved;
}

void Replica::note_prefilled(const Track& t, FineInstant end) {
  Prefilled done;
  done.id = t.id;
  done.replica = id_;
  done.at = end;
  done.received = t.received;
  done.scheduled = t.scheduled;
  done.cached = t.cached;
  done.preemptions = t.preemptions;
  done.first_token = t.first_token;
  prefilled_.push_back(done);
  recorder_.handed_over();
}

/// What the step just started computes of prompts that go elsewhere.
void Replica::note_streamed() {
  const StepRun& run = flights_.back().run;
  for (const Chunk& chunk : batch_.chunks()) {
    if (hands_over(chunk.seq))
      streamed_.push_back({chunk.id, run.begin, run.end(), chunk.computed + chunk.n, chunk.computed});
  }
}

void Replica::receive(std::uint32_t seq, const Prefilled& prefilled, const KvTransfer& transfer) {
  scrape(transfer.end);
  preemptions_in_vain_ = 0;
  const auto index = static_cast<SeqIndex>(seq);
  KVCAST_CHECK(batch_.sequence(index).id == prefilled.id);
  const bool told = prefilled.first_token != kNever;
  batch_.receive(index, told);
  Track& t = track(index);
  t.received = std::min(t.received, prefilled.received);
  t.scheduled = prefilled.scheduled;
  t.cached = prefilled.cached;
  t.preemptions += prefilled.preemptions;
  t.first_token = prefilled.first_token;
  if (told) t.last_token = prefilled.at;
  t.stages = {static_cast<std::int32_t>(to_index(prefilled.replica)), prefilled.at.floor(),
              transfer.begin.floor(), transfer.end.floor()};
  recorder_.received(prefilled.at, transfer);
  if (observer_ != nullptr)
    observer_->on_transfer(id_, prefilled.id, transfer.begin.floor(), transfer.end.floor());
}

void Replica::release(RequestId id, FineInstant now) {
  scrape(now);
  preemptions_in_vain_ = 0;
  batch_.release_kept(id);
}

}  // namespace kvcast
