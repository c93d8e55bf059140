#include "sim/plan/request_outcomes.h"

namespace kvcast {

void OutcomeRecorder::on_request(const RequestRow& row) {
  const std::uint64_t at = to_number(row.id);
  if (at >= outcomes_.size()) outcomes_.resize(at + 1);
  RequestOutcome& outcome = outcomes_[at];
  outcome.arrival_ns = row.arrival.time_since_epoch().count();
  if (row.scheduled != kNever) outcome.queue_ns = (row.scheduled - row.arrival).count();
  if (row.first_token != kNever) outcome.ttft_ns = (row.first_token - row.arrival).count();
  if (row.outcome != Outcome::completed) return;
  outcome.completed = true;
  outcome.input = row.input.value;
  outcome.output = row.output.value;
  outcome.last_token_ns = row.last_token.time_since_epoch().count();
  outcome.e2el_ns = (row.last_token - row.arrival).count();
  outcome.decode_ns = (row.last_token - row.first_token).count();
  if (row.output > Tokens{1}) outcome.tpot_ns = outcome.decode_ns / (row.output.value - 1);
  outcome.good =
      outcome.ttft_ns <= slo_.ttft_ns && outcome.tpot_ns <= slo_.tpot_ns && outcome.e2el_ns <= slo_.e2el_ns;
}

}  // namespace kvcast
