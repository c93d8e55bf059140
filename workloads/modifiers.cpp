#include "workloads/modifiers.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <string>

#include "sim/base/error.h"
#include "sim/base/rng.h"
#include "workloads/numbers.h"
#include "workloads/synthetic.h"

namespace kvcast {
namespace {

Instant scaled(Instant when, double factor) {
  if (factor == 1) return when;
  const double ns = static_cast<double>(when.time_since_epoch().count()) * factor;
  if (!(ns < static_cast<double>(kArrivalMaxNs)))
    throw InputError("rate_scale: arrivals reach beyond ten years");
  return Instant{Duration{static_cast<std::int64_t>(ns)}};
}

class Changed final : public WorkloadSource {
 public:
  Changed(std::unique_ptr<WorkloadSource> source, const TraceChanges& changes)
      : source_(std::move(source)), changes_(changes) {
    KVCAST_CHECK(!source_->has_feedback() || (changes.from == Duration{} && changes.to == Duration::max()));
    KVCAST_CHECK(changes.rate_scale > 0);
  }

  std::optional<Instant> next_arrival() override {
    if (changes_.limit > 0 && taken_ == static_cast<std::uint64_t>(changes_.limit)) return std::nullopt;
    std::optional<Instant> next = source_->next_arrival();
    while (next && next->time_since_epoch() < changes_.from) {
      static_cast<void>(source_->take());
      next = source_->next_arrival();
    }
    if (!next || next->time_since_epoch() >= changes_.to) return std::nullopt;
    return outside(*next);
  }

  Request take() override {
    const std::optional<Instant> arrival = next_arrival();
    KVCAST_CHECK(arrival.has_value());
    Request request = source_->take();
    request.arrival = *arrival;
    request.id = RequestId{taken_++};
    if (changes_.max > 0) clip(request, changes_.max);
    return request;
  }

  [[nodiscard]] bool has_feedback() const override { return source_->has_feedback(); }

  void finished(RequestId id, Instant when) override {
    last_end_ = std::max(last_end_, when);
    source_->finished(id, scaled(when, changes_.rate_scale));
  }

  [[nodiscard]] RequestOrigin origin() const override {
    RequestOrigin origin = source_->origin();
    origin.think = scaled(kStart + origin.think, 1 / changes_.rate_scale).time_since_epoch();
    origin.not_before = scaled(origin.not_before, 1 / changes_.rate_scale);
    return origin;
  }
  [[nodiscard]] bool writable() const override { return source_->writable(); }

 private:
  /// Rounding to nanoseconds must not let a request arrive before the end that caused it.
  [[nodiscard]] Instant outside(Instant inner) const {
    return std::max(scaled(inner - changes_.from, 1 / changes_.rate_scale), last_end_);
  }

  std::unique_ptr<WorkloadSource> source_;
  TraceChanges changes_;
  std::uint64_t taken_ = 0;
  Instant last_end_ = kStart;
};

class Limited final : public WorkloadSource {
 public:
  Limited(std::unique_ptr<WorkloadSource> source, std::int64_t concurrency, Duration think)
      : source_(std::move(source)), untouched_(concurrency), think_(think) {
    KVCAST_CHECK(concurrency > 0);
    KVCAST_CHECK(think >= Duration{});
  }

  std::optional<Instant> next_arrival() override {
    if (untouched_ == 0 && freed_.empty()) return std::nullopt;
    const std::optional<Instant> planned = source_->next_arrival();
    if (!planned) return std::nullopt;
    return untouched_ > 0 ? planned : std::max(*planned, freed_.front());
  }

  Request take() override {
    const std::optional<Instant> arrival = next_arrival();
    KVCAST_CHECK(arrival.has_value());
    if (untouched_ > 0) {
      --untouched_;
    } else {
      freed_.pop_front();
    }
    Request request = source_->take();
    request.arrival = *arrival;
    return request;
  }

  [[nodiscard]] bool has_feedback() const override { return true; }

