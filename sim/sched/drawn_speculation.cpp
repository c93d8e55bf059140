#include "sim/sched/drawn_speculation.h"

#include <algorithm>

#include "sim/base/error.h"
#include "sim/base/hash.h"
#include "sim/base/rng.h"

namespace kvcast {
namespace {

constexpr std::int64_t kDrawsEach = 4;  // of one stream; a Philox block has as many

class DrawnSpeculation final : public Speculation {
 public:
  explicit DrawnSpeculation(const DrawnSpeculationSettings& settings) : settings_(settings) {
    KVCAST_CHECK(settings.num_speculative_tokens >= 1);
    KVCAST_CHECK(!settings.acceptance.empty());
  }

  [[nodiscard]] std::int64_t tokens_max() const override { return settings_.num_speculative_tokens; }

  [[nodiscard]] std::int64_t accepted(RequestId id, std::int64_t outputs,
                                      std::int64_t drafts) const override {
    std::int64_t count = 0;
    while (count < drafts && uniform("speculation/acceptance", id, outputs + count) < rate(count)) ++count;
    return count;
  }

  [[nodiscard]] std::int64_t proposed(RequestId id, std::int64_t outputs) const override {
    const bool found = settings_.proposal_rate >= 1 ||
                       uniform("speculation/proposal", id, outputs) < settings_.proposal_rate;
    return found ? tokens_max() : 0;
  }

  [[nodiscard]] std::int64_t asked(std::int64_t running, std::int64_t length) const override {
    const std::int64_t threshold = settings_.disable_by_batch_size;
    return threshold > 0 && running >= threshold ? 0 : length;
  }

  [[nodiscard]] std::int64_t length_after(std::int64_t length, std::int64_t drafts,
                                          std::int64_t accepted) const override {
    if (settings_.length == DraftLength::constant) return length;
    const std::int64_t next = accepted >= drafts ? length + 2 : length - 1;
    return std::clamp<std::int64_t>(next, 1, tokens_max());
  }

  [[nodiscard]] bool needs_lookahead() const override { return settings_.with_target; }

 private:
  [[nodiscard]] double rate(std::int64_t position) const {
    const auto at = std::min(static_cast<std::size_t>(position), settings_.acceptance.size() - 1);
    return settings_.acceptance[at];
  }

  /// Of the request's output token number `token`.
  [[nodiscard]] double uniform(std::string_view purpose, RequestId id, std::int64_t token) const {
    const std::uint64_t own = mix64(settings_.seed ^ mix64(to_number(id)));
    RandomStream stream(own + static_cast<std::uint64_t>(token / kDrawsEach), purpose);
    for (std::int64_t i = token % kDrawsEach; i > 0; --i) static_cast<void>(stream());
    return stream.uniform();
  }

  DrawnSpeculationSettings settings_;
};

}  // namespace

std::unique_ptr<Speculation> make_drawn_speculation(const DrawnSpeculationSettings& settings) {
  return std::make_unique<DrawnSpeculation>(settings);
}

double expected_tokens(const std::vector<double>& acceptance, std::int64_t drafts) {
  double sum = 1, all = 1;
  for (std::int64_t i = 0; i < drafts; ++i) {
    all *= acceptance[std::min(static_cast<std::size_t>(i), acceptance.size() - 1)];
    sum += all;
  }
  return sum;
}

}  // namespace kvcast
