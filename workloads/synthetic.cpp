#include "workloads/synthetic.h"

#include <algorithm>
#include <unordered_map>

#include "workloads/chain_source.h"
#include "workloads/numbers.h"
#include "workloads/segments.h"

namespace kvcast {
namespace {

// Spaces of prompt content: see numbered_segment().
constexpr std::uint64_t kPrefixSpace = 0x707265666978;
constexpr std::uint64_t kOwnSpace = 0x6f776e;
constexpr std::uint64_t kTurnSpace = 0x7475726e;

/// Single requests.
class SyntheticRequests final : public OpenLoopSource {
 public:
  SyntheticRequests(const SyntheticSpec& spec, std::uint64_t seed)
      : spec_(spec), arrivals_(spec.arrivals()), lengths_(seed, "lengths"), prefixes_(seed, "prefix") {}

 private:
  bool read(Request& request) override {
    if (made_ == spec_.requests) return false;
    request.arrival = arrivals_->next();
    if (request.arrival.time_since_epoch() >= spec_.duration) return false;
    const LengthPair lengths = spec_.lengths->draw(lengths_);
    request.input = Tokens{lengths.input};
    request.output = Tokens{lengths.output};
    if (spec_.prefix) add_prefix(request);
    if (spec_.max > 0) clip(request, spec_.max);
    ++made_;
    return true;
  }

  void add_prefix(Request& request) {
    const auto group = static_cast<std::uint64_t>(prefixes_.integer(0, spec_.prefix->groups - 1));
    request.details = std::make_unique<RequestDetails>();
    request.details->content = {
        {numbered_segment(kPrefixSpace, group), Tokens{spec_.prefix->tokens}},
        {numbered_segment(kOwnSpace, static_cast<std::uint64_t>(made_)), request.input}};
    request.input += Tokens{spec_.prefix->tokens};
  }

  SyntheticSpec spec_;
  std::unique_ptr<ArrivalProcess> arrivals_;
  RandomStream lengths_;
  RandomStream prefixes_;
  std::int64_t made_ = 0;
};

struct Turn {
  LengthPair lengths;
  Duration think{};  // before this turn
  std::string name;  // of its request, once taken
};

struct Session {
  std::uint64_t group = 0;
  std::vector<Turn> turns;
};

/// Conversations. A session's randomness is drawn when it starts, in order of the sessions, so the server
/// cannot change it.
class SyntheticSessions final : public ChainSource {
 public:
  SyntheticSessions(const SyntheticSpec& spec, std::uint64_t seed)
      : ChainSource(/*closed=*/true),
        spec_(spec),
        arrivals_(spec.arrivals()),
        lengths_(seed, "lengths"),
        prefixes_(seed, "prefix"),
        turns_(seed, "turns"),
        thinks_(seed, "think") {
    read_ahead();
  }

 private:
  static constexpr int kTurnBits = 20;
  static constexpr Node kTurnMask = (Node{1} << kTurnBits) - 1;

  std::optional<Upcoming> upcoming() override {
    if (!have_ahead_) return std::nullopt;
    return Upcoming{start_, loaded_ << kTurnBits};
  }

  void load() override {
    const Node first = loaded_ << kTurnBits;
    sessions_.emplace(loaded_++, draw_session());
    add_root(first, start_);
    read_ahead();
  }

  void read_ahead() {
    have_ahead_ = drawn_ < spec_.requests;
    if (!have_ahead_) return;
    start_ = arrivals_->next();
    have_ahead_ = start_.time_since_epoch() < spec_.duration;
  }

  Session draw_session() {
    Session session;
    if (spec_.prefix)
      session.group = static_cast<std::uint64_t>(prefixes_.integer(0, spec_.prefix->groups - 1));
    const std::int64_t turns = std::min({spec_.sessions->turns.at(turns_.uniform()),
                                         static_cast<std::int64_t>(kTurnMask), spec_.requests - drawn_});
    std::int64_t context = prefix_tokens();
    for (std::int64_t i = 0; i < turns; ++i) {
      Turn turn;
      turn.lengths = spec_.lengths->draw(lengths_);
      if (i > 0) turn.think = draw_think();
      context += turn.lengths.input + turn.lengths.output;
      const bool too_long = (spec_.max > 0 && context > spec_.max) || context > kTokensMax;
      if (too_long && i > 0) break;  // the conversation ends before its context would not fit
      session.turns.push_back(std::move(turn));
    }
    drawn_ += std::ssize(session.turns);
    return session;
  }