  void finished(RequestId id, Instant when) override {
    source_->finished(id, when);
    freed_.push_back(when + think_);
  }

  [[nodiscard]] RequestOrigin origin() const override { return source_->origin(); }
  [[nodiscard]] bool writable() const override { return false; }

 private:
  std::unique_ptr<WorkloadSource> source_;
  std::int64_t untouched_;     // slots that no request has had
  std::deque<Instant> freed_;  // slots that are free, from when on; ends come in order of time
  Duration think_;
};

/// Index drawn with probability in proportion to its weight.
std::size_t draw_index(const std::vector<double>& weights, RandomStream& stream) {
  double total = 0;
  for (const double weight : weights) total += weight;
  double left = stream.uniform() * total;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    left -= weights[i];
    if (left < 0) return i;
  }
  return weights.size() - 1;
}

class Decorated final : public WorkloadSource {
 public:
  Decorated(std::unique_ptr<WorkloadSource> source, const Decorations& decorations, std::uint64_t seed)
      : source_(std::move(source)), decorations_(decorations), seed_(seed) {}

  std::optional<Instant> next_arrival() override { return source_->next_arrival(); }

  Request take() override {
    Request request = source_->take();
    const std::string key = "/" + std::to_string(source_->origin().key);
    if (decorations_.output_as_limit) request.output_limit = request.output;
    if (decorations_.predictor_cv) {
      RandomStream stream(seed_, "predictor" + key);
      const double predicted =
          static_cast<double>(request.output.value) * stream.lognormal(1, *decorations_.predictor_cv);
      const double rounded = std::clamp(std::floor(predicted + 0.5), 1.0, static_cast<double>(kTokensMax));
      request.output_predicted = Tokens{static_cast<std::int64_t>(rounded)};
    }
    if (!decorations_.priority_weights.empty()) {
      RandomStream stream(seed_, "priorities" + key);
      request.priority = static_cast<std::int32_t>(draw_index(decorations_.priority_weights, stream));
    }
    if (!decorations_.tenant_weights.empty()) {
      RandomStream stream(seed_, "tenants" + key);
      request.tenant = static_cast<std::uint32_t>(draw_index(decorations_.tenant_weights, stream));
    }
    if (!decorations_.slo_classes.empty()) {
      RandomStream stream(seed_, "slo_classes" + key);
      if (!request.details) request.details = std::make_unique<RequestDetails>();
      request.details->slo_class = decorations_.slo_classes[draw_index(decorations_.slo_weights, stream)];
    }
    if (decorations_.samples > 0 || decorations_.beams > 0) {
      if (!request.details) request.details = std::make_unique<RequestDetails>();
      request.details->samples = std::max(1, decorations_.samples);
      request.details->beams = std::max(1, decorations_.beams);
    }
    return request;
  }

  [[nodiscard]] bool has_feedback() const override { return source_->has_feedback(); }
  void finished(RequestId id, Instant when) override { source_->finished(id, when); }
  [[nodiscard]] RequestOrigin origin() const override { return source_->origin(); }
  [[nodiscard]] bool writable() const override { return source_->writable(); }

 private:
  std::unique_ptr<WorkloadSource> source_;
  Decorations decorations_;
  std::uint64_t seed_;
};

}  // namespace

std::unique_ptr<WorkloadSource> changed(std::unique_ptr<WorkloadSource> source, const TraceChanges& changes) {
  if (changes.none()) return source;
  return std::make_unique<Changed>(std::move(source), changes);
}

std::unique_ptr<WorkloadSource> limit_concurrency(std::unique_ptr<WorkloadSource> source,
                                                  std::int64_t concurrency, Duration think) {
  return std::make_unique<Limited>(std::move(source), concurrency, think);
}

std::unique_ptr<WorkloadSource> decorated(std::unique_ptr<WorkloadSource> source,
                                          const Decorations& decorations, std::uint64_t seed) {
  if (decorations.none()) return source;
  return std::make_unique<Decorated>(std::move(source), decorations, seed);
}

}  // namespace kvcast
