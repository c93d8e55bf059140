#include "sim/app/plan_runs.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/error.h"
#include "sim/base/hash.h"
#include "sim/base/text.h"

namespace kvcast {
namespace {

constexpr std::string_view kJournal = "kvcast plan journal 1 ";

/// Everything but the choices that decides what a run of this plan shows.
std::string identity_of(const PlanBench& bench) {
  std::string text = fmt::format("{}\n{}\n{}\n", KVCAST_VERSION, bench.space().growth, bench.requests());
  for (const Setting& setting : bench.settings()) text += setting.path + "=" + setting.value + "\n";
  for (const InputHash& input : input_files(bench.base())) text += input.path + " " + input.hash + "\n";
  return content_hash(text);
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string joined(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) text += fmt::format("{}{}", text.empty() ? "" : " ", value);
  return text;
}

std::vector<double> parse_numbers(std::string_view text, const std::string& where) {
  std::vector<double> numbers;
  if (text.empty()) return numbers;
  for (const std::string_view part : split(text, ' ')) {
    if (part == "inf") {
      numbers.push_back(std::numeric_limits<double>::infinity());
    } else if (const std::optional<double> value = parse_real(std::string(part))) {
      numbers.push_back(*value);
    } else {
      throw InputError(fmt::format("{}: {} is no number", where, quoted(std::string(part))),
                       ExitCode::bad_data);
    }
  }
  return numbers;
}

}  // namespace

const std::vector<PlanFigureKind>& plan_figures() {
  static const std::vector<PlanFigureKind> kinds = {
      {"request_throughput", [](const Metrics& m) { return m.request_throughput; }},
      {"request_goodput", [](const Metrics& m) { return m.request_goodput; }},
      {"output_throughput", [](const Metrics& m) { return m.output_throughput; }},
      {"p50_ttft_ms", [](const Metrics& m) { return m.ttft.p50; }},
      {"p99_ttft_ms", [](const Metrics& m) { return m.ttft.p99; }},
      {"p50_tpot_ms", [](const Metrics& m) { return m.tpot.p50; }},
      {"p99_tpot_ms", [](const Metrics& m) { return m.tpot.p99; }},
      {"p50_e2el_ms", [](const Metrics& m) { return m.e2el.p50; }},
      {"p99_e2el_ms", [](const Metrics& m) { return m.e2el.p99; }},
      {"kv_usage_peak", [](const Metrics& m) { return m.kv_usage_peak; }},
  };
  return kinds;
}

std::size_t plan_figure_index(std::string_view key) {
  const std::vector<PlanFigureKind>& kinds = plan_figures();
  const auto found =
      std::find_if(kinds.begin(), kinds.end(), [&](const PlanFigureKind& kind) { return kind.key == key; });
  KVCAST_CHECK(found != kinds.end());
  return static_cast<std::size_t>(found - kinds.begin());
}

RunNumbers numbers_of(const PlanBench& bench, const Forecast& forecast) {
  RunNumbers numbers;
  numbers.score = bench.score(forecast);
  for (const SloTerm& term : forecast.slo) numbers.terms.push_back(term.value_ms);
  for (const PlanFigureKind& kind : plan_figures()) numbers.figures.push_back(kind.value(forecast.metrics));
  return numbers;
}

std::string to_record(const std::string& key, const RunNumbers& numbers) {
  const Score& score = numbers.score;
  return fmt::format("{}\t{} {}\t{}\t{}", key, score.met ? 1 : 0,
                     joined({score.strain, score.goodput, score.good_share}), joined(numbers.terms),
                     joined(numbers.figures));
}

std::pair<std::string, RunNumbers> parse_record(std::string_view record, const std::string& where) {
  const std::vector<std::string_view> parts = split(record, '\t');
  constexpr std::size_t kParts = 4;
  constexpr std::size_t kScores = 4;
  if (parts.size() != kParts)
    throw InputError(where + ": is no run of a plan: a key, its score, terms and figures are needed",
                     ExitCode::bad_data);
  const std::vector<double> score = parse_numbers(parts[1], where);
  RunNumbers numbers;
  numbers.terms = parse_numbers(parts[2], where);
  numbers.figures = parse_numbers(parts[3], where);
  if (score.size() != kScores || numbers.figures.size() != plan_figures().size())
    throw InputError(where + ": is no run of a plan: it has other numbers than a run", ExitCode::bad_data);
  numbers.score = {score[0] != 0, score[1], score[2], score[3]};
  return {std::string(parts[0]), std::move(numbers)};
}

PlanRuns::PlanRuns(const PlanBench& bench, const std::string& journal,
                   std::function<void(std::size_t)> simulated)
    : bench_(bench), simulated_(std::move(simulated)) {
  if (!journal.empty()) open_journal(journal);
}

void PlanRuns::open_journal(const std::string& path) {
  DurableLog::Purpose purpose;
  purpose.header = std::string(kJournal) + identity_of(bench_);
  purpose.held = "another kvcast plan is writing this journal; wait for it or stop it";
  purpose.read = [&](const ScannedLog& log) {
    if (log.payloads.front() != purpose.header)
      throw InputError(path +
                           ": is the journal of another plan, of other inputs or of another version; give " +
                           "each plan a journal of its own",
                       ExitCode::bad_data);
    for (std::size_t i = 1; i < log.payloads.size(); ++i) {
      auto [key, numbers] = parse_record(log.payloads[i], fmt::format("{}:{}", path, i + 1));
      std::promise<RunNumbers> promise;
      promise.set_value(std::move(numbers));
      known_.insert_or_assign(std::move(key), promise.get_future().share());
    }
  };
  journal_ = std::make_unique<DurableLog>(path, purpose);
}

std::string PlanRuns::key_of(const Design& design, const Variant& variant,
                             const NamedTraffic& traffic) const {
  KVCAST_CHECK(variant.traffic == nullptr);
  std::string key;
  for (const PlanChoice& choice : design.choices) {
    // A router has nothing to choose from where there is one replica: those are one cluster.
    if (variant.replicas > 1 || choice.key != "cluster.router") key += choice.key + "=" + choice.value + ";";
  }
  key += fmt::format("replicas={};requests={}", variant.replicas,
                     variant.requests == 0 ? bench_.requests() : variant.requests);
  for (const Setting& setting : variant.settings) key += ";" + setting.path + "=" + setting.value;
  if (!traffic.name.empty()) key += ";traffic=" + traffic.name;
  if (variant.step_factor != 1) key += fmt::format(";steps={}", variant.step_factor);
  if (variant.frontend_factor != 1) key += fmt::format(";frontend={}", variant.frontend_factor);
  if (variant.pool_factor != 1) key += fmt::format(";pool={}", variant.pool_factor);
  return key;
}

RunNumbers PlanRuns::simulate(const std::string& key, const Design& design, const Variant& variant,
                              const NamedTraffic& traffic) {
  Variant made = variant;
  if (traffic.make) made.traffic = traffic.make();
  Forecast forecast = bench_.forecast(design, made);
  RunNumbers numbers = numbers_of(bench_, forecast);
  const std::size_t requests = variant.requests == 0 ? bench_.requests() : variant.requests;
  const std::lock_guard<std::mutex> lock(keeping_);
  if (journal_) journal_->append(to_record(key, numbers));
  if (traffic.name.empty() && requests == bench_.requests())
    whole_.insert_or_assign(key, std::move(forecast));
  if (simulated_) simulated_(requests);
  return numbers;
}

RunNumbers PlanRuns::run(const Design& design, const Variant& variant, const NamedTraffic& traffic) {
  const std::string key = key_of(design, variant, traffic);
  std::promise<RunNumbers> promise;
  {
    std::unique_lock<std::mutex> lock(finding_);
    const auto [found, is_new] = known_.try_emplace(key);
    if (!is_new) {
      const std::shared_future<RunNumbers> known = found->second;
      lock.unlock();
      return known.get();
    }
    found->second = promise.get_future().share();
  }
  try {
    RunNumbers numbers = simulate(key, design, variant, traffic);
    promise.set_value(numbers);
    return numbers;
  } catch (...) {
    promise.set_exception(std::current_exception());
    throw;
  }
}

Forecast PlanRuns::forecast(const Design& design, const Variant& variant, const NamedTraffic& traffic) {
  const std::string key = key_of(design, variant, traffic);
  {
    const std::lock_guard<std::mutex> lock(keeping_);
    const auto known = whole_.find(key);
    if (known != whole_.end()) return known->second;
  }
  Variant made = variant;
  if (traffic.make) made.traffic = traffic.make();
  return bench_.forecast(design, made);
}

}  // namespace kvcast
