// kvcast trace cache --reuse position-independent: chunks of prompts, wherever they stand.
#include <fmt/format.h>

#include <memory>
#include <ostream>

#include "hwmodels/model_spec.h"
#include "reports/format.h"
#include "sim/app/options.h"
#include "sim/app/trace_cache.h"
#include "sim/base/text.h"
#include "sim/cluster/prompt_content.h"
#include "sim/kv/position_reuse.h"

namespace kvcast {
namespace {

struct Row {
  std::string policy;
  PositionResult result;
};

struct Run {
  PositionScheme scheme = PositionScheme::rope;
  double recompute = 0;
  SegmentStream stream;
  std::vector<Row> rows;
};

PositionScheme scheme_of(const CacheOptions& options) {
  if (options.positions.empty()) {
    if (options.model.empty()) return PositionScheme::rope;
    return load_model(options.model).rope_tables.empty() ? PositionScheme::none : PositionScheme::rope;
  }
  std::vector<std::string> names;
  for (const PositionScheme scheme :
       {PositionScheme::rope, PositionScheme::alibi, PositionScheme::learned, PositionScheme::none}) {
    names.emplace_back(to_string(scheme));
    if (names.back() == options.positions) return scheme;
  }
  throw InputError("--positions: unknown scheme " + kvcast::quoted(options.positions) +
                   known_names(options.positions, names));
}

double recompute_of(const CacheOptions& options) {
  const std::optional<double> share = parse_real(options.recompute);
  if (share && *share >= 0 && *share <= 1) return *share;
  throw InputError("--recompute: " + kvcast::quoted(options.recompute) +
                   " is given, a share from 0 to 1 is needed");
}

double share(double part, const Run& run) {
  return run.stream.tokens() > 0 ? part / static_cast<double>(run.stream.tokens()) : 0;
}
double share(std::int64_t part, const Run& run) { return share(static_cast<double>(part), run); }

std::string what_moves(PositionScheme scheme) {
  switch (scheme) {
    case PositionScheme::rope:
      return "rope: moved keys are rotated by the difference of positions";
    case PositionScheme::alibi:
      return "alibi: keys do not hold their position and move as they are";
    case PositionScheme::none:
      return "no positions: keys move as they are";
    case PositionScheme::learned:
      return "learned positions are in every layer's keys and values: what moved is computed again";
  }
  return "";
}

void write_table(const Run& run, const std::string& name, std::ostream& out) {
  out << fmt::format("{}: {} prompt tokens, {} distinct chunks; {}\n", name, grouped(run.stream.tokens()),
                     grouped(static_cast<std::int64_t>(run.stream.distinct())), what_moves(run.scheme));
  out << fmt::format("{:<10}{:>14}{:>12}{:>12}{:>12}{:>14}{:>14}\n", "eviction", "chunks", "exact",
                     "in place", "moved", "not reusable", "saved");
  for (const Row& row : run.rows) {
    const PositionResult& r = row.result;
    out << fmt::format("{:<10}{:>14}{:>12}{:>12}{:>12}{:>14}{:>14}\n", row.policy,
                       grouped(static_cast<std::int64_t>(r.capacity)), percent(share(r.exact, run)),
                       percent(share(r.in_place, run)), percent(share(r.moved + r.rotated, run)),
                       percent(share(r.not_reusable, run)), percent(share(r.saved(run.recompute), run)));
  }
  out << fmt::format(
      "shares of prompt tokens. exact: same tokens before; in place: same position behind other tokens; "
      "saved: exact, and the\n"
      "others less the {} of them that must be computed again to fit in\n",
      percent(run.recompute));
}

void write_json(const Run& run, std::ostream& out) {
  out << fmt::format(
      "{{\n  \"reuse\": \"position-independent\",\n  \"positions\": \"{}\",\n  \"recompute\": {},\n  "
      "\"prompt_tokens\": {},\n"
      "  \"distinct_chunks\": {},\n  \"caches\": [",
      to_string(run.scheme), run.recompute, run.stream.tokens(), run.stream.distinct());
  for (const Row& row : run.rows) {
    const PositionResult& r = row.result;
    out << fmt::format(
        "{}\n    {{\"eviction\": \"{}\", \"capacity_chunks\": {}, \"exact_tokens\": {}, \"in_place_tokens\": "
        "{}, \"moved_tokens\": {}, "
        "\"rotated_tokens\": {}, \"not_reusable_tokens\": {}, \"saved_rate_tokens\": {}}}",
        &row == &run.rows.front() ? "" : ",", row.policy, r.capacity, r.exact, r.in_place, r.moved, r.rotated,
        r.not_reusable, share(r.saved(run.recompute), run));
  }
  out << "\n  ]\n}\n";
}

void write_csv(const Run& run, std::ostream& out) {
  out << "eviction,capacity_chunks,exact_tokens,in_place_tokens,moved_tokens,rotated_tokens,not_reusable_"
         "tokens,saved_rate_tokens\n";
  for (const Row& row : run.rows) {
    const PositionResult& r = row.result;
    out << fmt::format("{},{},{},{},{},{},{},{}\n", row.policy, r.capacity, r.exact, r.in_place, r.moved,
                       r.rotated, r.not_reusable, share(r.saved(run.recompute), run));
  }
}

}  // namespace

ExitCode run_position_cache(const CacheOptions& options) {
  Run run{scheme_of(options),
          recompute_of(options),
          SegmentStream(parse_integer("--block-size", options.block_size, 1, 1 << 20)),
          {}};
  if (options.partial_blocks)
    throw InputError("--partial-blocks: of --reuse prefix only; chunks end where their segments end");
  for (const std::string& name : split_lists(options.evictions)) {
    if (eviction_catalog().find(name, "--eviction").make == nullptr)
      throw InputError("--eviction: " + name + " is a bound for --reuse prefix only");
  }
  const WorkloadSetup setup = open_workload(options);
  const auto source = setup.make_source();
  while (source->next_arrival()) {
    const Request request = source->take();
    run.stream.add(content_of(request));
    source->finished(request.id, request.arrival);
  }
  for (const std::string& name : split_lists(options.evictions)) {
    const EvictionMaker maker = eviction_catalog().find(name, "--eviction").make;
    for (const std::size_t capacity : capacities_of(options, run.stream.distinct()))
      run.rows.push_back({name, replay_positions(run.stream, run.scheme, maker, capacity)});
  }
  write_to(options.out, [&](std::ostream& out) {
    if (options.json) return write_json(run, out);
    if (options.csv) return write_csv(run, out);
    write_table(run, name_of(options), out);
  });
  return ExitCode::fine;
}

}  // namespace kvcast
