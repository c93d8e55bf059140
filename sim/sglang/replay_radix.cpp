#include <algorithm>
#include <utility>

#include "sim/base/error.h"
#include "sim/sglang/log_file.h"
#include "sim/sglang/radix_tree.h"

namespace kvcast::sglang {
namespace {

constexpr std::int64_t kTokensMax = std::int64_t{1} << 30;

/// Contract: does for each line what SGLang does with a sequence at that point, and makes the line again. Of
/// a line only the kind, the sequence and, for an eviction, the tokens wanted are input: SGLang matches a
/// prompt without its last token, locks what it found, takes slots for the rest in whole pages, inserts the
/// prompt after the prefill, then prompt and outputs, then the prompt once more where it ends on an earlier
/// page; or drops what it holds.
class RadixReplay {
 public:
  explicit RadixReplay(const LogFile& log)
      : log_(log), tree_(make_tree(log)), available_(number(log.header, 1, "pool_tokens")) {
    const auto base = field<std::uint64_t>(log, 1, log.header, "output_segment_base");
    for (const LogLine& line : log.requests) {
      Sequence s;
      s.id = std::ssize(sequences_);
      if (number(line.json, line.number, "i") != s.id)
        bad_log(log.name, line.number, "\"i\" must count up from 0");
      for (const auto& [segment, length] :
           field<std::vector<std::pair<std::uint64_t, std::int64_t>>>(log, line.number, line.json, "p")) {
        if (length < 1 || length > kTokensMax)
          bad_log(log.name, line.number, "\"p\": lengths must be between 1 and 2^30");
        s.content.append({segment, 0, length});
      }
      s.prompt = s.content.length();
      if (s.prompt < 1) bad_log(log.name, line.number, "\"p\": the prompt must have a token");
      const std::int64_t outputs = number(line.json, line.number, "o");
      if (outputs < 1 || outputs > kTokensMax)
        bad_log(log.name, line.number, "\"o\" must be between 1 and 2^30");
      s.content.append({base + sequences_.size(), 0, outputs});
      s.priority = number(line.json, line.number, "pr");
      sequences_.push_back(std::move(s));
    }
    if (number(log.header, 1, "sequences") != std::ssize(sequences_)) {
      bad_log(log.name, 1, "\"sequences\" differs from the number of requests in the log");
    }
  }

  /// The line as the tree answers it.
  [[nodiscard]] Json apply(const LogLine& line) {
    const auto kind = field<std::string>(log_, line.number, line.json, "k");
    if (kind == "end") return Json{{"k", "end"}};
    Json made{{"k", kind}};
    if (kind == "evict") {
      evict(made, number(line.json, line.number, "n"));
    } else {
      const bool by_holder = kind == "unlock" || kind == "alloc" || kind == "drop";
      const std::int64_t id = number(line.json, line.number, by_holder ? "h" : "q");
      if (id < 0 || id >= std::ssize(sequences_))
        bad_log(log_.name, line.number, "there is no such sequence");
      act(kind, made, sequences_[static_cast<std::size_t>(id)], line);
    }
    made["ev"] = tree_.evictable();
    made["pt"] = tree_.locked();
    made["av"] = available_;
    return made;
  }

 private:
  struct Sequence {
    std::int64_t id = 0;
    TokenSequence content;
    std::int64_t prompt = 0;
    std::int64_t priority = 0;
    NodeIndex node = kRoot;     // its lock
    std::int64_t shared = 0;    // of its slots, the tree's
    std::int64_t inserted = 0;  // by itself
    std::int64_t held = 0;      // slots, the shared ones included
    bool ended = false;         // prompt and outputs are in
  };

  [[nodiscard]] static RadixTree make_tree(const LogFile& log) {
    const auto policy = field<std::string>(log, 1, log.header, "radix_eviction_policy");
    TlruSettings tlru;
    if (policy == "tlru") {
      const Json config = field<Json>(log, 1, log.header, "radix_eviction_policy_config");
      tlru.threshold = field<std::int64_t>(log, 1, config, "threshold");
      tlru.next_prompt_estimate = field<std::int64_t>(log, 1, config, "next_prompt_estimate");
    }
    const auto page = field<std::int64_t>(log, 1, log.header, "page_size");
    if (page < 1) bad_log(log.name, 1, "\"page_size\" must be at least 1");
    return RadixTree(page,
                     eviction_catalog().find(policy, log.name + ":1: radix_eviction_policy").make(tlru));
  }

