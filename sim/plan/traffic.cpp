#include "sim/plan/traffic.h"

#include <algorithm>
#include <cmath>

#include "sim/base/portable_math.h"

namespace kvcast {
namespace {

class TrafficSource final : public RequestSource {
 public:
  TrafficSource(Traffic traffic, std::size_t requests)
      : traffic_(std::move(traffic)), end_(std::min(requests, traffic_->size())) {}
  [[nodiscard]] std::optional<Instant> next_arrival() override {
    if (next_ == end_) return std::nullopt;
    return (*traffic_)[next_].arrival;
  }
  [[nodiscard]] Request take() override { return copy_of((*traffic_)[next_++]); }

 private:
  Traffic traffic_;
  std::size_t next_ = 0;
  std::size_t end_;
};

class FirstOf final : public RequestSource {
 public:
  FirstOf(std::unique_ptr<RequestSource> source, std::size_t requests)
      : source_(std::move(source)), left_(requests) {}
  [[nodiscard]] std::optional<Instant> next_arrival() override {
    if (left_ == 0) return std::nullopt;
    return source_->next_arrival();
  }
  [[nodiscard]] Request take() override {
    --left_;
    return source_->take();
  }
  [[nodiscard]] bool has_feedback() const override { return source_->has_feedback(); }
  void finished(RequestId id, Instant when) override { source_->finished(id, when); }

 private:
  std::unique_ptr<RequestSource> source_;
  std::size_t left_;
};

/// Arrivals after each gap was raised to a power and all gaps were scaled to the old total.
void change_burstiness(std::vector<Request>& requests, double power) {
  if (requests.size() < 2) return;
  std::vector<double> gaps;
  double total = 0, changed_total = 0;
  for (std::size_t i = 1; i < requests.size(); ++i) {
    const auto gap = static_cast<double>((requests[i].arrival - requests[i - 1].arrival).count());
    total += gap;
    gaps.push_back(gap > 0 ? portable_exp(power * portable_log(gap)) : 0);
    changed_total += gaps.back();
  }
  if (changed_total <= 0) return;
  const Instant first = requests.front().arrival;
  double at = 0;
  for (std::size_t i = 1; i < requests.size(); ++i) {
    at += gaps[i - 1] * (total / changed_total);
    requests[i].arrival = std::max(requests[i - 1].arrival, first + Duration{std::llround(at)});
  }
}

}  // namespace

Traffic read_traffic(RequestSource& source, std::size_t requests_max) {
  auto requests = std::make_shared<std::vector<Request>>();
  while (requests->size() < requests_max && source.next_arrival()) requests->push_back(source.take());
  return requests;
}

std::function<std::unique_ptr<RequestSource>()> traffic_source(Traffic traffic, std::size_t requests) {
  return [traffic = std::move(traffic), requests]() -> std::unique_ptr<RequestSource> {
    return std::make_unique<TrafficSource>(traffic, requests);
  };
}

std::unique_ptr<RequestSource> first_of(std::unique_ptr<RequestSource> source, std::size_t requests) {
  return std::make_unique<FirstOf>(std::move(source), requests);
}

Traffic changed(const Traffic& traffic, const TrafficChange& change) {
  auto requests = std::make_shared<std::vector<Request>>();
  requests->reserve(traffic->size());
  for (const Request& request : *traffic) {
    requests->push_back(copy_of(request));
    Request& changed = requests->back();
    if (change.output == 1) continue;
    const double output = std::round(static_cast<double>(changed.output.value) * change.output);
    changed.output = Tokens{std::max<std::int64_t>(1, static_cast<std::int64_t>(output))};
  }
  if (change.burstiness != 1) change_burstiness(*requests, change.burstiness);
  if (change.rate != 1 && !requests->empty()) {
    const Instant first = requests->front().arrival;
    for (Request& request : *requests) {
      const auto after = static_cast<double>((request.arrival - first).count());
      request.arrival = first + Duration{std::llround(after / change.rate)};
    }
  }
  return requests;
}

}  // namespace kvcast
