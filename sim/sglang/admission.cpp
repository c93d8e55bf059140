#include "sim/sglang/admission.h"

#include <algorithm>
#include <cmath>

#include "sim/base/error.h"

namespace kvcast::sglang {
namespace {

/// Tokens a request that the look-ahead keeps in reserve for corner cases.
constexpr std::int64_t kLookAheadReserve = 1;

/// A sum of doubles as Python 3.12 and later forms it: compensated (Neumaier 1974).
class PythonSum {
 public:
  void add(double x) {
    const double t = sum_ + x;
    lost_ += std::abs(sum_) >= std::abs(x) ? (sum_ - t) + x : (x - t) + sum_;
    sum_ = t;
  }
  [[nodiscard]] double value() const { return sum_ + lost_; }

 private:
  double sum_ = 0;
  double lost_ = 0;
};

}  // namespace

PrefillAdder::PrefillAdder(const SglangSettings& settings, Reqs& reqs, KvPool& pool, const Setup& setup)
    : settings_(settings),
      reqs_(reqs),
      pool_(pool),
      setup_(setup),
      current_offset_(setup.decode_tokens),
      input_(settings.max_prefill_tokens - setup.decode_tokens),
      chunk_(settings.chunked_prefill_size) {
  if (chunk_) *chunk_ -= setup.decode_tokens;
  PythonSum reserved;
  for (const ReqIndex i : setup.running) {
    const Req& req = reqs_[to_index(i)];
    reserved.add(static_cast<double>(clipped(req.max_new - req.out)) *
                 (req.ignore_eos ? 1.0 : setup.new_token_ratio));
  }
  total_offset_ = static_cast<double>(setup.decode_tokens) + reserved.value();
}

SglangVerdict PrefillAdder::state() const {
  if (!(total() > 0) || current() <= 0) return SglangVerdict::no_token;
  return input_spent() ? SglangVerdict::other : SglangVerdict::go_on;
}

void PrefillAdder::charge(std::int64_t taken, std::int64_t outputs) {
  const std::int64_t paged = pool_.pages(taken);
  total_offset_ += static_cast<double>(paged + pool_.page() + outputs);
  current_offset_ += paged + pool_.page();
  input_ -= paged;
  if (chunk_) *chunk_ -= paged;
}

std::int64_t PrefillAdder::next_chunk(const Req& req) const {
  KVCAST_CHECK(chunk_.has_value());
  std::int64_t limit = std::min(*chunk_, static_cast<std::int64_t>(total()));
  if (limit <= 0) limit = *chunk_;  // it must go on: it would hold its memory for ever
  return std::min(req.fill - req.kv, limit);
}

bool PrefillAdder::fits_chunked(ReqIndex index) const {
  const Req& req = reqs_[to_index(index)];
  const std::int64_t chunk = next_chunk(req);
  return chunk > 0 && chunk + (pool_.page() > 1 ? pool_.page() : 0) <= pool_.free() + pool_.evictable();
}

bool PrefillAdder::add_chunked(ReqIndex index) {
  Req& req = reqs_[to_index(index)];
  req.taken = next_chunk(req);
  req.there = req.kv;
  admitted_.push_back(index);
  const bool cut = req.there + req.taken < req.fill;
  charge(req.taken, cut ? 0 : clipped(req.max_new));
  return cut;
}

SglangVerdict PrefillAdder::add(ReqIndex index, const RadixTree::Match& prefix) {
  Req& req = reqs_[to_index(index)];
  req.fill = req.length();
  req.there = prefix.tokens;
  RadixTree* tree = pool_.tree();
  if (tree == nullptr)
    return req.ignore_eos ? add_with_look_ahead(req, index) : add_within_budget(req, index);
  tree->lock(prefix.node);  // a prefix that is needed is no room
  const std::size_t before = admitted_.size();
  const SglangVerdict verdict = add_within_budget(req, index);
  if (admitted_.size() == before) {
    tree->unlock(prefix.node);
  } else {
    req.node = prefix.node;
  }
  return verdict;
}

SglangVerdict PrefillAdder::add_within_budget(Req& req, ReqIndex index) {
  const std::int64_t page = pool_.page();
  const std::int64_t left = req.fill - req.there;
  const std::int64_t needed = left + clipped(std::max<std::int64_t>(req.max_new - req.out, 0)) + page;
  if (!(static_cast<double>(needed) < total())) return SglangVerdict::no_token;
  if (!chunk_ && !admitted_.empty() && pool_.pages(left) >= input_) return SglangVerdict::other;
  req.taken = left;
  const bool cut = chunk_ && pool_.pages(left) > *chunk_;
  if (cut) {
    const std::int64_t end = req.there + *chunk_ / page * page;
    req.taken = end - end % page - req.there;
    if (req.taken <= 0) return SglangVerdict::other;
    cut_ = index;
  }
  admitted_.push_back(index);
  charge(req.taken, cut ? 0 : clipped(req.max_new));
  return state();
}

/// With the radix cache off and ignore_eos every end is known, so SGLang looks ahead instead of reserving a
/// share.
SglangVerdict PrefillAdder::add_with_look_ahead(Req& req, ReqIndex index) {
  const std::int64_t left = req.fill - req.there;
  const std::int64_t input = pool_.pages(left) + pool_.page();
  if (static_cast<double>(input) > std::min(static_cast<double>(current()), total()))
    return SglangVerdict::no_token;
  if (outlives_pool(req, input)) return SglangVerdict::no_token;
  req.taken = left;
  const bool cut = chunk_ && left > *chunk_;
  if (cut) {
    if (*chunk_ <= 0) return SglangVerdict::other;
    req.taken = *chunk_;
    cut_ = index;
  }
  admitted_.push_back(index);
  charge(req.taken, cut ? 0 : clipped(req.max_new));
  return state();
}

bool PrefillAdder::outlives_pool(const Req& req, std::int64_t input) {
  if (!remaining_) {
    remaining_.emplace();
    note_remaining(req, false);
    for (const ReqIndex i : setup_.running) note_remaining(reqs_[to_index(i)], false);
    for (const ReqIndex i : admitted_) note_remaining(reqs_[to_index(i)], false);
    std::stable_sort(remaining_->begin(), remaining_->end(),
                     [](const Remaining& a, const Remaining& b) { return a.outputs < b.outputs; });
  } else {
    note_remaining(req, true);
  }
  const auto room = static_cast<double>(current() - input);
  std::int64_t freed = 0;
  auto together = static_cast<std::int64_t>(remaining_->size());
  for (const Remaining& next : *remaining_) {
    const auto n = static_cast<double>(together--);
    if (room + static_cast<double>(freed) - next.outputs * n <= static_cast<double>(kLookAheadReserve) * n)
      return true;
    freed += next.occupied;
  }
  return false;
}

/// \param sorted put it in place; as in SGLang, one that belongs at the end lands before the last.
void PrefillAdder::note_remaining(const Req& req, bool sorted) {
  const double ratio = req.ignore_eos ? 1.0 : setup_.new_token_ratio;
  const double outputs = static_cast<double>(req.max_new) * ratio - static_cast<double>(req.out);
  if (outputs <= 0) return;
  std::vector<Remaining>& all = *remaining_;
  auto place = all.end();
  if (sorted && !all.empty()) {
    place = std::find_if(all.begin(), all.end(),
                         [&](const Remaining& other) { return outputs <= other.outputs; });
    if (place == all.end()) --place;
  }
  all.insert(place, {outputs, req.length()});
}

}  // namespace kvcast::sglang
