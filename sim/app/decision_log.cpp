#include "sim/app/decision_log.h"

#include <fmt/format.h>

#include <iterator>

namespace kvcast {
namespace {

constexpr std::int64_t kNsPerUs = 1000;

void append_time(std::string& line, Instant at) {
  const std::int64_t ns = at.time_since_epoch().count();
  fmt::format_to(std::back_inserter(line), "{}", ns / kNsPerUs);
  std::int64_t rest = ns % kNsPerUs;
  if (rest == 0) return;
  int digits = 3;
  for (; rest % 10 == 0; rest /= 10) --digits;
  fmt::format_to(std::back_inserter(line), ".{:0{}}", rest, digits);
}

void append_ids(std::string& line, const char* key, const std::vector<RequestId>& ids) {
  if (ids.empty()) return;
  fmt::format_to(std::back_inserter(line), ",\"{}\":[", key);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    fmt::format_to(std::back_inserter(line), "{}{}", i == 0 ? "" : ",", to_number(ids[i]));
  }
  line += ']';
}

}  // namespace

/// The requests of the step, in short form where the last entry tells the rest.
void DecisionLog::append_scheduled(const StepRecord& step) {
  auto& known = known_[to_index(step.replica)];
  const auto out = std::back_inserter(line_);
  line_ += ",\"s\":[";
  for (const StepRecord::Entry& entry : step.scheduled) {
    const std::uint64_t id = to_number(entry.id);
    if (line_.back() != '[') line_ += ',';
    const auto before = known.find(id);
    if (entry.admitted) {  // what has KV on admission came from the prefix cache
      fmt::format_to(out, "[{},{},{},{}]", id, entry.n, entry.computed, entry.computed);
    } else if (entry.n == 1 && before != known.end() && before->second == entry.computed) {
      fmt::format_to(out, "{}", id);
    } else {
      fmt::format_to(out, "[{},{},{}]", id, entry.n, entry.computed);
    }
    known[id] = entry.computed + entry.n;
  }
  line_ += ']';
}

void DecisionLog::on_step(const StepRecord& step) {
  const auto out = std::back_inserter(line_);
  line_ = "{";
  if (known_.size() > 1) fmt::format_to(out, "\"replica\":{},", to_index(step.replica));
  fmt::format_to(out, "\"i\":{},\"t\":", step.index);
  append_time(line_, step.begin);
  append_scheduled(step);
  append_ids(line_, "p", step.preempted);
  fmt::format_to(out, ",\"fs\":{},\"R\":{},\"W\":{}", step.free_scheduled.value, step.running, step.waiting);
  if (asynchronous_) {
    fmt::format_to(out, ",\"u\":{},\"g\":", step.output_known);
    append_time(line_, step.device_begin);
  }
  if (!step.drafted.empty()) {
    line_ += ",\"sp\":[";
    for (const StepRecord::Drafted& drafted : step.drafted) {
      fmt::format_to(out, "{}[{},{},{}]", line_.back() == '[' ? "" : ",", to_number(drafted.id),
                     drafted.scheduled, drafted.accepted);
    }
    line_ += ']';
  }
  append_ids(line_, "f", step.finished);
  fmt::format_to(out, ",\"fu\":{}}}\n", step.free_updated.value);
  auto& known = known_[to_index(step.replica)];
  for (const RequestId id : step.finished) known.erase(to_number(id));
  out_.write(line_);
}

}  // namespace kvcast
