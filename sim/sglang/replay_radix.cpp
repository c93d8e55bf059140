#include <algorithm>

#include "sim/base/error.h"
#include "sim/sglang/log_file.h"
#include "sim/sglang/radix_tree.h"

namespace kvcast::sglang {
namespace {

/// Contract: applies the operations of a radix log to a tree and makes each line again, with the tree's own results.
class RadixReplay {
 public:
  explicit RadixReplay(const LogFile& log) : log_(log), tree_(make_tree(log)), available_(number(log.header, 1, "pool_tokens")) {
    const auto base = field<std::uint64_t>(log, 1, log.header, "output_segment_base");
    for (const LogLine& line : log.requests) {
      Holder holder;
      if (number(line.json, line.number, "i") != static_cast<std::int64_t>(holders_.size())) bad_log(log.name, line.number, "\"i\" must count up from 0");
      for (const auto& [segment, length] : field<std::vector<std::pair<std::uint64_t, std::int64_t>>>(log, line.number, line.json, "p")) {
        holder.content.append({segment, 0, length});
      }
      holder.content.append({base + holders_.size(), 0, number(line.json, line.number, "o")});
      holders_.push_back(std::move(holder));
    }
    if (number(log.header, 1, "sequences") != static_cast<std::int64_t>(holders_.size())) {
      bad_log(log.name, 1, "\"sequences\" differs from the number of requests in the log");
    }
  }

  /// The line as the tree answers it.
  [[nodiscard]] Json apply(const LogLine& line) {
    at_ = &line;
    Json made = line.json;
    const auto kind = field<std::string>(log_, line.number, line.json, "k");
    if (kind == "end") return Json{{"k", "end"}};
    if (kind == "match") {
      made["hit"] = tree_.match(key()).tokens;
    } else if (kind == "lock" || kind == "relock") {
      lock(made, kind == "relock");
    } else if (kind == "unlock") {
      unlock();
    } else if (kind == "alloc" || kind == "drop") {
      available_ += kind == "drop" ? get("n") : -get("n");
    } else if (kind == "insert") {
      insert(made);
    } else if (kind == "evict") {
      evict(made);
    } else {
      bad_log(log_.name, line.number, "unknown kind of line \"" + kind + "\"");
    }
    made["ev"] = tree_.evictable();
    made["pt"] = tree_.locked();
    made["av"] = available_;
    return made;
  }

 private:
  struct Holder {
    TokenSequence content;
    NodeIndex node = kRoot;
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
    return RadixTree(page, eviction_catalog().find(policy, log.name + ":1: radix_eviction_policy").make(tlru));
  }

  [[nodiscard]] std::int64_t number(const Json& json, std::int64_t line, const char* key) const { return field<std::int64_t>(log_, line, json, key); }
  [[nodiscard]] std::int64_t get(const char* key) const { return number(at_->json, at_->number, key); }
  [[nodiscard]] Holder& holder(const char* key) {
    const std::int64_t h = get(key);
    if (h < 0 || h >= std::ssize(holders_)) bad_log(log_.name, at_->number, std::string("\"") + key + "\" names no sequence");
    return holders_[static_cast<std::size_t>(h)];
  }
  [[nodiscard]] TokenKey key() {
    const TokenSequence& content = holder("q").content;
    if (get("n") < 0 || get("n") > content.length()) bad_log(log_.name, at_->number, "\"n\" is beyond the sequence");
    return content.key(get("n"), 0);
  }

  void lock(Json& made, bool again) {
    const RadixTree::Match match = tree_.match(key());
    if (!again) made["hit"] = match.tokens;
    tree_.lock(match.node);
    unlock();
    holder("h").node = match.node;
  }

  void unlock() {
    tree_.unlock(holder("h").node);
    holder("h").node = kRoot;
  }

  void insert(Json& made) {
    const RadixTree::Insertion insertion = tree_.insert(key(), get("pr"), get("il"));
    made["id"] = inserted_++;
    made["had"] = insertion.had;
    made["added"] = insertion.added;
    available_ += std::max<std::int64_t>(0, insertion.had - get("pl"));
  }

  void evict(Json& made) {
    Json out = Json::array();
    const std::int64_t got = tree_.evict(get("n"), [&](const EvictedNode& node) { out.push_back({node.insertion, node.from, node.to}); });
    available_ += got;
    made["got"] = got;
    made["out"] = std::move(out);
  }

  const LogFile& log_;
  RadixTree tree_;
  std::int64_t available_;
  std::vector<Holder> holders_;
  const LogLine* at_ = nullptr;
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
