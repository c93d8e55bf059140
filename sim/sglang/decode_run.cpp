// Runs of decode steps in closed form: as long as nobody joins, leaves or ends and slots are free, a step
// differs from the last by one token a request.
#include <algorithm>

#include "sim/base/error.h"
#include "sim/sglang/scheduler.h"

namespace kvcast::sglang {
namespace {

/// Requests of a batch by their slots used in the page that they write to.
std::vector<std::int64_t> fill_of_pages(const Reqs& reqs, const std::vector<ReqIndex>& batch,
                                        std::int64_t page) {
  std::vector<std::int64_t> count(static_cast<std::size_t>(page), 0);
  for (const ReqIndex i : batch) ++count[static_cast<std::size_t>(reqs[to_index(i)].kv % page)];
  return count;
}

}  // namespace

std::int64_t Scheduler::tokens_taken(const PlannedStep& step, std::int64_t n) const {
  std::int64_t taken = 0;
  for (const ReqIndex i : step.decoding) taken += pool_.pages(at(i).kv + n) - pool_.pages(at(i).kv);
  return taken;
}

std::int64_t Scheduler::repeats(const PlannedStep& step, std::int64_t most) const {
  KVCAST_CHECK(step.kind == SglangStepKind::decode && step.decoding == running_);
  if (would_admit() || most <= 0) return 0;
  const auto batch = static_cast<std::int64_t>(running_.size());
  const std::int64_t page = pool_.page();
  if (page == 1) return std::min(most, pool_.free() / batch);
  // Every request begins a page once in `page` steps. A step evicts when less than a page a request is free,
  // if anything can be evicted.
  const std::vector<std::int64_t> fill = fill_of_pages(reqs_, running_, page);
  const bool evicts = pool_.evictable() > 0;
  std::int64_t free = pool_.free();
  std::int64_t n = 0;
  const std::int64_t a_page_each = page * batch;
  if (free > 2 * a_page_each) {  // whole rounds of `page` steps, each taking a page a request
    const std::int64_t rounds = std::min((free - a_page_each) / a_page_each, most / page);
    n = rounds * page;
    free -= rounds * a_page_each;
  }
  for (; n < most; ++n) {
    const std::int64_t begins = fill[static_cast<std::size_t>((page - n % page) % page)] * page;
    if (free < (evicts ? a_page_each : begins)) break;
    free -= begins;
  }
  return n;
}

void Scheduler::advance(PlannedStep& step, std::int64_t n) {
  KVCAST_CHECK(n >= 0 && step.number == planned_);
  if (n == 0) return;
  pool_.take_pages(tokens_taken(step, n) / pool_.page(), n * static_cast<std::int64_t>(step.decoding.size()));
  planned_ += n;
  processed_ += n;
  step.number += n;
  step.decode_context += n * static_cast<std::int64_t>(step.decoding.size());
  for (const ReqIndex i : step.decoding) {
    Req& req = at(i);
    req.kv += n;
    req.out += n;
    req.token_step = step.number;
  }
  for (std::int64_t i = 0; i < n && ratio_ > settings_.new_token_ratio.floor; ++i) {
    ratio_ = std::max(ratio_ - settings_.new_token_ratio.decay, settings_.new_token_ratio.floor);
  }
  const std::int64_t waiting = step.state.waiting;
  step.state = state();
  step.state.waiting = waiting;  // who has arrived since was not there when these steps were planned
}

}  // namespace kvcast::sglang
