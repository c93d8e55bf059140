/// Claude Code agent sessions of WEKA's kv-cache-tester (github.com/callanjfox/kv-cache-tester): one session
/// a line or file, calls with seconds since the session's start, token counts and hashes of 64-token blocks
/// that are local to the session. Sub-agents are nested (upstream) or flattened with run-length coded hashes
/// (hash_rle). Other keys are not used.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>

#include "sim/base/hash.h"
#include "sim/base/rng.h"
#include "workloads/chain_source.h"
#include "workloads/csv_trace.h"
#include "workloads/json_lines.h"
#include "workloads/segments.h"
#include "workloads/trace_format.h"

namespace kvcast {
namespace {

constexpr int kSecondDigits = 9;
constexpr std::int64_t kHashesMax = std::int64_t{1} << 24;  // of a call: 256 MiB of prompt content

struct HashRun {
  std::uint64_t first = 0;
  std::int64_t count = 0;
};

/// One call of a model within a session.
struct Call {
  Duration start{};
  Duration end{};  // start where the trace does not say how long the call took
  std::int64_t input = 0;
  std::int64_t output = 0;
  std::vector<HashRun> hashes;
};

struct Session {
  std::string id;
  std::int64_t block = 0;
  std::vector<Call> calls;  // in order of start
  std::size_t calls_left = 0;
};

/// Reads sessions one after the other from any number of files.
class SessionReader {
 public:
  explicit SessionReader(std::vector<TraceFile> files) : files_(std::move(files)) {}

  [[nodiscard]] bool next(Session& session) {
    while (true) {
      if (!json_) {
        if (file_ == files_.size()) return false;
        json_.emplace(files_[file_++]);
      }
      if (json_->next()) break;
      json_.reset();
    }
    read_session(session);
    return true;
  }

 private:
  static constexpr std::array<std::string_view, 4> kSessionKeys = {"id", "block_size", "hash_id_scope",
                                                                   "requests"};
  static constexpr std::array<std::string_view, 7> kCallKeys = {"t",        "in",       "out",     "api_time",
                                                                "hash_ids", "hash_rle", "requests"};
  enum SessionKey : std::size_t { kId, kBlockSize, kScope, kRequests };
  enum CallKey : std::size_t { kStart, kIn, kOut, kApiTime, kHashIds, kHashRle, kSubRequests };

  void read_session(Session& session) {
    KeySet keys(kSessionKeys);
    json_->fields([&](std::string_view key, JsonValue& value) {
      switch (keys.see(key, *json_)) {
        case kId:
          session.id = json_->string(value, key);
          break;
        case kBlockSize:
          session.block = json_->count(value, key, 1, kTokensMax);
          break;
        case kScope:
          if (const char* at = json_->place(value); json_->string(value, key) != "local") {
            json_->fail(at, "hash_id_scope: only \"local\" (to the session) is known");
          }
          break;
        case kRequests:
          json_->elements_of(value, key, [&](JsonValue& element) { read_call(session, element, 0); });
          break;
        default:
          break;
      }
    });
    for (const SessionKey key : {kId, kBlockSize, kRequests}) keys.need(key, *json_);
    const auto earlier = [](const Call& a, const Call& b) { return a.start < b.start; };
    std::stable_sort(session.calls.begin(), session.calls.end(), earlier);
    for (const Call& call : session.calls) check_hashes(call, session.block);
    session.calls_left = session.calls.size();
  }

