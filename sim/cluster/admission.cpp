#include "sim/cluster/admission.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "sim/base/config.h"
#include "sim/cluster/load_metric.h"
#include "sim/engine/fine_instant.h"

namespace kvcast {
namespace {

constexpr std::int64_t kCountMax = std::int64_t{1} << 40;

RateLimit read_rate_limit(Config& given) {
  RateLimit limit;
  const bool tokens = given.has("tokens_per_s");
  if (tokens == given.has("requests_per_s"))
    given.fail(tokens ? "tokens_per_s" : "", "a rate limit has either requests_per_s or tokens_per_s");
  limit.unit = tokens ? RateLimit::Unit::tokens : RateLimit::Unit::requests;
  limit.per_s = given.get_real(tokens ? "tokens_per_s" : "requests_per_s", {1e-6, 1e12});
  // A second's worth of requests, a minute's of tokens (as providers count tokens per minute).
  const double usual = std::ceil(limit.per_s * (tokens ? 60 : 1));
  limit.burst =
      given.get_int("burst", {1, kCountMax}, std::clamp<std::int64_t>(std::llround(usual), 1, kCountMax));
  limit.per_tenant = given.get_choice("per", {"cluster", "tenant"}, "cluster") == "tenant";
  return limit;
}

std::int64_t units_of(const Request& request, RateLimit::Unit unit) {
  return unit == RateLimit::Unit::requests ? 1 : (request.input + request.output_limit).value;
}

}  // namespace

std::shared_ptr<const AdmissionSpec> read_admission(Config& cluster) {
  if (!cluster.has("admission")) return nullptr;
  auto spec = std::make_shared<AdmissionSpec>();
  Config given = cluster.child("admission");
  for (Config& limit : given.children("rate_limits")) spec->rate_limits.push_back(read_rate_limit(limit));
  if (given.has("max_inflight")) spec->inflight_max = given.get_int("max_inflight", {1, kCountMax});
  if (given.has("shed")) {
    Config shed = given.child("shed");
    spec->shedding = Shedding{.priority_above = static_cast<std::int32_t>(
                                  shed.get_int("priority_above", {-1'000'000, 1'000'000}, 0)),
                              .waiting_max = shed.get_int("waiting_max", {0, kCountMax}, 5),
                              .kv_usage_max = shed.get_real("kv_usage_max", {0, 1}, 0.8)};
    spec->scrape_interval = read_scrape_interval(cluster);
  }
  if (spec->rate_limits.empty() && !spec->inflight_max && !spec->shedding)
    cluster.fail("admission", "limits nothing; it has rate_limits, max_inflight and shed");
  return spec;
}

std::string describe(const AdmissionSpec& spec) {
  std::vector<std::string> parts;
  if (spec.inflight_max) parts.push_back(fmt::format("at most {} requests inside", *spec.inflight_max));
  for (const RateLimit& limit : spec.rate_limits) {
    parts.push_back(fmt::format("{:g} {}/s (burst {}){}", limit.per_s,
                                limit.unit == RateLimit::Unit::tokens ? "tokens" : "requests", limit.burst,
                                limit.per_tenant ? " a tenant" : ""));
  }
  if (spec.shedding) {
    parts.push_back(fmt::format(
        "priorities above {} shed when all replicas have over {} waiting or {:g} % KV use",
        spec.shedding->priority_above, spec.shedding->waiting_max, 100 * spec.shedding->kv_usage_max));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

Admission::Admission(const AdmissionSpec& spec) : spec_(spec) {
  for (const RateLimit& limit : spec.rate_limits) {
    const double fine_per_unit = 1e9 * static_cast<double>(std::int64_t{1} << kFineBits) / limit.per_s;
    buckets_.push_back({limit, static_cast<Int128>(std::llround(fine_per_unit)), {}});
  }
}

std::optional<Outcome> Admission::refuses(const Request& request, std::int64_t inside,
                                          std::span<const ReplicaLoad> loads) {
  if (spec_.inflight_max && inside >= *spec_.inflight_max) return Outcome::rejected_overload;
  if (sheds(request, loads)) return Outcome::rejected_overload;
  const Int128 now = FineInstant{request.arrival}.value;
  const auto key = [&](const Bucket& bucket) { return bucket.limit.per_tenant ? request.tenant : 0; };
  const auto full_after = [&](Bucket& bucket) {
    const auto [at, is_new] = bucket.full_at.try_emplace(key(bucket), now);
    return std::max(at->second, now) + bucket.per_unit * units_of(request, bucket.limit.unit);
  };
  for (Bucket& bucket : buckets_) {
    if (full_after(bucket) - now > bucket.per_unit * bucket.limit.burst) return Outcome::rejected_rate_limit;
  }
  for (Bucket& bucket : buckets_) bucket.full_at[key(bucket)] = full_after(bucket);
  return std::nullopt;
}

bool Admission::sheds(const Request& request, std::span<const ReplicaLoad> loads) const {
  if (!spec_.shedding || request.priority <= spec_.shedding->priority_above) return false;
  return std::none_of(loads.begin(), loads.end(), [&](const ReplicaLoad& load) {
    return load.open && load.scraped.waiting <= spec_.shedding->waiting_max &&
           load.kv_usage() <= spec_.shedding->kv_usage_max;
  });
}

}  // namespace kvcast
