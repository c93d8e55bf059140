#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <numeric>
#include <regex>

#include "kernels/bench/bench.h"
#include "kernels/bench/random.h"
#include "kernels/bench/record.h"

namespace kvcast::bench {
namespace {

constexpr double kStretchNs = 100e3;  // of one sample, at least
constexpr double kLongNs = 5e6;       // cases from this time on get fewer samples
constexpr int kSamplesLong = 7;       // what a comparison needs at least
constexpr int kRounds = 3;
constexpr std::size_t kHandful = 24;  // cases that are interleaved
constexpr double kSentinelSeconds = 30;
constexpr int kDiscardsMax = 20;  // throttled samples of one case

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// A case under way.
struct Measured {
  Case what;
  std::vector<Sample> samples = {};
  std::int64_t repeats = 1;
  std::int64_t rotation = 0;
  int wanted = 0;
  int discarded = 0;
};

/// Executions some of which are followed by another, so that a stretch of them takes longer by so many
/// percent.
class SlowedJob final : public Job {
 public:
  SlowedJob(std::unique_ptr<Job> job, int percent) : job_(std::move(job)), percent_(percent) {}
  void run(std::int64_t rotation) override {
    job_->run(rotation);
    for (owed_ += percent_; owed_ >= 100; owed_ -= 100) job_->run(rotation + 1);
  }
  /// The fewest executions that take longer by exactly the percentage, wherever a stretch of them begins.
  static std::int64_t executions(int percent) { return 100 / std::gcd(100, percent); }

 private:
  std::unique_ptr<Job> job_;
  int percent_;
  int owed_ = 0;  // hundredths of an execution
};

class Runner {
 public:
  Runner(Device& device, const BenchOptions& options,
         const std::function<void(const std::string&, BenchProgress)>& emit,
         const std::function<void(const std::string&)>& skipped)
      : device_(device), options_(options), emit_(emit), skipped_(skipped), random_(options.seed) {
    const std::time_t time = std::time(nullptr);
    std::tm utc{};
    gmtime_r(&time, &utc);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    run_ = std::string(", \"suite\": \"") + (options.suite == Suite::quick ? "quick" : "full") +
           "\", \"seed\": " + std::to_string(options.seed) + ", \"utc\": \"" + text + "\"";
  }

  void run(const std::vector<Case>& cases) {
    progress_.total = cases.size();
    for (const Case& what : device_.sentinels()) sentinels_.push_back({.what = what});
    watch();
    const std::vector<std::int32_t> order = shuffled(static_cast<std::int64_t>(cases.size()), random_);
    for (std::size_t begin = 0; begin < order.size(); begin += kHandful) {
      std::vector<Measured> handful;
      for (std::size_t i = begin; i < std::min(order.size(), begin + kHandful); ++i)
        handful.push_back({.what = cases[static_cast<std::size_t>(order[i])]});
      measure(handful);
    }
    if (progress_.total > 0) watch();
    for (const Measured& sentinel : sentinels_) write(sentinel);
  }

 private:
  void measure(std::vector<Measured>& handful) {
    for (int round = 0; round < kRounds; ++round) {
      for (const std::int32_t i : shuffled(static_cast<std::int64_t>(handful.size()), random_)) {
        sample(handful[static_cast<std::size_t>(i)], round);
        if (seconds_since(watched_) > kSentinelSeconds) watch();
      }
    }
    for (const Measured& measured : handful) {
      ++progress_.done;
      write(measured);
    }
  }

  [[nodiscard]] std::unique_ptr<Job> prepare(const Case& what) const {
    std::unique_ptr<Job> job = device_.prepare(what);
    if (job != nullptr && options_.slow_percent > 0 &&
        std::regex_search(what.op, std::regex(options_.slow_op)))
      return std::make_unique<SlowedJob>(std::move(job), options_.slow_percent);
    return job;
  }

