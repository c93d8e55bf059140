#include "sim/sglang/decision_lines.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvcast {
namespace {

std::int64_t ns(Instant at) { return at.time_since_epoch().count(); }

/// Rounded to so many digits, without trailing zeros.
std::string rounded(double value, int digits) {
  std::string text = fmt::format("{:.{}f}", value, digits);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string list(const std::vector<RequestId>& ids) {
  std::string text = "[";
  for (const RequestId id : ids) text += fmt::format("{}{}", text.size() > 1 ? "," : "", to_number(id));
  return text + "]";
}

const char* name_of(SglangVerdict verdict) {
  switch (verdict) {
    case SglangVerdict::go_on:
      return "CONTINUE";
    case SglangVerdict::no_token:
      return "NO_TOKEN";
    case SglangVerdict::other:
      return "OTHER";
  }
  return "";
}

std::string state_text(const SglangState& s) {
  return fmt::format(R"("w":{},"nt":{},"av":{},"ev":{},"pr":{},"full":{})", s.waiting,
                     rounded(s.new_token_ratio, 6), s.available, s.evictable, s.locked, s.full ? 1 : 0);
}

std::string admission_text(const SglangAdmission& a) {
  std::string stop = "null";
  if (a.tried)
    stop = fmt::format(R"([{},"{}"])", a.turned ? static_cast<std::int64_t>(to_number(*a.turned)) : -1,
                       name_of(a.verdict));
  std::string text = fmt::format(R"("stop":{},"rem":[{},{},{}],)", stop, rounded(a.total_left, 3),
                                 a.input_left, a.chunk_left ? std::to_string(*a.chunk_left) : "null");
  if (a.put_behind > 0) text += fmt::format(R"("dp":{},)", a.put_behind);
  return text;
}

std::string chunk_text(const SglangStep& step) {
  std::string text = R"("b":[)";
  for (const SglangChunk& chunk : step.chunks) {
    text += fmt::format("{}[{},{},{}]", text.back() == '[' ? "" : ",", to_number(chunk.id), chunk.there,
                        chunk.now);
  }
  text += "],";
  if (step.unfinished) text += fmt::format(R"("ch":{},)", to_number(*step.unfinished));
  return text;
}

std::string step_text(const SglangStep& step, const std::string& members) {
  const char* kind = step.kind == SglangStepKind::prefill  ? "p"
                     : step.kind == SglangStepKind::decode ? "d"
                                                           : "m";
  std::string text = fmt::format(R"({{"k":"{}","s":{},"at":{},"t":{},"d":{},)", kind, step.number,
                                 ns(step.planned), ns(step.start), step.duration.count());
  if (step.kind != SglangStepKind::decode) text += chunk_text(step);
  text += members;
  text += fmt::format(R"("n":{},)", step.kind == SglangStepKind::prefill
                                        ? step.decoding_waits
                                        : static_cast<std::int64_t>(step.decoding.size()));
  if (step.kind != SglangStepKind::decode) text += fmt::format(R"("T":{},)", step.tokens);
  text += fmt::format(R"("c":{},)", step.context);
  if (step.kind != SglangStepKind::decode) text += admission_text(step.admission);
  return text + state_text(step.state);
}

std::string last_text(const SglangStep& step) {
  return fmt::format(R"("last":{{"at":{},"t":{},"d":{},"c":{},"w":{},"nt":{},"av":{}}})", ns(step.planned),
                     ns(step.start), step.duration.count(), step.context, step.state.waiting,
                     rounded(step.state.new_token_ratio, 6), step.state.available);
}

bool one_line(const SglangStep& a, const SglangStep& b) {
  return a.kind == SglangStepKind::decode && b.kind == SglangStepKind::decode &&
         a.state.evictable == b.state.evictable && a.state.locked == b.state.locked &&
         a.state.full == b.state.full;
}

}  // namespace

/// "+" who joined (at the end), "-" who left, or "o" the whole order where these do not say it.
std::string SglangDecisionLines::member_changes(const std::vector<RequestId>& now) {
  if (now == members_) return {};
  const auto sorted = [](std::vector<RequestId> ids) {
    std::sort(ids.begin(), ids.end());
    return ids;
  };
  const std::vector<RequestId> before = sorted(members_);
  const std::vector<RequestId> after = sorted(now);
  const auto in = [](const std::vector<RequestId>& ids, RequestId id) {
    return std::binary_search(ids.begin(), ids.end(), id);
  };
  std::vector<RequestId> kept, joined, left;
  for (const RequestId id : members_) (in(after, id) ? kept : left).push_back(id);
  for (const RequestId id : now) {
    if (!in(before, id)) joined.push_back(id);
  }
  kept.insert(kept.end(), joined.begin(), joined.end());
  members_ = now;
  if (kept != now) return fmt::format(R"("o":{},)", list(now));
  std::string text;
  if (!joined.empty()) text += fmt::format(R"("+":{},)", list(joined));
  if (!left.empty()) text += fmt::format(R"("-":{},)", list(left));
  return text;
}

void SglangDecisionLines::add(const SglangStep& first, const SglangStep& last, std::int64_t steps) {
  steps_ += steps;
  const std::string members =
      first.kind == SglangStepKind::prefill ? std::string{} : member_changes(first.decoding);
  if (pending_ && members.empty() && !idle_ && one_line(pending_->last, first)) {
    pending_->last = last;
    pending_->steps += steps;
    return;
  }
  flush();
  pending_ = Run{first, last, steps, members};
}

void SglangDecisionLines::on_decode_run(const SglangStep& first, const SglangStep& last, std::int64_t run) {
  steps_in_runs_ += run;
  add(first, last, run);
}

void SglangDecisionLines::flush() {
  if (pending_) {
    std::string text = step_text(pending_->first, pending_->members);
    if (pending_->steps > 1) text += fmt::format(R"(,"N":{},{})", pending_->steps, last_text(pending_->last));
    sink_(text + "}");
    pending_.reset();
  }
  if (idle_)
    sink_(fmt::format(R"({{"k":"i","t":{},"av":{},"ev":{}}})", ns(idle_->at), idle_->available,
                      idle_->evictable));
  idle_.reset();
}

void SglangDecisionLines::on_retraction(const SglangRetraction& r) {
  flush();
  sink_(fmt::format(R"({{"k":"r","at":{},"ret":{},"abort":{},"nt":{},"av":[{},{}]}})", ns(r.at),
                    list(r.retracted), list(r.aborted), rounded(r.new_token_ratio, 6), r.available_before,
                    r.available_after));
}

void SglangDecisionLines::on_result(const SglangResult& result) {
  flush();
  std::string text = fmt::format(R"({{"k":"f","t":{},"s":{},"fin":[)", ns(result.at), result.step);
  for (const SglangFinish& f : result.finished) {
    text += fmt::format("{}[{},{},{},{}]", text.back() == '[' ? "" : ",", to_number(f.id), f.output, f.cached,
                        f.held);
  }
  sink_(text + "]}");
}

void SglangDecisionLines::on_idle(const SglangIdle& idle) {
  flush();
  idle_ = idle;
}

void SglangDecisionLines::end() {
  const std::optional<SglangIdle> last = idle_;
  idle_.reset();
  flush();
  if (!last) return;
  sink_(fmt::format(R"({{"k":"end","t":{},"steps":{},"av":{},"ev":{},"pr":{}}})", ns(last->at), steps_,
                    last->available, last->evictable, last->locked));
}

}  // namespace kvcast
