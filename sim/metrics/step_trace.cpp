#include "sim/metrics/step_trace.h"

#include <algorithm>

namespace kvcast {

std::string_view name_of(TracedKind kind) {
  switch (kind) {
    case TracedKind::arriving:
      return "to the engine";
    case TracedKind::queued:
      return "queued";
    case TracedKind::prefill:
      return "prefill";
    case TracedKind::decode:
      return "decode";
    case TracedKind::waiting:
      return "waiting";
    case TracedKind::preempted:
      return "preempted";
  }
  return "";
}

void StepTrace::on_step(const StepRecord& step) {
  for (const RequestId id : step.preempted) {
    const auto at = open_.find(to_number(id));
    if (at != open_.end()) at->second.gave_way = true;
  }
  if (step.scheduled.empty() || !inside(step.device_begin, step.device_end)) return;
  if (static_cast<std::int64_t>(steps_.size()) < window_.steps_max) {
    TracedStep traced;
    traced.replica = step.replica;
    traced.begin = step.device_begin;
    traced.end = step.device_end;
    traced.shape = step.shape;
    traced.parts = timer_of_(step.replica).parts(step.shape);
    traced.running = step.running;
    traced.waiting = step.waiting;
    traced.free = step.free_scheduled;
    traced.preempted = static_cast<std::int64_t>(step.preempted.size());
    steps_.push_back(traced);
  } else {
    ++steps_left_out_;
  }
  for (const StepRecord::Entry& entry : step.scheduled) {
    auto at = open_.find(to_number(entry.id));
    if (at == open_.end()) {
      if (static_cast<std::int64_t>(open_.size()) >= window_.requests_max) {
        left_out_[to_number(entry.id)] = true;
        continue;
      }
      at = open_.emplace(to_number(entry.id), Open{}).first;
      at->second.piece = pieces_.size();
    } else if (pieces_[at->second.piece].end >= step.device_end) {
      continue;  // another of its sequences
    }
    const bool decodes = entry.drafts > 0 || (entry.n == 1 && entry.computed > 0);
    add(entry.id, at->second,
        {entry.id, step.replica, decodes ? TracedKind::decode : TracedKind::prefill, step.device_begin,
         step.device_end, 1, entry.n});
  }
}

/// Appends a piece to a request's, with the gap before it; steps that follow each other are one piece.
void StepTrace::add(RequestId id, Open& open, const TracedPiece& piece) {
  const bool first = open.piece == pieces_.size() || pieces_[open.piece].id != id;
  if (!first) {
    TracedPiece& last = pieces_[open.piece];
    const bool goes_on = last.end == piece.begin && last.replica == piece.replica;
    if (goes_on && last.kind == piece.kind) {
      last.end = piece.end;
      ++last.steps;
      last.tokens += piece.tokens;
      return;
    }
    if (last.end < piece.begin) {
      pieces_.push_back({id, piece.replica, open.gave_way ? TracedKind::preempted : TracedKind::waiting,
                         last.end, piece.begin, 0, 0});
    }
  }
  open.gave_way = false;
  open.piece = pieces_.size();
  pieces_.push_back(piece);
}

void StepTrace::on_load(ReplicaId replica, RequestId id, Instant begin, Instant end) {
  if (inside(begin, end) && static_cast<std::int64_t>(loads_.size()) < window_.steps_max)
    loads_.push_back({replica, id, begin, end, false});
}

void StepTrace::on_transfer(ReplicaId replica, RequestId id, Instant begin, Instant end) {
  if (inside(begin, end) && static_cast<std::int64_t>(loads_.size()) < window_.steps_max)
    loads_.push_back({replica, id, begin, end, true});
}

/// The way to the first step is known when a request's story ends.
void StepTrace::on_request(const RequestRow& row) {
  const auto at = open_.find(to_number(row.id));
  if (at == open_.end() || at->second.told || row.scheduled == kNever) return;
  at->second.told = true;
  if (row.received > row.arrival)
    pieces_.push_back({row.id, row.replica, TracedKind::arriving, row.arrival, row.received, 0, 0});
  if (row.scheduled > row.received)
    pieces_.push_back({row.id, row.replica, TracedKind::queued, row.received, row.scheduled, 0, 0});
}

}  // namespace kvcast
