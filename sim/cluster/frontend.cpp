#include "sim/cluster/frontend.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "sim/base/error.h"

namespace kvcast {
namespace {

/// Holds the requests that were sent and have not reached the engine.
class DelayedSource final : public RequestSource {
 public:
  DelayedSource(std::unique_ptr<RequestSource> clients, const FrontendDelays& delays)
      : clients_(std::move(clients)), delays_(delays) {}

  std::optional<Instant> next_arrival() override {
    fetch();
    if (on_the_way_.empty()) return std::nullopt;
    return on_the_way_.front().arrival;
  }

  Request take() override {
    fetch();
    KVCAST_CHECK(!on_the_way_.empty());
    std::pop_heap(on_the_way_.begin(), on_the_way_.end(), later);
    Request request = std::move(on_the_way_.back());
    on_the_way_.pop_back();
    return request;
  }

  bool has_feedback() const override { return clients_->has_feedback(); }
  void finished(RequestId id, Instant when) override { clients_->finished(id, when); }

 private:
  /// The heap's order: the earliest arrival in front, of equals the smallest id.
  static bool later(const Request& a, const Request& b) {
    return a.arrival != b.arrival ? a.arrival > b.arrival : a.id > b.id;
  }

  /// Takes in what may reach the engine first: everything sent before the front could still be overtaken.
  void fetch() {
    for (;;) {
      const std::optional<Instant> sent = clients_->next_arrival();
      if (!sent) return;
      if (!on_the_way_.empty() && on_the_way_.front().arrival < *sent + delays_.before) return;
      Request request = clients_->take();
      request.delay_before = delays_.before_engine(request.input);
      request.arrival += request.delay_before;
      on_the_way_.push_back(std::move(request));
      std::push_heap(on_the_way_.begin(), on_the_way_.end(), later);
    }
  }

  std::unique_ptr<RequestSource> clients_;
  FrontendDelays delays_;
  std::vector<Request> on_the_way_;  // a heap
};

}  // namespace

Duration FrontendDelays::before_engine(Tokens input) const {
  const Int128 fine = static_cast<Int128>(per_input_token.count()) * input.value;
  return before + Duration{static_cast<std::int64_t>(fine >> kFineBits)};
}

SourceMaker with_frontend(SourceMaker source, const FrontendDelays& delays) {
  KVCAST_CHECK(delays.before >= Duration{});
  KVCAST_CHECK(delays.per_input_token >= FineDuration{});
  return [source = std::move(source), delays]() -> std::unique_ptr<RequestSource> {
    return std::make_unique<DelayedSource>(source(), delays);
  };
}

}  // namespace kvcast
