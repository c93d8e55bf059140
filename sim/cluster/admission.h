/// What may enter the cluster, before the router is asked: rate limits, a bound on what is inside, shedding
/// of what can wait.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/cluster/router.h"

namespace kvcast {

/// A token bucket that holds `burst` units, fills with `per_s` units a second and starts full.
struct RateLimit {
  enum class Unit : std::uint8_t {
    requests,
    tokens  // of the prompt, and as many as the request may generate (its max_tokens; none given: 0)
  };
  Unit unit = Unit::requests;
  double per_s = 1;
  std::int64_t burst = 1;
  bool per_tenant = false;  // a bucket each, instead of one for all
};

/// Requests that can wait are refused while no replica has room: each has more waiting or a fuller cache than
/// this at its last scrape (the saturation detector of the Gateway API Inference Extension).
struct Shedding {
  std::int32_t priority_above = 0;  // requests with a larger value can wait; smaller is served first
  std::int64_t waiting_max = 5;
  double kv_usage_max = 0.8;
};

struct AdmissionSpec {
  std::vector<RateLimit> rate_limits;        // a request must pass them all
  std::optional<std::int64_t> inflight_max;  // requests inside the cluster, those at the router included
  std::optional<Shedding> shedding;
  Duration scrape_interval{};  // how old the metrics are that shedding reads
};

/// In words, for the line of a result that describes the cluster.
[[nodiscard]] std::string describe(const AdmissionSpec& spec);

/// Reads cluster.admission; null where the key is absent. \throws InputError
[[nodiscard]] std::shared_ptr<const AdmissionSpec> read_admission(Config& cluster);

/// Contract: asked once for each request, in order of arrival. Who is refused takes nothing from any bucket.
class Admission {
 public:
  explicit Admission(const AdmissionSpec& spec);

  /// Nothing: it may enter. Else why not.
  /// \param inside requests that are in the cluster
  [[nodiscard]] std::optional<Outcome> refuses(const Request& request, std::int64_t inside,
                                               std::span<const ReplicaLoad> loads);

 private:
  /// The generic cell rate algorithm (ITU-T I.371): a bucket is the moment at which it will be full.
  struct Bucket {
    RateLimit limit;
    Int128 per_unit = 0;                      // fine units of time that one unit takes to fill
    std::map<std::uint32_t, Int128> full_at;  // by tenant; one entry where it is for all
  };
  [[nodiscard]] bool sheds(const Request& request, std::span<const ReplicaLoad> loads) const;

  const AdmissionSpec& spec_;
  std::vector<Bucket> buckets_;
};

}  // namespace kvcast
