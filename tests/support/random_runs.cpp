#include "tests/support/random_runs.h"

#include <fmt/format.h>

#include <cstdlib>

#include "sim/base/config.h"
#include "sim/kv/allocators.h"
#include "sim/sched/batch.h"
#include "tests/support/sources.h"

namespace kvcast::test {

StepCost KneeTimer::step(const StepShape& shape) const {
  const std::int64_t context = shape.decode_context + shape.prefill_context;
  const std::int64_t beyond = std::max<std::int64_t>(0, shape.decode_context - knee_);
  const std::int64_t fine = base_ + per_token_ * shape.tokens + per_context_ * (context + beyond) +
                            shape.prefill_pairs + per_reach_ * shape.decode_reach;
  return {FineDuration{fine}, 3 * context + shape.tokens + 5 * shape.decode_reach,
          7 * shape.tokens + context};
}

DecodeLine KneeTimer::decode_within(std::int64_t seqs, std::int64_t context, std::int64_t reach) const {
  DecodeLine line = decode(seqs, context);
  line.per_reach_token = {FineDuration{per_reach_}, 5, 0};
  line.reach_max = reach + knee_;  // as if it bent there
  return line;
}

DecodeLine KneeTimer::decode(std::int64_t seqs, std::int64_t context) const {
  DecodeLine line;
  const bool below = context <= knee_;
  line.base.time = FineDuration{base_ + per_token_ * seqs - (below ? 0 : per_context_ * knee_)};
  line.base.hbm_bytes = seqs;
  line.base.flop = 7 * seqs;
  line.per_context_token.time = FineDuration{below ? per_context_ : 2 * per_context_};
  line.per_context_token.hbm_bytes = 3;
  line.per_context_token.flop = 1;
  if (below) line.context_max = knee_;
  return line;
}

namespace {

template <class T>
const T& any_of(RandomStream& random, const std::vector<T>& values) {
  return values[static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(values.size()) - 1))];
}

/// Prompts that begin with one of a few shared segments, and sometimes go on with the output of an earlier
/// request.
void random_content(RandomStream& random, Request& request) {
  request.details = std::make_unique<RequestDetails>();
  if (random.uniform() < 0.5) request.details->slo_class = "interactive";
  request.details->output_segment = 1'000'000 + to_number(request.id);
  std::int64_t left = request.input.value;
  const std::int64_t head = std::min(left, random.integer(0, 200));
  if (head > 0)
    request.details->content.push_back({static_cast<std::uint64_t>(random.integer(1, 3)), Tokens{head}});
  left -= head;
  if (left > 0 && to_number(request.id) > 0 && random.uniform() < 0.3) {
    const auto earlier =
        static_cast<std::uint64_t>(random.integer(0, static_cast<std::int64_t>(to_number(request.id)) - 1));
    const std::int64_t part = random.integer(1, left);
    request.details->content.push_back({1'000'000 + earlier, Tokens{part}});
    left -= part;
  }
  if (left > 0) request.details->content.push_back({5'000'000 + to_number(request.id), Tokens{left}});
}

std::vector<Request> random_requests(RandomStream& random, Tokens max_model_len, double rate,
                                     std::int64_t count) {
  std::vector<Request> requests;
  Instant now = kStart;
  const std::int64_t tenants = any_of<std::int64_t>(random, {1, 1, 2, 4});
  const std::int64_t input_max = any_of<std::int64_t>(random, {3, 60, 700});
  const std::int64_t output_max = any_of<std::int64_t>(random, {1, 20, 150, 400});
  for (std::int64_t i = 0; i < count; ++i) {
    Request request;
    request.id = static_cast<RequestId>(i);
    if (random.uniform() < 0.8) now += Duration{static_cast<std::int64_t>(random.exponential(1e9 / rate))};
    request.arrival = now;
    request.input = Tokens{random.integer(1, input_max)};
    request.output = Tokens{random.integer(1, output_max)};
    if (random.uniform() < 0.3) request.output_limit = Tokens{random.integer(1, output_max)};
    if (random.uniform() < 0.5) request.output_predicted = Tokens{random.integer(1, output_max)};
    request.priority = static_cast<std::int32_t>(random.integer(0, 3));
    if (random.uniform() < 0.02) request.input = max_model_len;
    if (tenants > 1) request.tenant = static_cast<std::uint32_t>(random.integer(0, tenants - 1));
    if (random.uniform() < 0.6) random_content(random, request);
    requests.push_back(std::move(request));
  }
  return requests;
}