  Duration draw_think() {
    const double mean_ns = spec_.sessions->think_mean_s * 1e9;
    return Duration{static_cast<std::int64_t>(spec_.sessions->think_exponential ? thinks_.exponential(mean_ns)
                                                                                : mean_ns)};
  }

  [[nodiscard]] std::int64_t prefix_tokens() const { return spec_.prefix ? spec_.prefix->tokens : 0; }

  Request make(Node node, RequestId id) override {
    const auto found = sessions_.find(node >> kTurnBits);
    KVCAST_CHECK(found != sessions_.end());
    Session& session = found->second;
    const std::size_t turn = node & kTurnMask;
    Request request;
    request.details = std::make_unique<RequestDetails>();
    request.details->session = std::to_string(found->first);
    fill_content(request, session, turn, found->first);
    request.output = Tokens{session.turns[turn].lengths.output};
    if (spec_.max > 0) clip(request, spec_.max);
    session.turns[turn].name = std::to_string(to_number(id));
    request.details->output_segment = output_segment(session.turns[turn].name);
    if (turn + 1 < session.turns.size()) {
      add_child(node + 1, node, session.turns[turn + 1].think);
    } else {
      sessions_.erase(found);
    }
    return request;
  }

  /// The prefix, every earlier turn's input and answer, this turn's input.
  void fill_content(Request& request, const Session& session, std::size_t turn, std::uint64_t number) const {
    std::vector<PromptSegment>& content = request.details->content;
    if (spec_.prefix)
      content.push_back({numbered_segment(kPrefixSpace, session.group), Tokens{spec_.prefix->tokens}});
    const std::uint64_t space = numbered_segment(kTurnSpace, number);
    for (std::size_t i = 0; i <= turn; ++i) {
      const Turn& said = session.turns[i];
      content.push_back({numbered_segment(space, i), Tokens{said.lengths.input}});
      if (i < turn) content.push_back({output_segment(said.name), Tokens{said.lengths.output}});
    }
    for (const PromptSegment& segment : content) request.input += segment.length;
  }

  SyntheticSpec spec_;
  std::unique_ptr<ArrivalProcess> arrivals_;
  RandomStream lengths_;
  RandomStream prefixes_;
  RandomStream turns_;
  RandomStream thinks_;
  std::unordered_map<std::uint64_t, Session> sessions_;  // with turns still to make; looked up only
  std::uint64_t loaded_ = 0;
  std::int64_t drawn_ = 0;  // requests
  Instant start_;           // of the session ahead
  bool have_ahead_ = false;
};

}  // namespace

std::unique_ptr<WorkloadSource> make_synthetic(const SyntheticSpec& spec, std::uint64_t seed) {
  KVCAST_CHECK(spec.requests >= 0);
  KVCAST_CHECK(spec.lengths != nullptr);
  if (spec.sessions) return std::make_unique<SyntheticSessions>(spec, seed);
  return std::make_unique<SyntheticRequests>(spec, seed);
}

void clip(Request& request, std::int64_t max) {
  KVCAST_CHECK(max >= 2);
  request.input = Tokens{std::min(request.input.value, max - 1)};
  request.output = Tokens{std::min(request.output.value, max - request.input.value)};
  if (request.details == nullptr) return;
  std::int64_t left = request.input.value;
  auto& content = request.details->content;
  std::size_t kept = 0;
  for (; kept < content.size() && left > 0; ++kept) {
    content[kept].length = Tokens{std::min(content[kept].length.value, left)};
    left -= content[kept].length.value;
  }
  content.resize(kept);
}

}  // namespace kvcast