  void read_call(Session& session, JsonValue& element, int depth) {
    constexpr int kDepthMax = 16;
    if (depth > kDepthMax) json_->fail("requests: sub-agents nested deeper than 16");
    KeySet keys(kCallKeys);
    Call call;
    Duration api_time{};
    const char* at = json_->place(element);
    const std::size_t first_inner = session.calls.size();
    json_->fields_of(element, "requests", [&](std::string_view key, JsonValue& value) {
      switch (keys.see(key, *json_)) {
        case kStart:
          call.start = Duration{json_->time_ns(value, key, kSecondDigits)};
          break;
        case kIn:
          call.input = json_->count(value, key, 0, kTokensMax);
          break;
        case kOut:
          call.output = json_->count(value, key, 0, kTokensMax);
          break;
        case kApiTime:
          if (!json_->is_null(value)) api_time = Duration{json_->time_ns(value, key, kSecondDigits)};
          break;
        case kHashIds:
          read_hash_ids(call, value, key);
          break;
        case kHashRle:
          read_hash_runs(call, value, key);
          break;
        case kSubRequests:
          json_->elements_of(value, key, [&](JsonValue& inner) { read_call(session, inner, depth + 1); });
          break;
        default:
          break;
      }
    });
    if (!keys.saw(kStart)) json_->fail(at, "\"t\" is missing");
    if (keys.saw(kSubRequests)) {  // a sub-agent: its calls' times count from its own start
      for (std::size_t i = first_inner; i < session.calls.size(); ++i) {
        session.calls[i].start += call.start;
        session.calls[i].end += call.start;
      }
      return;
    }
    if (!keys.saw(kIn) || !keys.saw(kOut)) json_->fail(at, "\"in\" or \"out\" is missing");
    if (keys.saw(kHashIds) && keys.saw(kHashRle)) json_->fail(at, "hash_ids and hash_rle exclude each other");
    call.end = call.start + api_time;
    session.calls.push_back(std::move(call));
  }

  void read_hash_ids(Call& call, JsonValue& value, std::string_view key) {
    json_->elements_of(value, key, [&](JsonValue& element) {
      const auto hash = static_cast<std::uint64_t>(json_->count(element, key, 0, INT64_MAX));
      if (call.hashes.empty() ||
          call.hashes.back().first + static_cast<std::uint64_t>(call.hashes.back().count) != hash) {
        call.hashes.push_back({hash, 0});
      }
      ++call.hashes.back().count;
    });
  }

  void read_hash_runs(Call& call, JsonValue& value, std::string_view key) {
    json_->elements_of(value, key, [&](JsonValue& run) {
      std::array<std::int64_t, 2> pair{};
      std::size_t size = 0;
      const char* at = json_->place(run);
      json_->elements_of(run, key, [&](JsonValue& element) {
        if (size == pair.size()) json_->fail(at, "hash_rle: pairs [first, count] are needed");
        pair[size] = json_->count(element, key, 0, size == 0 ? INT64_MAX - kHashesMax : kHashesMax);
        ++size;
      });
      if (size != pair.size()) json_->fail(at, "hash_rle: pairs [first, count] are needed");
      call.hashes.push_back({static_cast<std::uint64_t>(pair[0]), pair[1]});
    });
  }

  /// The hashes are those of the prompt's full blocks.
  void check_hashes(const Call& call, std::int64_t block) const {
    std::int64_t hashes = 0;
    for (const HashRun& run : call.hashes) {
      hashes += run.count;
      if (hashes > kHashesMax)
        json_->fail("more than " + std::to_string(kHashesMax) + " hashes for one call");
    }
    if (hashes > call.input / block) {
      json_->fail(std::to_string(hashes) + " hashes for the call of " + std::to_string(call.input) +
                  " tokens: it has " + std::to_string(call.input / block) + " full blocks of " +
                  std::to_string(block));
    }
  }

  std::vector<TraceFile> files_;
  std::size_t file_ = 0;
  std::optional<JsonLines> json_;
};

struct WekaOptions {
  Duration session_interval{};  // mean time between starts of sessions
  bool closed = false;
  std::uint64_t seed = 0;
};

class Weka final : public ChainSource {
 public:
  Weka(const std::vector<TraceFile>& files, const WekaOptions& options)
      : ChainSource(options.closed), options_(options), reader_(files), starts_(options.seed, "sessions") {
    read_ahead();
  }

 private:
  std::optional<Upcoming> upcoming() override {
    if (!ahead_) return std::nullopt;
    return Upcoming{start_, node(loaded_, 0)};
  }

  void load() override {
    const std::uint64_t number = loaded_++;
    const Session& session = sessions_.emplace(number, std::move(*ahead_)).first->second;
    if (options_.closed) {
      add_causes(session, number);
    } else {
      for (std::size_t i = 0; i < session.calls.size(); ++i)
        add_root(node(number, i), start_ + session.calls[i].start);
    }
    if (session.calls.empty()) sessions_.erase(number);
    read_ahead();
  }