/// Some groups with windows beside (or instead of) full attention, of equal or double block size.
void random_windows(RandomStream& random, CachedBlocksSettings& layers) {
  if (random.uniform() < 0.3) layers.groups.clear();
  for (std::int64_t i = random.integer(1, 3); i > 0; --i) {
    KvGroup group;
    group.block_size = layers.hash_unit * any_of<std::int64_t>(random, {1, 1, 2});
    group.window = random.integer(1, 200);
    layers.groups.push_back(group);
  }
  for (const KvGroup& group : layers.groups) layers.unit = std::max(layers.unit, group.block_size);
  if (random.uniform() < 0.5) layers.retention_interval.reset();
}

/// What a bounded cache keeps: a window of one group or of one beside groups that keep all, a budget, or a
/// part of the prompt. From a stream of its own.
void random_bounds(std::uint64_t seed, const std::string& allocator, CachedBlocksSettings& layers,
                   Reach& reach) {
  RandomStream random(seed, "laws/bounds");
  const bool plain = allocator == "paged" || allocator == "contiguous";
  if (allocator == "quest" || (allocator == "paged" && random.uniform() < 0.3)) {  // layers that read a part
    reach.cap = random.integer(1, 300);
    reach.everywhere = random.uniform() < 0.3;
    reach.chunks = RandomStream(seed, "laws/chunks").uniform() < 0.4;
  }
  if (plain || allocator == "quest") return;
  KvGroup& first = layers.groups.front();
  const std::int64_t tokens = random.integer(1, 250);
  if (allocator == "snapkv" || allocator == "pyramidkv") {
    first.prompt_max = reach.prompt = tokens;
  } else {
    reach.cap = tokens;
    reach.in_prompts = allocator == "ring" || allocator == "sinks";
    first.blocks_max = ceil_div(tokens, first.block_size) + random.integer(0, 1);
  }
  reach.everywhere = random.uniform() < 0.7;
  if (random.uniform() < 0.6) return;
  for (std::int64_t i = random.integer(1, 3); i > 0; --i) {
    KvGroup group = layers.groups.front();
    if (random.uniform() < 0.5) group.blocks_max = group.prompt_max = 0;
    layers.groups.push_back(group);
  }
}

/// Parameters of the schedulers that vLLM's v1 shares nothing with.
std::string others(RandomStream& random, const std::string& scheduler, std::int64_t max_num_seqs,
                   std::int64_t max_model_len) {
  const bool chunks = scheduler == "sarathi" || (scheduler == "tensorrt-llm" && random.uniform() < 0.6);
  const std::int64_t budget = max_num_seqs + random.integer(0, 300) + (chunks ? 0 : max_model_len);
  std::string yaml;
  if (scheduler == "vllm-v0" || scheduler == "sarathi") {
    yaml = fmt::format("max_num_batched_tokens: {}\nwatermark: {}\n", budget,
                       any_of<double>(random, {0.0, 0.01, 0.2}));
  }
  if (scheduler == "tensorrt-llm") {
    const char* policy = random.uniform() < 0.5 ? "guaranteed_no_evict" : "max_utilization";
    yaml =
        fmt::format("max_num_batched_tokens: {}\nenable_chunked_prefill: {}\ncapacity_scheduler_policy: {}\n",
                    budget, chunks, policy);
  }
  return yaml;
}

}  // namespace

std::int64_t answers_of(const Request& request) {
  return request.details == nullptr ? 1 : std::max(request.details->samples, request.details->beams);
}

