#include "workloads/inference_perf.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "sim/base/error.h"
#include "sim/base/rng.h"
#include "workloads/numbers.h"
#include "workloads/segments.h"
#include "workloads/synthetic.h"

namespace kvcast {
namespace {

constexpr std::uint64_t kSystemSpace = 0x69702f737973;  // see numbered_segment()
constexpr std::uint64_t kQuestionSpace = 0x69702f7175;
constexpr std::int64_t kPromptsMax = 1'000'000;
constexpr double kNsPerSecond = 1e9;

std::string stream_of_stage(std::size_t stage) { return fmt::format("arrivals/stage{}", stage); }

class InferencePerfSource final : public OpenLoopSource {
 public:
  InferencePerfSource(const InferencePerfSpec& spec, std::uint64_t seed)
      : spec_(spec), seed_(seed), gaps_(seed, stream_of_stage(0)) {
    order_.resize(static_cast<std::size_t>(spec.groups * spec.users));
    std::iota(order_.begin(), order_.end(), std::uint64_t{0});
    RandomStream shuffle(seed, "prompts");
    for (std::size_t i = order_.size(); i > 1; --i) {
      std::swap(order_[i - 1],
                order_[static_cast<std::size_t>(shuffle.integer(0, static_cast<std::int64_t>(i) - 1))]);
    }
    begin_stage(0);
  }

 private:
  /// The gaps' sum is needed before the first of them: the stage's stream is drawn twice.
  void begin_stage(std::size_t stage) {
    stage_ = stage;
    sent_ = 0;
    elapsed_ = 0;
    const std::int64_t requests = spec_.stages[stage].requests();
    RandomStream ahead(seed_, stream_of_stage(stage));
    total_ = 0;
    for (std::int64_t i = 0; i < requests; ++i) total_ += ahead.exponential(1);
    gaps_ = RandomStream(seed_, stream_of_stage(stage));
  }

  bool read(Request& request) override {
    while (sent_ == spec_.stages[stage_].requests()) {
      begin_s_ += spec_.stages[stage_].duration_s;
      if (stage_ + 1 == spec_.stages.size()) return false;
      begin_stage(stage_ + 1);
    }
    ++sent_;
    elapsed_ += gaps_.exponential(1);
    const double share = std::min(1.0, elapsed_ / total_);
    request.arrival =
        Instant{Duration{std::llround((begin_s_ + share * spec_.stages[stage_].duration_s) * kNsPerSecond)}};
    fill(request);
    return true;
  }

  void fill(Request& request) {
    const std::uint64_t prompt = order_[next_];
    next_ = (next_ + 1) % order_.size();
    request.details = std::make_unique<RequestDetails>();
    auto& content = request.details->content;
    const std::uint64_t group = prompt / static_cast<std::uint64_t>(spec_.users);
    if (spec_.system_prompt_len > 0)
      content.push_back({numbered_segment(kSystemSpace, group), Tokens{spec_.system_prompt_len}});
    content.push_back({numbered_segment(kQuestionSpace, prompt), Tokens{spec_.question_len}});
    request.input = Tokens{spec_.system_prompt_len + spec_.question_len};
    request.output = Tokens{spec_.output_len};
  }

  InferencePerfSpec spec_;
  std::uint64_t seed_;
  RandomStream gaps_;
  std::vector<std::uint64_t> order_;  // of the prompts
  std::size_t next_ = 0;              // prompt in order_
  std::size_t stage_ = 0;
  std::int64_t sent_ = 0;  // in this stage
  double begin_s_ = 0;     // of this stage
  double elapsed_ = 0;     // of total_, in mean gaps
  double total_ = 0;
};

/// A key under either of the names that the tool has used.
std::int64_t either(Config& config, std::string_view name, std::string_view old_name, IntRange range) {
  return config.has(old_name) ? config.get_int(old_name, range) : config.get_int(name, range);
}

}  // namespace

std::int64_t InferencePerfSpec::requests() const {
  return std::accumulate(
      stages.begin(), stages.end(), std::int64_t{0},
      [](std::int64_t sum, const InferencePerfStage& stage) { return sum + stage.requests(); });
}

InferencePerfSpec read_inference_perf(Config& config) {
  constexpr IntRange kLengths{1, kTokensMax / 4};
  InferencePerfSpec spec;
  Config prefix = config.child("shared_prefix");
  if (!config.has("shared_prefix"))
    config.fail("shared_prefix", "it is missing: the prompts' numbers and lengths");
  spec.groups = either(prefix, "num_unique_system_prompts", "num_groups", {1, kPromptsMax});
  spec.users = either(prefix, "num_users_per_system_prompt", "num_prompts_per_group", {1, kPromptsMax});
  if (spec.groups * spec.users > kPromptsMax)
    config.fail("shared_prefix", fmt::format("more than {} prompts", kPromptsMax));
  spec.system_prompt_len = prefix.get_int("system_prompt_len", {0, kLengths.max}, 100);
  spec.question_len = prefix.get_int("question_len", kLengths, 50);
  spec.output_len = prefix.get_int("output_len", kLengths, 50);
  spec.multi_turn = prefix.get_bool("enable_multi_turn_chat", false);
  for (Config& stage : config.children("stages")) {
    spec.stages.push_back({stage.get_real("rate", {1e-6, 1e6}), stage.get_real("duration", {1e-3, 3e8})});
    if (spec.stages.back().requests() < 1) stage.fail("duration", "rate times duration is below one request");
  }
  if (spec.stages.empty()) config.fail("stages", "at least one stage is needed: [{rate: 2, duration: 600}]");
  if (spec.requests() > kRequestsMax)
    config.fail("stages", fmt::format("more than {} requests", kRequestsMax));
  return spec;
}

std::string describe(const InferencePerfSpec& spec) {
  std::string text =
      fmt::format("inference-perf: {} prompts in turns, {} + {} tokens in, {} out", spec.groups * spec.users,
                  spec.system_prompt_len, spec.question_len, spec.output_len);
  for (std::size_t i = 0; i < spec.stages.size(); ++i)
    text += fmt::format("{} {:g} s at {:g}/s", i == 0 ? ";" : ",", spec.stages[i].duration_s,
                        spec.stages[i].rate);
  return text;
}

std::unique_ptr<WorkloadSource> make_inference_perf(const InferencePerfSpec& spec, std::uint64_t seed) {
  KVCAST_CHECK(!spec.stages.empty());
  KVCAST_CHECK(spec.groups >= 1 && spec.users >= 1);
  return std::make_unique<InferencePerfSource>(spec, seed);
}

std::vector<StageWindow> stage_windows(const InferencePerfSpec& spec) {
  std::vector<StageWindow> windows;
  double begin_s = 0;
  for (const InferencePerfStage& stage : spec.stages) {
    const auto at = [](double s) { return Instant{Duration{std::llround(s * kNsPerSecond)}}; };
    windows.push_back({at(begin_s), at(begin_s + stage.duration_s), stage.rate});
    begin_s += stage.duration_s;
  }
  return windows;
}

}  // namespace kvcast
