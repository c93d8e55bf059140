/// A workload that is cut.
#pragma once

#include <memory>
#include <utility>

#include "sim/request_source.h"

namespace kvcast {

/// The first so many requests of a source.
class FirstRequests final : public RequestSource {
 public:
  FirstRequests(std::unique_ptr<RequestSource> source, std::int64_t count)
      : source_(std::move(source)), left_(count) {}
  std::optional<Instant> next_arrival() override {
    return left_ > 0 ? source_->next_arrival() : std::nullopt;
  }
  Request take() override {
    --left_;
    return source_->take();
  }
  bool has_feedback() const override { return source_->has_feedback(); }
  void finished(RequestId id, Instant when) override { source_->finished(id, when); }

 private:
  std::unique_ptr<RequestSource> source_;
  std::int64_t left_;
};

}  // namespace kvcast