namespace {

/// The free queue, or a policy; from a stream of its own.
EvictionMaker random_eviction(std::uint64_t seed) {
  RandomStream random(seed, "laws/eviction");
  if (random.uniform() < 0.5) return nullptr;
  return any_of(random, eviction_catalog().entries()).make;
}

/// In some runs requests ask for several answers, as branches (where that is possible) or as sequences of
/// their own. From a stream of its own: the rest of a run does not depend on it.
void random_answers(std::uint64_t seed, bool can_fork, RandomRun& run) {
  RandomStream random(seed, "laws/answers");
  if (random.uniform() > 0.35) return;
  if (can_fork && random.uniform() < 0.8) {
    ForkOptions forks;
    forks.copy_time = FineDuration{random.integer(0, 1'000'000) << kFineBits};
    forks.copy_bytes = random.integer(1, 1000);
    forks.swap = {.blocks = Blocks{1 << 20},
                  .block_time = FineDuration{random.integer(0, 1'000'000) << kFineBits},
                  .block_bytes = random.integer(1, 1000)};
    forks.beam_fork_rate = any_of<double>(random, {1, 0.3});
    run.setup.engine.batch.forks = forks;
  }
  for (Request& request : run.requests) {
    if (random.uniform() < 0.5) continue;
    if (request.details == nullptr) request.details = std::make_unique<RequestDetails>();
    const auto answers = static_cast<std::int32_t>(random.integer(1, 6));
    const bool searches = run.setup.engine.batch.forks && random.uniform() < 0.5;
    (searches ? request.details->beams : request.details->samples) = answers;
  }
}

}  // namespace