  [[nodiscard]] std::int64_t number(const Json& json, std::int64_t line, const char* key) const {
    return field<std::int64_t>(log_, line, json, key);
  }
  [[nodiscard]] std::int64_t whole(std::int64_t tokens) const { return tokens - tokens % tree_.page(); }

  void act(const std::string& kind, Json& made, Sequence& s, const LogLine& line) {
    if (kind == "match") {
      made["q"] = s.id;
      made["n"] = s.prompt;
      made["hit"] = tree_.match(s.content.key(s.prompt, 0)).tokens;
    } else if (kind == "lock" || kind == "relock") {
      lock(made, s, kind == "relock");
    } else if (kind == "insert") {
      insert(made, s, number(line.json, line.number, "n") > s.prompt);
    } else {
      made["h"] = s.id;
      if (kind == "unlock") {
        tree_.unlock(std::exchange(s.node, kRoot));
      } else if (kind == "alloc") {
        s.held = whole(s.content.length());
        made["n"] = s.held - s.shared;
        available_ -= s.held - s.shared;
      } else if (kind == "drop") {
        made["n"] = s.held - s.shared;
        available_ += s.held - s.shared;
      } else {
        bad_log(log_.name, line.number, "unknown kind of line \"" + kind + "\"");
      }
    }
  }

  void lock(Json& made, Sequence& s, bool again) {
    const std::int64_t n = again ? whole(s.prompt) : s.prompt - 1;
    const RadixTree::Match match = tree_.match(s.content.key(n, 0));
    made["h"] = made["q"] = s.id;
    made["n"] = n;
    if (!again) {
      made["hit"] = match.tokens;
      s.shared = match.tokens;
    }
    tree_.lock(match.node);
    tree_.unlock(std::exchange(s.node, match.node));
  }

  /// \param beyond_prompt the log inserts more than the prompt: the sequence has ended
  void insert(Json& made, Sequence& s, bool beyond_prompt) {
    const bool cut = s.ended;
    const std::int64_t n = cut ? whole(s.prompt) : beyond_prompt ? s.content.length() : s.prompt;
    const std::int64_t own = cut ? n : s.inserted;
    const std::int64_t shared = cut ? n : s.shared;
    const std::int64_t priority = s.priority + (cut ? 1 : 0);
    const RadixTree::Insertion insertion = tree_.insert(s.content.key(n, 0), priority, own);
    made["id"] = inserted_++;
    made["q"] = s.id;
    made["n"] = n;
    made["pl"] = shared;
    made["il"] = own;
    made["pr"] = priority;
    made["had"] = insertion.had;
    made["added"] = insertion.added;
    available_ += std::max<std::int64_t>(0, insertion.had - shared);
    s.ended = beyond_prompt;
    s.shared = s.inserted = whole(n);
  }

  void evict(Json& made, std::int64_t n) {
    Json out = Json::array();
    const std::int64_t got = tree_.evict(n, [&](const EvictedNode& node) {
      out.push_back({node.insertion, node.from, node.to});
    });
    available_ += got;
    made["n"] = n;
    made["got"] = got;
    made["out"] = std::move(out);
  }

  const LogFile& log_;
  RadixTree tree_;
  std::int64_t available_;
  std::vector<Sequence> sequences_;
  std::int64_t inserted_ = 0;
};

}  // namespace

void replay_radix(const LogFile& log, DecisionReplay& result) {
  RadixReplay replay(log);
  LogComparison comparison(log);
  for (const LogLine& line : log.decisions) {
    comparison.add(replay.apply(line));
    if (comparison.difference()) break;
  }
  result.decisions = result.steps = comparison.compared();
  result.difference = comparison.difference();
}

}  // namespace kvcast::sglang