  /// A call waits for the call that ended last before it began, whoever made it; with none, for the session's
  /// start.
  void add_causes(const Session& session, std::uint64_t number) {
    std::set<std::pair<Duration, std::size_t>> ends;
    for (std::size_t i = 0; i < session.calls.size(); ++i) {
      const Call& call = session.calls[i];
      const auto after = ends.upper_bound({call.start, session.calls.size()});
      if (after == ends.begin()) {
        add_root(node(number, i), start_ + call.start);
      } else {
        const auto& [end, cause] = *std::prev(after);
        add_child(node(number, i), node(number, cause), call.start - end);
      }
      ends.insert({call.end, i});
    }
  }

  Request make(Node node, RequestId /*id*/) override {
    const auto found = sessions_.find(node >> kCallBits);
    KVCAST_CHECK(found != sessions_.end());
    Session& session = found->second;
    const Call& call = session.calls[node & kCallMask];
    Request request;
    request.input = Tokens{std::max<std::int64_t>(call.input, 1)};
    request.output = Tokens{std::max<std::int64_t>(call.output, 1)};
    request.details = std::make_unique<RequestDetails>();
    request.details->session = session.id;
    fill_content(request, session, call, node);
    if (--session.calls_left == 0) sessions_.erase(found);
    return request;
  }

  /// Hashed blocks, then the rest, which the trace says nothing about: shared with nobody.
  static void fill_content(Request& request, const Session& session, const Call& call, Node node) {
    const std::uint64_t space = numbered_segment(hash64(session.id), node >> kCallBits);
    std::vector<PromptSegment>& content = request.details->content;
    std::int64_t left = request.input.value;
    for (const HashRun& run : call.hashes) {
      for (std::int64_t i = 0; i < run.count; ++i) {
        content.push_back(
            {numbered_segment(space, run.first + static_cast<std::uint64_t>(i)), Tokens{session.block}});
      }
      left -= run.count * session.block;
    }
    if (left > 0) content.push_back({numbered_segment(~space, node & kCallMask), Tokens{left}});
  }

  void read_ahead() {
    Session session;
    if (!reader_.next(session)) {
      ahead_.reset();
      return;
    }
    ahead_ = std::move(session);
    if (loaded_ == 0) return;
    const double gap = starts_.exponential(static_cast<double>(options_.session_interval.count()));
    start_ += Duration{static_cast<std::int64_t>(gap)};
    if (start_.time_since_epoch().count() > kArrivalMaxNs) {
      throw InputError("session_interval_s: session " + ahead_->id +
                       " would start more than ten years after the first");
    }
  }

  static constexpr int kCallBits = 32;
  static constexpr Node kCallMask = (Node{1} << kCallBits) - 1;
  static Node node(std::uint64_t session, std::size_t call) { return (session << kCallBits) | call; }

  WekaOptions options_;
  SessionReader reader_;
  RandomStream starts_;
  Instant start_;                 // of the session ahead
  std::optional<Session> ahead_;  // read, not yet loaded
  std::uint64_t loaded_ = 0;
  std::unordered_map<std::uint64_t, Session> sessions_;  // with calls still to make; looked up only
};

WorkloadFactory make(TraceInput& input) {
  constexpr double kIntervalDefault = 60;
  constexpr double kIntervalMax = 86'400;
  WekaOptions options;
  const double interval = input.options.get_real("session_interval_s", {0, kIntervalMax}, kIntervalDefault);
  options.session_interval = Duration{static_cast<std::int64_t>(interval * 1e9)};
  options.closed = input.options.get_choice("replay", {"open", "closed"}, "open") == "closed";
  options.seed = input.seed;
  input.assumptions.push_back(
      fmt::format("sessions have no absolute times: they are assumed to start as a Poisson process, one "
                  "every {} s on average (session_interval_s)",
                  interval));
  input.assumptions.push_back(options.closed
                                  ? "a call waits for the recorded call that ended last before it began; "
                                    "calls whose duration is not recorded count as ended when they began"
                                  : "calls of a session arrive at their recorded times, however slow the "
                                    "simulated server is (replay: closed makes them wait)");
  input.assumptions.push_back("calls to all models of a session are served by the simulated model; " +
                              zero_tokens_assumption());
  return [files = input.files, options] { return std::make_unique<Weka>(files, options); };
}

bool recognises(std::string_view head) {
  return head.starts_with('{') && head.find("\"hash_id_scope\"") != std::string_view::npos;
}

}  // namespace

TraceFormat weka_format() {
  return {recognises, make, true,
          "kv-cache-tester sessions (github.com/callanjfox/kv-cache-tester), Apache-2.0"};
}

}  // namespace kvcast
