#include "sim/sched/decode_group.h"

namespace kvcast {

void DecodeGroup::join(const Member& member) {
  KVCAST_CHECK(member.remaining >= Tokens{1});
  KVCAST_CHECK(member.known >= Tokens{2});
  ++size_;
  context_ += member.known.value;
  std::int64_t phase = -1;
  if (member.grows) {
    // A step at clock c holds known - 1 + (c - clock) tokens and needs a block when that is a multiple of the
    // block size.
    const std::int64_t ahead = (member.known.value - 1 - member.dropped) % block_size_;
    phase = (clock_ + block_size_ - ahead) % block_size_;
    ++crossings_[static_cast<std::size_t>(phase)];
    ++growing_;
    if (!named_.empty()) {
      std::vector<Named>& names = named_[static_cast<std::size_t>(phase)];
      const auto at =
          std::upper_bound(names.begin(), names.end(), member.admitted_no,
                           [](std::uint64_t no, const Named& other) { return no < other.admitted_no; });
      names.insert(at, {member.admitted_no, member.seq});
    }
    if (member.full_at != Tokens::max()) {
      KVCAST_CHECK(named_.empty() && member.full_at.value >= member.known.value);
      const std::int64_t full = clock_ + member.full_at.value - (member.known.value - 1);
      if (full < clock_ + member.remaining.value) {
        push_turn({full, phase});
        phase = -1;  // it does not grow any more when it ends
      }
    }
  }
  if (reach_.on()) attend(member);
  endings_.push_back({clock_ + member.remaining.value, member.admitted_no, member.seq, phase,
                      member.known.value + member.remaining.value, member.dropped});
  std::push_heap(endings_.begin(), endings_.end(), later);
}

/// With every step a token more, and with a new chunk its size less.
void DecodeGroup::attend_in_chunks(const Member& member) {
  const std::int64_t attended = reach_.of(member.known.value, 0);
  attended_ += attended;
  ++attending_more_;
  if (attended == 1) just_full_ -= reach_.cap;
  const std::int64_t left = reach_.cap - attended + 1;
  const std::int64_t end = clock_ + member.remaining.value;
  if (clock_ + left < end) push_turn({clock_ + left, -1, end});
}

/// What the sum holds of a member at its end.
std::int64_t DecodeGroup::attended_at_end(const Ending& ending) const {
  const std::int64_t attended = reach_.of(ending.known, ending.dropped);
  return reach_.chunks && attended == 1 ? reach_.cap + 1 : attended;  // no turn is told of at the end
}

void DecodeGroup::attend(const Member& member) {
  if (reach_.chunks) return attend_in_chunks(member);
  const std::int64_t known = member.known.value;
  attended_ += reach_.of(known, member.dropped);
  const std::int64_t room = reach_.cap > 0 ? reach_.cap - (known - member.dropped) : member.remaining.value;
  if (room == 0) ++just_full_;
  if (room <= 0) return;
  ++attending_more_;
  if (room < member.remaining.value) push_turn({clock_ + room, -1});
}

void DecodeGroup::push_turn(const Turn& turn) {
  KVCAST_CHECK(turn.at > clock_);
  turns_.push_back(turn);
  std::push_heap(turns_.begin(), turns_.end(), turns_later);
}

void DecodeGroup::pass_turns() {
  while (!turns_.empty() && turns_.front().at == clock_) {
    const Turn turn = turns_.front();
    std::pop_heap(turns_.begin(), turns_.end(), turns_later);
    turns_.pop_back();
    if (turn.phase >= 0) {
      --crossings_[static_cast<std::size_t>(turn.phase)];
      --growing_;
    } else if (reach_.chunks) {
      attended_ -= reach_.cap;
      just_full_ -= reach_.cap;
      if (turn.at + reach_.cap < turn.end) push_turn({turn.at + reach_.cap, -1, turn.end});
    } else {
      --attending_more_;
      ++just_full_;
    }
  }
}

Blocks DecodeGroup::blocks_taken(std::int64_t from, std::int64_t steps) const {
  if (growing_ == 0) return Blocks{0};
  const std::int64_t rest = steps % block_size_;
  std::int64_t blocks = steps / block_size_ * growing_;
  std::size_t phase = phase_at(from);
  for (std::int64_t i = 0; i < rest; ++i) {
    blocks += crossings_[phase];
    if (++phase == crossings_.size()) phase = 0;
  }
  return Blocks{blocks};
}

std::int64_t DecodeGroup::steps_covered(std::int64_t from, std::int64_t steps_max, Blocks free) const {
  if (growing_ == 0) return steps_max;
  const std::int64_t cycles = std::min(free.value / growing_, steps_max / block_size_);
  std::int64_t steps = cycles * block_size_;
  std::int64_t left = free.value - cycles * growing_;
  std::size_t phase = phase_at(from);
  while (steps < steps_max && crossings_[phase] <= left) {
    left -= crossings_[phase];
    ++steps;
    if (++phase == crossings_.size()) phase = 0;
  }
  return steps;
}

void DecodeGroup::advance(std::int64_t steps, std::vector<Ending>& ended) {
  KVCAST_CHECK(size_ > 0 && steps >= 0 && steps <= steps_to_first_end());
  clock_ += steps;
  context_ += steps * size_;
  if (reach_.on() && steps > 0) {
    attended_ += steps * attending_more_;
    just_full_ = 0;
  }
  if (!turns_.empty()) {
    KVCAST_CHECK(turns_.front().at >= clock_);
    pass_turns();
  }
  while (!endings_.empty() && endings_.front().at == clock_) {
    const Ending ending = endings_.front();
    std::pop_heap(endings_.begin(), endings_.end(), later);
    endings_.pop_back();
    --size_;
    context_ -= ending.known;
    if (reach_.on()) {
      attended_ -= attended_at_end(ending);
      if (reach_.cap == 0 || reach_.chunks || ending.known - ending.dropped <= reach_.cap) --attending_more_;
    }
    if (ending.phase >= 0) {
      --crossings_[static_cast<std::size_t>(ending.phase)];
      --growing_;
      if (!named_.empty()) {
        std::erase_if(named_[static_cast<std::size_t>(ending.phase)],
                      [&](const Named& named) { return named.seq == ending.seq; });
      }
    }
    ended.push_back(ending);
  }
}

void DecodeGroup::clear() {
  size_ = 0;
  context_ = 0;
  growing_ = 0;
  attended_ = 0;
  attending_more_ = 0;
  just_full_ = 0;
  turns_.clear();
  std::fill(crossings_.begin(), crossings_.end(), 0);
  endings_.clear();
  for (std::vector<Named>& names : named_) names.clear();
}

}  // namespace kvcast
