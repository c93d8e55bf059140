#include "sim/cluster/sample_runs.h"

#include <algorithm>

#include "sim/base/error.h"

namespace kvcast {

std::int32_t SampleRuns::open(Track&& request, std::int32_t answers) {
  KVCAST_CHECK(answers > 1);
  if (unused_.empty()) {
    unused_.push_back(static_cast<std::int32_t>(runs_.size()));
    runs_.emplace_back();
  }
  const std::int32_t number = unused_.back();
  unused_.pop_back();
  Run& run = runs_[static_cast<std::size_t>(number)];
  run = Run{std::move(request), answers, false};
  run.request.answers = answers;
  return number;
}

Track SampleRuns::answer_of(std::int32_t number) const {
  const Track& request = runs_[static_cast<std::size_t>(number)].request;
  Track answer;
  answer.id = request.id;
  answer.arrival = request.arrival;
  answer.input = request.input;
  answer.sample_of = number;
  return answer;
}

void SampleRuns::admitted(Track& answer, FineInstant now, Tokens cached) {
  if (answer.scheduled != kNever) return;
  answer.scheduled = now.floor();
  Track& request = run_of(answer).request;
  if (request.scheduled == kNever || request.returns) {
    recorder_.admitted(request, now, cached);
  } else {
    recorder_.looked_up(answer.input, cached);
  }
}

void SampleRuns::token(Track& answer, FineInstant at) {
  Track& request = run_of(answer).request;
  if (answer.first_token != kNever) return recorder_.token(answer, at);
  if (request.first_token == kNever) recorder_.token(request, at);
  answer.first_token = at.floor();
  answer.last_token = at;
}

bool SampleRuns::completed(const Track& answer, FineInstant at) {
  Run& run = run_of(answer);
  KVCAST_CHECK(run.left > 0);
  run.request.output = std::max(run.request.output, answer.output);
  run.request.preemptions += answer.preemptions;
  if (--run.left > 0) return false;
  recorder_.completed(run.request, at);
  unused_.push_back(answer.sample_of);
  return true;
}

void SampleRuns::unfinished(const Track& answer) {
  Run& run = run_of(answer);
  run.cut = true;
  run.request.output = std::max(run.request.output, answer.output);
  run.request.preemptions += answer.preemptions;
}

void SampleRuns::record_unfinished() {
  for (const Run& run : runs_) {
    if (run.cut) recorder_.unfinished(run.request);
  }
}

}  // namespace kvcast
