#include <algorithm>
#include <cmath>
#include <ctime>

#include "kernels/bench/bench.h"
#include "kernels/bench/random.h"
#include "kernels/bench/record.h"
#include "kernels/bench/small_model.h"
#include "kernels/cpu/backend.h"

namespace kvcast::bench {
namespace {

constexpr std::int64_t kSequences = 24;      // alive at once, at most
constexpr std::int64_t kTokensOfStep = 160;  // at most
constexpr std::int64_t kPromptMax = 400;
constexpr std::int64_t kContextMax = 1000;

struct Live {
  std::int64_t request = -1;  // -1: the place is free
  std::int64_t prompt = 0;
  std::int64_t length = 0;  // prompt and output
  std::int64_t computed = 0;
};

/// A random load in the manner of a serving engine: every step, sequences past their prompt compute one
/// token, and what is left of the step's budget goes to prompts, whole or in chunks.
class Load {
 public:
  explicit Load(std::uint64_t seed) : random_(seed), live_(static_cast<std::size_t>(kSequences)) {}

  TimedStep next() {
    while (random_.uniform() < pressure_) admit();
    if (random_.uniform() < 0.05) pressure_ = 0.6 * random_.uniform();
    TimedStep step;
    std::int64_t budget = kTokensOfStep;
    for (const bool prompts : {false, true}) {
      for (std::size_t place = 0; place < live_.size(); ++place) {
        Live& live = live_[place];
        if (live.request < 0 || (live.computed < live.prompt) != prompts || budget == 0) continue;
        const std::int64_t n = prompts ? std::min(budget, live.prompt - live.computed) : 1;
        budget -= n;
        step.scheduled.push_back({.sequence = static_cast<std::int64_t>(place),
                                  .tokens = n,
                                  .computed = live.computed,
                                  .samples = live.computed + n >= live.prompt});
        step.requests.push_back(live.request);
      }
    }
    for (const Scheduled& part : step.scheduled) {
      Live& live = live_[static_cast<std::size_t>(part.sequence)];
      live.computed += part.tokens;
      if (live.computed >= live.length) live.request = -1;
    }
    if (step.scheduled.empty()) {
      admit();
      return next();
    }
    return step;
  }

  [[nodiscard]] const std::vector<std::int64_t>& prompts() const { return prompts_; }

 private:
  void admit() {
    const auto free =
        std::find_if(live_.begin(), live_.end(), [](const Live& live) { return live.request < 0; });
    if (free == live_.end()) {
      pressure_ = 0;
      return;
    }
    const std::int64_t prompt = random_.integer(4, random_.uniform() < 0.7 ? kPromptMax / 4 : kPromptMax);
    *free = {.request = static_cast<std::int64_t>(prompts_.size()),
             .prompt = prompt,
             .length = std::min(kContextMax, prompt + random_.integer(1, 120)),
             .computed = 0};
    prompts_.push_back(prompt);
  }

  Random random_;
  std::vector<Live> live_;
  std::vector<std::int64_t> prompts_;
  double pressure_ = 0.4;
};

double now_us(bool cpu_clock) {
  timespec time{};
  clock_gettime(cpu_clock ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

std::string step_line(const TimedStep& step, double start_us) {
  std::string list;
  for (std::size_t i = 0; i < step.scheduled.size(); ++i) {
    list += (i == 0 ? "[" : ", [") + std::to_string(step.requests[i]) + ", " +
            std::to_string(step.scheduled[i].tokens) + ", " + std::to_string(step.scheduled[i].computed) +
            "]";
  }
  return "{\"step\": {\"start_us\": " + std::to_string(std::llround(start_us)) +
         ", \"dur_us\": " + std::to_string(std::llround(step.us)) + ", \"scheduled\": [" + list + "]}}";
}

}  // namespace

TimedSteps time_steps(const StepsOptions& options) {
  Load load(options.seed);
  TimedSteps result;
  for (int i = 0; i < options.steps; ++i) result.steps.push_back(load.next());
  result.prompts = load.prompts();

  cpu::Threads threads(options.threads);
  const std::unique_ptr<SmallModel> model = make_small_model({}, kSequences, options.seed, threads);
  std::vector<std::vector<double>> durations(result.steps.size());
  for (int pass = 0; pass < options.passes + 1; ++pass) {
    for (std::size_t i = 0; i < result.steps.size(); ++i) {
      const double start = now_us(options.threads == 1);
      static_cast<void>(model->step(result.steps[i].scheduled));
      const double duration = now_us(options.threads == 1) - start;
      if (pass > 0) durations[i].push_back(duration);  // the first pass warms up
    }
  }
  for (std::size_t i = 0; i < result.steps.size(); ++i) {
    std::sort(durations[i].begin(), durations[i].end());
    result.steps[i].us = quantile(durations[i], 0.5);
  }
  return result;
}

void write_steps(const TimedSteps& steps, const StepsOptions& options,
                 const std::function<void(const std::string&)>& emit) {
  const SmallModelShape shape;
  emit("{\"header\": {\"case\": \"kvcast-bench --steps\", \"model\": " + small_model_config(shape) +
       ", \"engine\": {\"dtype\": \"float32\", \"block_size\": " + std::to_string(shape.page) +
       ", \"max_num_seqs\": " + std::to_string(kSequences) +
       ", \"max_num_batched_tokens\": " + std::to_string(kTokensOfStep) +
       "}, \"seed\": " + std::to_string(options.seed) + ", \"passes\": " + std::to_string(options.passes) +
       ", \"threads\": " + std::to_string(options.threads) + "}}");
  for (std::size_t i = 0; i < steps.prompts.size(); ++i)
    emit("{\"request\": {\"id\": " + std::to_string(i) +
         ", \"input_tokens\": " + std::to_string(steps.prompts[i]) + "}}");
  double start = 0;
  for (const TimedStep& step : steps.steps) {
    emit(step_line(step, start));
    start += step.us;
  }
}

}  // namespace kvcast::bench