  /// A round's share of a case's samples.
  void sample(Measured& measured, int round) {
    const std::unique_ptr<Job> job = prepare(measured.what);
    if (job == nullptr) {
      if (round == 0) skipped_(measured.what.identity());
      return;
    }
    if (round == 0) plan(*job, measured);
    static_cast<void>(device_.measure(*job, 1, measured.rotation++));  // warm-up
    const int end = measured.wanted * (round + 1) / kRounds;
    while (static_cast<int>(measured.samples.size()) < end) {
      const Sample sample = device_.measure(*job, measured.repeats, measured.rotation);
      measured.rotation += measured.repeats;
      if (sample.throttled && measured.discarded < kDiscardsMax) {
        ++measured.discarded;
        continue;
      }
      measured.samples.push_back(sample);
    }
  }

  /// How many executions make a sample, and how many samples.
  void plan(Job& job, Measured& measured) const {
    static_cast<void>(device_.measure(job, 1, measured.rotation++));
    double ns = device_.measure(job, 1, measured.rotation++).ns;
    if (ns < kStretchNs) ns = device_.measure(job, 4, measured.rotation).ns;
    measured.repeats =
        std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(kStretchNs / std::max(ns, 100.0))));
    // A slower kernel is made by running it again now and then. Every sample must hold its share of that, or
    // the median stays where it was.
    if (options_.slow_percent > 0) {
      const std::int64_t whole = SlowedJob::executions(options_.slow_percent);
      measured.repeats = (measured.repeats + whole - 1) / whole * whole;
    }
    measured.wanted = options_.samples > 0 ? options_.samples : options_.suite == Suite::quick ? 15 : 21;
    if (options_.samples == 0 && ns > kLongNs) measured.wanted = std::min(measured.wanted, kSamplesLong);
  }

  void watch() {
    for (Measured& sentinel : sentinels_) {
      sentinel.wanted = 0;
      const std::unique_ptr<Job> job = device_.prepare(sentinel.what);
      if (job == nullptr) continue;
      if (sentinel.samples.empty()) plan(*job, sentinel);
      static_cast<void>(device_.measure(*job, 1, sentinel.rotation++));
      for (int i = 0; i < kRounds; ++i) {
        sentinel.samples.push_back(device_.measure(*job, sentinel.repeats, sentinel.rotation));
        sentinel.rotation += sentinel.repeats;
      }
    }
    watched_ = Clock::now();
  }

  void write(const Measured& measured) {
    if (measured.samples.empty()) return;
    std::string run = run_;
    if (measured.discarded > 0) run += ", \"samples_throttled\": " + std::to_string(measured.discarded);
    emit_(record_line(measured.what, measured.samples, measured.repeats, device_, run), progress_);
  }

  Device& device_;
  const BenchOptions& options_;
  const std::function<void(const std::string&, BenchProgress)>& emit_;
  const std::function<void(const std::string&)>& skipped_;
  Random random_;
  std::string run_;
  BenchProgress progress_;
  std::vector<Measured> sentinels_;
  Clock::time_point watched_;
};

std::vector<Case> chosen(const Device& device, const BenchOptions& options) {
  std::vector<Case> cases = device.suite(options.suite);
  if (options.only.empty()) return cases;
  try {
    const std::regex only(options.only);
    std::erase_if(cases, [&](const Case& what) { return !std::regex_search(what.identity(), only); });
  } catch (const std::regex_error& error) {
    throw BenchError("--only " + options.only + ": not a regular expression (" + error.what() + ")");
  }
  if (cases.empty()) throw BenchError("--only " + options.only + " matches no case of the suite");
  return cases;
}

}  // namespace

void run_bench(Device& device, const BenchOptions& options, const std::vector<std::string>& finished,
               const std::function<void(const std::string&, BenchProgress)>& emit,
               const std::function<void(const std::string&)>& skipped) {
  std::vector<Case> cases = chosen(device, options);
  std::erase_if(cases, [&](const Case& what) {
    const std::string begin = "{\"record\": {" + what.identity() + ",";
    return std::any_of(finished.begin(), finished.end(),
                       [&](const std::string& line) { return line.rfind(begin, 0) == 0; });
  });
  Runner(device, options, emit, skipped).run(cases);
}

}  // namespace kvcast::bench
