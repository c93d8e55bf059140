#include "tests/support/sources.h"

#include <queue>

#include "sim/plan/traffic.h"

namespace kvcast::test {
namespace {

std::vector<Request> copy(const std::vector<Request>& from) {
  std::vector<Request> requests;
  for (const Request& request : from) requests.push_back(copy_of(request));
  return requests;
}

class ListSource final : public RequestSource {
 public:
  explicit ListSource(const std::vector<Request>& requests) : requests_(copy(requests)) {}
  [[nodiscard]] std::optional<Instant> next_arrival() override {
    if (next_ == requests_.size()) return std::nullopt;
    return requests_[next_].arrival;
  }
  [[nodiscard]] Request take() override { return std::move(requests_[next_++]); }

 private:
  std::vector<Request> requests_;
  std::size_t next_ = 0;
};

class ClosedLoopSource final : public RequestSource {
 public:
  ClosedLoopSource(const std::vector<Request>& requests, std::int64_t concurrency, Duration think)
      : requests_(copy(requests)), think_(think) {
    for (std::int64_t i = 0; i < concurrency; ++i) due_.push(kStart);
  }
  [[nodiscard]] bool has_feedback() const override { return true; }
  [[nodiscard]] std::optional<Instant> next_arrival() override {
    if (next_ == requests_.size() || due_.empty()) return std::nullopt;
    return due_.top();
  }
  [[nodiscard]] Request take() override {
    Request request = std::move(requests_[next_++]);
    request.arrival = due_.top();
    due_.pop();
    return request;
  }
  void finished(RequestId /*id*/, Instant when) override { due_.push(when + think_); }

 private:
  std::vector<Request> requests_;
  Duration think_;
  std::priority_queue<Instant, std::vector<Instant>, std::greater<>> due_;
  std::size_t next_ = 0;
};

}  // namespace

SourceMaker list_source(const std::vector<Request>& requests) {
  return [kept = std::make_shared<std::vector<Request>>(copy(requests))] {
    return std::make_unique<ListSource>(*kept);
  };
}

SourceMaker closed_loop_source(const std::vector<Request>& requests, std::int64_t concurrency,
                               Duration think) {
  return [kept = std::make_shared<std::vector<Request>>(copy(requests)), concurrency, think] {
    return std::make_unique<ClosedLoopSource>(*kept, concurrency, think);
  };
}

}  // namespace kvcast::test