RandomRun random_run(std::uint64_t seed, const Choice& choice) {
  RandomStream random(seed, "laws");
  RandomRun run;
  ClusterSetup& setup = run.setup;
  EngineSetup& engine = setup.engine;
  const std::string scheduler =
      choice.scheduler.empty() ? any_of(random, scheduler_catalog().names()) : choice.scheduler;
  const std::string allocator =
      choice.allocator.empty() ? any_of(random, allocator_catalog().names()) : choice.allocator;
  const std::string order = any_of(random, queue_order_catalog().names());
  const std::string router = any_of(random, router_catalog().names());
  engine.max_model_len = Tokens{any_of<std::int64_t>(random, {90, 400, 1200})};
  EngineDefaults defaults;
  defaults.max_model_len = engine.max_model_len;
  const std::int64_t max_num_seqs = any_of<std::int64_t>(random, {1, 3, 16, 64});
  std::string yaml = fmt::format("max_num_seqs: {}\n", max_num_seqs);
  if (scheduler == "vllm-v1") {
    const bool chunked = random.uniform() < 0.8;
    const std::int64_t budget =
        max_num_seqs + random.integer(0, 300) + (chunked ? 0 : engine.max_model_len.value);
    yaml += fmt::format("max_num_batched_tokens: {}\nenable_chunked_prefill: {}\n", budget, chunked);
    yaml += fmt::format("long_prefill_token_threshold: {}\n",
                        random.uniform() < 0.3 ? random.integer(1, 100) : 0);
    yaml += fmt::format("scheduler_reserve_full_isl: {}\n", random.uniform() < 0.7);
    yaml += fmt::format("watermark: {}\n", random.uniform() < 0.3 ? 0.05 : 0.0);
  }
  if (order == "edf") yaml += "edf: {default_ms: 3000, classes: {interactive: 100}}\n";
  yaml += others(random, scheduler, max_num_seqs, engine.max_model_len.value);
  Config config = Config::from_text(yaml, "law.yaml");
  engine.scheduler = scheduler_catalog().find(scheduler, "law").make(config, defaults);
  engine.order = queue_order_catalog().find(order, "law").make(config);
  engine.reservation = random.uniform() < 0.5 ? Reservation::max_model_len : Reservation::max_tokens;
  const std::int64_t block_size = any_of<std::int64_t>(random, {1, 2, 7, 16, 64, 256});
  CachedBlocksSettings layers;
  layers.groups = {KvGroup{block_size, 0, std::nullopt}};
  layers.unit = layers.hash_unit = block_size;
  layers.caching = allocator == "paged" && random.uniform() < 0.5;
  if (allocator == "paged" && scheduler == "vllm-v1" && random.uniform() < 0.4)
    random_windows(random, layers);
  if (RandomStream(seed, "laws/chunk groups").uniform() < 0.3) {
    for (KvGroup& group : layers.groups) group.chunks = group.window > 0;
  }
  if (layers.groups.size() > 1) {
    RandomStream split(seed, "laws/split pools");
    const bool splits = split.uniform() < 0.35;
    bool one = false, other = false;
    for (KvGroup& group : layers.groups) {
      group.bounded = group.window > 0;
      (group.bounded ? one : other) = true;
    }
    if (splits && one && other) layers.bounded_share = 0.2 + 0.6 * split.uniform();
  }
  Reach reach;
  random_bounds(seed, allocator, layers, reach);
  if (layers.caching) layers.eviction = random_eviction(seed);
  engine.allocator = allocator_catalog().find(allocator, "law").make(config, layers);
  engine.batch = vllm_batch_rules(defaults.version);
  engine.batch.reach = reach;
  engine.batch.asynchronous = scheduler == "vllm-v1" && random.uniform() < 0.5;
  const bool plain = !layers.caching && layers.groups.size() == 1 && layers.groups.front().window == 0;
  if (scheduler == "vllm-v0" && plain && random.uniform() < 0.5) {
    engine.batch.swap = SwapSpace{.blocks = Blocks{1 << 20},
                                  .block_time = FineDuration{random.integer(0, 1'000'000) << kFineBits},
                                  .block_bytes = random.integer(1, 1000)};
    engine.batch.swap->where_cheaper = RandomStream(seed, "laws/cheapest").uniform() < 0.4;
  }
  // In quarters of the longest request: pools that cannot hold it, pools that press, pools that do not.
  const std::int64_t pool_tokens =
      engine.max_model_len.value * any_of<std::int64_t>(random, {1, 4, 8, 20, 240}) / 4 +
      random.integer(0, 50);
  engine.pool = {Blocks{ceil_div(pool_tokens, block_size)}, Tokens{block_size}};
  const bool recomputes = scheduler == "static" || scheduler == "continuous";
  engine.enable_kv_cache = !recomputes || random.uniform() < 0.8;
  Config cluster = Config::from_text(
      fmt::format("router_max_requests: {}\nrouter_load: {}\nrouter_scrape_ms: {}\n"
                  "cache_aware: {{balance_abs_threshold: 2}}\nprefix_index: {}\n",
                  any_of<std::int64_t>(random, {1, 3, 20}),
                  any_of<std::string>(random, {"requests", "prompt-tokens", "kv-cache"}),
                  any_of<double>(random, {0.5, 50, 3000}), seed % 3 == 0 ? "exact" : "approximate"),
      "law");
  setup.router = router_catalog().find(router, "law").make(cluster);
  run.waits_at_router = router == "central-queue";
  setup.replicas = any_of<std::int64_t>(random, {1, 1, 2, 5});
  setup.seed = seed;
  if (random.uniform() < 0.2) setup.sim_time_max = Duration{random.integer(1, 30'000'000'000)};
  setup.slo.ttft_ns = random.integer(1'000'000, 3'000'000'000);
  setup.slo.tpot_ns = random.integer(1'000'000, 100'000'000);

  const std::int64_t base = random.integer(1, 20'000'000) << kFineBits;
  run.timer = std::make_unique<KneeTimer>(base + random.integer(0, 1 << 20),
                                          random.integer(0, 40'000'000'000), random.integer(0, 3'000'000'000),
                                          random.integer(0, 5000), random.integer(0, 1'000'000'000));
  const double rate = any_of<double>(random, {0.5, 5, 40, 400});
  run.requests = random_requests(random, engine.max_model_len, rate, random.integer(1, 300));
  if (choice.several_answers)
    random_answers(seed, scheduler == "vllm-v0" && allocator == "paged" && plain, run);
  run.closed_loop = random.uniform() < 0.25;
  run.source = run.closed_loop ? closed_loop_source(run.requests, random.integer(1, 40),
                                                    Duration{random.integer(0, 3) * 100'000'000})
                               : list_source(run.requests);
  run.text = fmt::format(
      "seed {}: {} {} {} {} x{}, block {}, pool {}, max_model_len {}, KV {}, cached {}, groups {}, async {}, "
      "swap {}, forks {}, {} requests at {}/s{}\n{}",
      seed, scheduler, allocator, order, router, setup.replicas, block_size, engine.pool.blocks.value,
      engine.max_model_len.value, engine.enable_kv_cache, layers.caching, layers.groups.size(),
      engine.batch.asynchronous, engine.batch.swap.has_value(), engine.batch.forks.has_value(),
      run.requests.size(), rate, run.closed_loop ? ", closed loop" : "", yaml);
  return run;
}

namespace {

std::string text_of(Int128 value) {
  return fmt::format("{}:{}", static_cast<std::int64_t>(value >> 64), static_cast<std::uint64_t>(value));
}

std::string text_of(const Samples& samples) {
  std::string text = fmt::format("n={} mean={} std={}", samples.count(), samples.mean_ns(), samples.std_ns());
  if (samples.count() == 0) return text;
  for (const double p : {0.0, 10.0, 50.0, 90.0, 99.0, 100.0})
    text += fmt::format(" {}", samples.percentile_ns(p));
  return text;
}

}  // namespace

std::string text_of(const RunRecord& r) {
  std::string text = fmt::format("ttft {}\ntpot {}\ne2el {}\nqueue {}\n", text_of(r.ttft), text_of(r.tpot),
                                 text_of(r.e2el), text_of(r.queue));
  text += fmt::format("itl {} sum {}\n", r.itl.total(), text_of(r.itl_sum_fine));
  for (std::size_t b = 0; b < r.itl.counts().size(); ++b) {
    if (r.itl.counts()[b] != 0) text += fmt::format("{}:{} ", b, r.itl.counts()[b]);
  }
  text += fmt::format("\narrived {} completed {} long {} never {} unfinished {} good {} in {} out {}\n",
                      r.arrived, r.completed, r.rejected_too_long, r.rejected_never_fits, r.unfinished,
                      r.good, r.input_tokens, r.output_tokens);
  text += fmt::format("preemptions {} swapped {} recomputed {} first {} last {} peak {} stuck {} {}\n",
                      r.preemptions, r.preemptions_swapped, r.recomputed_tokens,
                      r.first_arrival.time_since_epoch().count(), r.last_token.time_since_epoch().count(),
                      r.blocks_used_max, r.stuck, to_number(r.stuck_request));
  text +=
      fmt::format("steps {} tokens {} busy {} bytes {} flop {}\n", r.steps.steps, r.steps.scheduled_tokens,
                  text_of(r.steps.busy_fine), text_of(r.steps.hbm_bytes), text_of(r.steps.flop));
  text += fmt::format("answers {} blocks {} of {} copied {}\n", r.branches.requests, r.branches.blocks,
                      r.branches.blocks_apart, r.branches.blocks_copied);
  text += fmt::format("failed {} retried {} times {} recomputed {}\n", r.retry.failed, r.retry.retried,
                      r.retry.retries, r.retry.recomputed_tokens);
  for (const FleetLevel& level : r.fleet.levels)
    text += fmt::format("{}:{}/{} ", level.at.time_since_epoch().count(), level.ready, level.held);
  text += fmt::format("timeline {}\n", r.timeline.spacing_ns);
  for (const TimelinePoint& p : r.timeline.points) {
    text += fmt::format("{},{},{},{},{} ", p.running, p.waiting, p.blocks_used, p.tokens_resident,
                        p.largest_free_blocks);
  }
  return text;
}

std::string text_of(const RequestRow& row) {
  const auto at = [](Instant t) { return t.time_since_epoch().count(); };
  return fmt::format(
      "id {} replica {} outcome {} arrival {} scheduled {} first {} last {} in {} out {} cached {} preempted "
      "{} retries {}",
      to_number(row.id), to_index(row.replica), static_cast<int>(row.outcome), at(row.arrival),
      at(row.scheduled), at(row.first_token), at(row.last_token), row.input.value, row.output.value,
      row.cached.value, row.preemptions, row.retries);
}

int law_runs(int otherwise) {
  const char* text = std::getenv("KVCAST_LAW_RUNS");
  return text != nullptr ? std::atoi(text) : otherwise;
}

int law_length() {
  const char* text = std::getenv("KVCAST_LAW_LENGTH");
  return text != nullptr ? std::atoi(text) : 1;
}

std::uint64_t law_seed() {
  const char* text = std::getenv("KVCAST_LAW_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 1;
}

}  // namespace kvcast::test
