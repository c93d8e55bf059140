// kvcast trace cache: what a prefix cache of a given size and policy would find of a trace, without an engine
// around it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <ostream>

#include "reports/format.h"
#include "sim/app/commands.h"
#include "sim/app/options.h"
#include "sim/app/trace_cache.h"
#include "sim/base/text.h"
#include "sim/cluster/prompt_content.h"
#include "sim/kv/cache_replay.h"

namespace kvcast {
namespace {

struct Row {
  std::string policy;
  CacheResult result;
};

ReferenceStream read_stream(const CacheOptions& options) {
  StreamOptions stream_options;
  stream_options.block_size = parse_integer("--block-size", options.block_size, 1, 1 << 20);
  stream_options.partial_blocks = options.partial_blocks;
  ReferenceStream stream(stream_options);
  const WorkloadSetup setup = open_workload(options);
  const auto source = setup.make_source();
  while (source->next_arrival()) {
    const Request request = source->take();
    const bool named = request.details != nullptr && request.details->output_segment != 0;
    stream.add(content_of(request), request.input, request.output, named);
    source->finished(request.id, request.arrival);
  }
  return stream;
}

/// "5000" blocks, "5%" of the distinct blocks, or "inf".
std::size_t parse_capacity(const std::string& text, std::size_t distinct) {
  if (text == "inf") return distinct;
  if (text.ends_with('%')) {
    const std::optional<double> share = parse_real(text.substr(0, text.size() - 1));
    if (share && *share >= 0 && *share <= 100)
      return static_cast<std::size_t>(std::llround(*share / 100 * static_cast<double>(distinct)));
    throw InputError("--capacity-blocks: " + kvcast::quoted(text) +
                     " is given, a share from 0% to 100% is needed");
  }
  const std::int64_t blocks = parse_integer("--capacity-blocks", text, 0, std::int64_t{1} << 40);
  return static_cast<std::size_t>(blocks);
}

}  // namespace

std::vector<std::string> split_lists(const std::vector<std::string>& lists) {
  std::vector<std::string> parts;
  for (const std::string& list : lists) {
    for (std::size_t begin = 0; begin <= list.size();) {
      const std::size_t comma = std::min(list.find(',', begin), list.size());
      parts.push_back(list.substr(begin, comma - begin));
      begin = comma + 1;
    }
  }
  return parts;
}

std::vector<std::size_t> capacities_of(const CacheOptions& options, std::size_t distinct) {
  std::vector<std::size_t> capacities;
  for (const std::string& text : split_lists(options.capacity_blocks))
    capacities.push_back(parse_capacity(text, distinct));
  std::sort(capacities.begin(), capacities.end());
  capacities.erase(std::unique(capacities.begin(), capacities.end()), capacities.end());
  return capacities;
}

namespace {

/// By policy in the order given, then by capacity.
std::vector<Row> replay(const ReferenceStream& stream, const CacheOptions& options) {
  const std::vector<std::size_t> capacities = capacities_of(options, stream.distinct());
  std::vector<Row> rows;
  for (const std::string& name : split_lists(options.evictions)) {
    const EvictionMaker maker = eviction_catalog().find(name, "--eviction").make;
    if (name == "lru") {
      for (const CacheResult& result : replay_lru(stream, capacities)) rows.push_back({name, result});
      continue;
    }
    for (const std::size_t capacity : capacities)
      rows.push_back(
          {name, maker == nullptr ? replay_belady(stream, capacity) : replay_cache(stream, maker, capacity)});
  }
  return rows;
}

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

std::int64_t references(const ReferenceStream& stream) { return std::ssize(stream.pages()); }

void write_table(const ReferenceStream& stream, const std::vector<Row>& rows, const std::string& name,
                 std::ostream& out) {
  const std::int64_t block = stream.block_size();
  out << fmt::format("{}: {} requests, {} prompt tokens, {} lookups of {}-token blocks, {} distinct blocks\n",
                     name, grouped(std::ssize(stream.requests())), grouped(stream.prompt_tokens()),
                     grouped(stream.lookups()), block, grouped(static_cast<std::int64_t>(stream.distinct())));
  out << fmt::format("{:<10}{:>16}{:>18}{:>14}{:>14}{:>14}\n", "eviction", "blocks", "tokens", "by tokens",
                     "by blocks", "resident");
  for (const Row& row : rows) {
    const auto capacity = static_cast<std::int64_t>(row.result.capacity);
    out << fmt::format("{:<10}{:>16}{:>18}{:>14}{:>14}{:>14}\n", row.policy, grouped(capacity),
                       grouped(capacity * block),
                       percent(share(row.result.hit_tokens, stream.prompt_tokens())),
                       percent(share(row.result.hits, stream.lookups())),
                       percent(share(row.result.resident_hits, references(stream))));
  }
  out << "by tokens, by blocks: hit rate of prompts, up to the first block that is missing; resident: share "
         "of all references,\n"
         "answers' included, to a block that was there; of belady no policy has more\n";
}

void write_json(const ReferenceStream& stream, const std::vector<Row>& rows, const std::string& name,
                std::ostream& out) {
  out << fmt::format(
      "{{\n  \"trace\": {},\n  \"requests\": {},\n  \"prompt_tokens\": {},\n  \"block_size\": {},\n  "
      "\"lookups\": {},\n"
      "  \"references\": {},\n  \"distinct_blocks\": {},\n  \"caches\": [",
      kvcast::quoted(name), stream.requests().size(), stream.prompt_tokens(), stream.block_size(),
      stream.lookups(), references(stream), stream.distinct());
  for (const Row& row : rows) {
    const CacheResult& r = row.result;
    out << fmt::format(
        "{}\n    {{\"eviction\": \"{}\", \"capacity_blocks\": {}, \"hits\": {}, \"hit_tokens\": {}, "
        "\"resident_hits\": {}, "
        "\"hit_rate_tokens\": {}, \"hit_rate_blocks\": {}, \"resident_rate\": {}}}",
        &row == &rows.front() ? "" : ",", row.policy, r.capacity, r.hits, r.hit_tokens, r.resident_hits,
        share(r.hit_tokens, stream.prompt_tokens()), share(r.hits, stream.lookups()),
        share(r.resident_hits, references(stream)));
  }
  out << "\n  ]\n}\n";
}

void write_csv(const ReferenceStream& stream, const std::vector<Row>& rows, std::ostream& out) {
  out << "eviction,capacity_blocks,capacity_tokens,hits,hit_tokens,resident_hits,hit_rate_tokens,hit_rate_"
         "blocks,resident_rate\n";
  for (const Row& row : rows) {
    const CacheResult& r = row.result;
    out << fmt::format("{},{},{},{},{},{},{},{},{}\n", row.policy, r.capacity,
                       static_cast<std::int64_t>(r.capacity) * stream.block_size(), r.hits, r.hit_tokens,
                       r.resident_hits, share(r.hit_tokens, stream.prompt_tokens()),
                       share(r.hits, stream.lookups()), share(r.resident_hits, references(stream)));
  }
}

CacheOptions with_defaults(CacheOptions options) {
  if (options.evictions.empty()) options.evictions = {options.reuse == "prefix" ? "lru,belady" : "lru"};
  return options;
}

ExitCode run(const CacheOptions& options) {
  if (options.file.empty())
    throw InputError("kvcast trace cache needs a FILE; see kvcast trace cache --help");
  const std::vector<std::string> kinds = {"prefix", "position-independent"};
  if (std::find(kinds.begin(), kinds.end(), options.reuse) == kinds.end())
    throw InputError("--reuse: unknown kind " + kvcast::quoted(options.reuse) +
                     known_names(options.reuse, kinds));
  if (options.json && options.csv) throw InputError("--json and --csv: one of them");
  for (const std::string& name : split_lists(options.evictions))
    (void)eviction_catalog().find(name, "--eviction");
  (void)capacities_of(options, 1);  // complains before the trace is read
  if (options.reuse == "position-independent") return run_position_cache(options);
  if (!options.positions.empty() || !options.model.empty())
    throw InputError(
        "--positions, --model: of --reuse position-independent; a prefix is reused at its own position");
  const ReferenceStream stream = read_stream(options);
  const std::vector<Row> rows = replay(stream, options);
  write_to(options.out, [&](std::ostream& out) {
    if (options.json) return write_json(stream, rows, name_of(options), out);
    if (options.csv) return write_csv(stream, rows, out);
    write_table(stream, rows, name_of(options), out);
  });
  return ExitCode::fine;
}

}  // namespace

Command add_trace_cache(CommandParser parent) {
  auto options = std::make_shared<CacheOptions>();
  options->capacity_blocks = {"1%,2%,5%,10%,20%,50%,inf"};
  const CommandParser app = parent.add_subcommand(
      "cache",
      "Prefix hit rates of a trace by cache size and eviction policy, without an engine around the cache");
  app.add_option("file", options->file,
                 "A trace (plain, .gz or .zst), or a YAML file with a workload: section")
      .type_name("FILE");
  add_trace_options(app, options);
  app.add_option("--block-size", options->block_size, "Tokens of a block (default: 16)").type_name("N");
  app.add_option("--capacity-blocks", options->capacity_blocks,
                 "Sizes of the cache: blocks, shares of the trace's distinct blocks, inf (default: "
                 "1%,2%,5%,10%,20%,50%,inf)")
      .type_name("N,N%,inf,...");
  app.add_option("--eviction", options->evictions,
                 "Policies: " + joined(eviction_catalog().names()) + " (default: lru,belady)")
      .type_name("NAME,...");
  app.add_option(
         "--reuse", options->reuse,
         "prefix, or position-independent: chunks of --block-size tokens of each segment, wherever it stands "
         "(default: prefix; with the latter, --eviction defaults to lru)")
      .type_name("KIND");
  app.add_option("--positions", options->positions,
                 "How keys know their position: rope, alibi, learned, none (default: --model's)")
      .type_name("SCHEME");
  app.add_option("--model", options->model, "The model whose scheme that is (default scheme: rope)")
      .type_name("NAME");
  app.add_option("--recompute", options->recompute,
                 "Share of reused tokens that is computed again to fit in (default: 0.15, CacheBlend's)")
      .type_name("X");
  app.add_flag("--partial-blocks", options->partial_blocks,
               "The last, partial block of a prompt counts too (Mooncake's traces hash it)");
  app.add_flag("--json", options->json, "As one JSON object");
  app.add_flag("--csv", options->csv, "As CSV");
  app.add_option("--out", options->out, "Where to write (default: -, standard output)").type_name("FILE");
  return {app, [options] { return run(with_defaults(*options)); }, {}};
}

}  // namespace kvcast
