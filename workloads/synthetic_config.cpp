#include "workloads/synthetic_config.h"

#include <fmt/format.h>

#include "sim/base/embedded.h"
#include "sim/base/error.h"
#include "sim/base/file.h"
#include "workloads/numbers.h"

namespace kvcast {
namespace {

constexpr std::int64_t kRequestsDefault = 1000;  // as `vllm bench serve --num-prompts`
constexpr std::size_t kProfileBytesMax = std::size_t{4} << 20;

/// What one `synthetic:` mapping says, the profile's or the scenario's.
struct Parts {
  std::optional<std::int64_t> requests;
  std::optional<double> duration_s;
  std::optional<ArrivalPlan> arrivals;
  std::optional<LengthModel> input;
  std::vector<LengthModel> outputs;
  std::shared_ptr<const PairModel> pairs;
  std::optional<std::int64_t> max;
  std::optional<PrefixSpec> prefix;
  std::optional<SessionSpec> sessions;
};

/// Lengths of a CSV without arrivals, or of any trace.
LengthSamples open_samples(const std::string& path, InputFiles& inputs) {
  const TraceFile file = inputs.open(path);
  if (is_length_file(head_of(file, kHeadBytes))) return read_lengths(file);
  std::vector<std::string> ignored;
  Config options = Config::empty(path);
  TraceInput input{
      {file}, options, 0, [&](const std::string& beside) { return inputs.open(beside); }, ignored};
  const std::unique_ptr<WorkloadSource> source = detect_format(file).make.make(input)();
  LengthSamples samples;
  while (source->next_arrival()) {
    if (samples.inputs.size() == kLengthRowsMax) {
      throw InputError(
          fmt::format("{}: more requests than the {} whose lengths are kept", path, kLengthRowsMax),
          ExitCode::bad_data);
    }
    const Request request = source->take();
    samples.inputs.push_back(static_cast<std::int32_t>(request.input.value));
    samples.outputs.push_back(static_cast<std::int32_t>(request.output.value));
    source->finished(request.id, request.arrival);
  }
  if (samples.inputs.empty()) throw InputError(path + ": no request in it", ExitCode::bad_data);
  return samples;
}

std::shared_ptr<const PairModel> read_pairs(Config& config, const SampleOpener& open) {
  Config lengths = config.child("lengths");
  const std::string path = lengths.get_string("empirical");
  auto samples = std::make_shared<const LengthSamples>(open(path));
  if (samples->outputs.empty()) lengths.fail("empirical", path + " has no output lengths");
  return std::make_shared<const PairModel>(std::move(samples));
}

PrefixSpec read_prefix(Config& config) {
  Config prefix = config.child("prefix");
  PrefixSpec spec;
  spec.groups = prefix.get_int("groups", {1, 1'000'000'000}, 1);
  spec.tokens = prefix.get_int("tokens", {1, kTokensMax / 2});
  return spec;
}

SessionSpec read_sessions(Config& config, const SampleOpener& open) {
  Config sessions = config.child("sessions");
  SessionSpec spec;
  if (sessions.is_mapping("turns")) {
    spec.turns = read_length_model(sessions, "turns", open, &LengthSamples::inputs);
  } else {
    spec.turns = LengthModel::fixed(sessions.get_int("turns", {1, 100'000}));
  }
  constexpr RealRange kThink = {0, 1e6};
  if (sessions.is_mapping("think_s")) {
    Config think = sessions.child("think_s");
    spec.think_exponential = true;
    spec.think_mean_s = think.get_real("exponential", kThink);
  } else {
    spec.think_mean_s = sessions.get_real("think_s", kThink, 0);
  }
  return spec;
}

Parts read_parts(Config& config, std::uint64_t seed, std::int64_t requests_of_profile, InputFiles& inputs) {
  const SampleOpener open = [&inputs](const std::string& path) { return open_samples(path, inputs); };
  Parts parts;
  if (config.has("requests")) parts.requests = config.get_int("requests", {1, kRequestsMax});
  if (config.has("duration_s")) parts.duration_s = config.get_real("duration_s", {1e-3, 3e8});
  if (config.has("arrivals"))
    parts.arrivals = read_arrivals(config, parts.requests.value_or(requests_of_profile), seed);
  if (config.has("lengths")) {
    if (config.has("input") || config.has("output"))
      config.fail("lengths", "pairs of lengths exclude input and output");
    parts.pairs = read_pairs(config, open);
  }
  if (config.has("input")) parts.input = read_length_model(config, "input", open, &LengthSamples::inputs);
  if (config.has("output")) parts.outputs = read_output_models(config, "output", open);
  if (config.has("max")) parts.max = config.get_int("max", {2, 2 * kTokensMax});
  if (config.has("prefix")) parts.prefix = read_prefix(config);
  if (config.has("sessions")) parts.sessions = read_sessions(config, open);
  return parts;
}

/// The profile's text and the name for messages.
Config open_profile(Config& config, const std::string& name, InputFiles& inputs) {
  const std::string embedded = "configs/workloads/" + name + ".yaml";
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.path != embedded && file.path != name) continue;
    inputs.note(std::string(file.path) + " (embedded)", std::string(file.text));
    return Config::from_text(file.text, std::string(file.path));
  }
  if (name.find('/') == std::string::npos && !name.ends_with(".yaml")) {
    std::vector<std::string> names;
    for (const EmbeddedFile& file : embedded_files()) {
      constexpr std::string_view kFolder = "configs/workloads/";
      if (file.path.starts_with(kFolder) && file.path.ends_with(".yaml")) {
        names.emplace_back(file.path.substr(kFolder.size(), file.path.size() - kFolder.size() - 5));
      }
    }
    config.fail("profile", "unknown profile \"" + name + "\"" + known_names(name, names) +
                               "; a file's name ends in .yaml");
  }
  const std::string path = inputs.find(name);
  const std::string text = read_file(path, kProfileBytesMax, ExitCode::bad_data);
  inputs.note(name, text);
  return Config::from_text(text, path);
}

Parts read_profile(Config& config, const std::string& name, std::uint64_t seed, InputFiles& inputs) {
  Config root = open_profile(config, name, inputs);
  Config workload = root.child("workload");
  Config synthetic = workload.child("synthetic");
  Parts parts = read_parts(synthetic, seed, 0, inputs);
  root.finish();
  return parts;
}

/// The scenario's parts over the profile's. Lengths go together: pairs replace input and output and the other
/// way round.
Parts merged(Parts profile, Parts own) {
  if (own.requests) profile.requests = own.requests;
  if (own.duration_s) profile.duration_s = own.duration_s;
  if (own.arrivals) profile.arrivals = std::move(own.arrivals);
  if (own.pairs != nullptr || own.input || !own.outputs.empty()) profile.pairs = std::move(own.pairs);
  if (own.input) profile.input = std::move(own.input);
  if (!own.outputs.empty()) profile.outputs = std::move(own.outputs);
  if (own.max) profile.max = own.max;
  if (own.prefix) profile.prefix = own.prefix;
  if (own.sessions) profile.sessions = std::move(own.sessions);
  return profile;
}

/// \param requests how many, in words
std::string describe(const SyntheticSpec& spec, const std::string& profile, const std::string& requests,
                     const std::string& arrivals) {
  std::string text = fmt::format("synthetic{}: {}; {}; {}", profile.empty() ? "" : ", profile " + profile,
                                 requests, arrivals, spec.lengths->description());
  if (spec.max > 0) text += fmt::format("; cut to {} tokens", spec.max);
  if (spec.prefix)
    text += fmt::format("; {} shared prefixes of {} tokens", spec.prefix->groups, spec.prefix->tokens);
  if (spec.sessions) {
    text += fmt::format(
        "; sessions of {} turns, {} s of thinking on average (the arrival rate is that of sessions)",
        spec.sessions->turns.description(), spec.sessions->think_mean_s);
  }
  return text;
}

}  // namespace

SyntheticPlan read_synthetic(Config& config, const std::string& profile, std::uint64_t seed,
                             InputFiles& inputs) {
  const std::string name =
      config.has("profile") || !profile.empty() ? config.get_string("profile", profile) : "";
  Parts base;
  if (!name.empty()) base = read_profile(config, name, seed, inputs);
  const std::int64_t requests_of_profile = base.requests.value_or(kRequestsDefault);
  Parts parts = merged(std::move(base), read_parts(config, seed, requests_of_profile, inputs));
  if (!parts.arrivals) config.fail("", "arrivals are needed: {process: poisson, rate: 4}, say");
  if (parts.pairs == nullptr && (!parts.input || parts.outputs.empty())) {
    config.fail(
        "", "lengths are needed: input and output, each {fixed: 512}, say, or lengths: {empirical: FILE}");
  }
  SyntheticPlan plan;
  plan.spec.requests = parts.requests.value_or(parts.duration_s ? kRequestsMax : kRequestsDefault);
  if (parts.duration_s) plan.spec.duration = Duration{static_cast<std::int64_t>(*parts.duration_s * 1e9)};
  plan.spec.arrivals = parts.arrivals->make;
  plan.spec.lengths =
      parts.pairs != nullptr ? parts.pairs : std::make_shared<const PairModel>(*parts.input, parts.outputs);
  plan.spec.max = parts.max.value_or(0);
  plan.spec.prefix = parts.prefix;
  plan.spec.sessions = parts.sessions;
  plan.concurrency = parts.arrivals->concurrency;
  plan.think = parts.arrivals->think;
  const bool counted = parts.requests || !parts.duration_s;
  std::string requests = counted ? fmt::format("{} requests", plan.spec.requests) : "requests";
  if (parts.duration_s) requests += fmt::format(" of the first {} s", *parts.duration_s);
  plan.description = describe(plan.spec, name, requests, parts.arrivals->description);
  if (counted) config.note("requests", std::to_string(plan.spec.requests), Origin::derived);
  return plan;
}

}  // namespace kvcast
