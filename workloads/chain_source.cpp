#include "workloads/chain_source.h"

#include <algorithm>
#include <limits>

#include "sim/base/error.h"
#include "workloads/segments.h"

namespace kvcast {

std::optional<Instant> ChainSource::next_arrival() {
  while (const std::optional<Upcoming> next = upcoming()) {
    if (!ready_.empty() && !(ready_.top() > Ready{next->arrival, {next->node, "", {}, kStart}})) break;
    load();
  }
  if (ready_.empty()) return std::nullopt;
  return ready_.top().arrival;
}

Request ChainSource::take() {
  KVCAST_CHECK(next_arrival().has_value());
  const Ready ready = ready_.top();
  ready_.pop();
  const RequestId id{taken_++};
  Request request = make(ready.origin.key, id);
  request.id = id;
  request.arrival = ready.arrival;
  origin_ = ready.origin;
  if (auto children = children_.extract(ready.origin.key); !children.empty()) {
    running_[to_number(id)] = {request_name(request), std::move(children.mapped())};
  }
  return request;
}

void ChainSource::finished(RequestId id, Instant when) {
  auto running = running_.extract(to_number(id));
  if (running.empty()) return;
  for (const Child& child : running.mapped().children) {
    if (child.think > Instant::max() - when) {
      throw InputError(running.mapped().name + ": the think times after it reach beyond 292 years",
                       ExitCode::bad_data);
    }
    const Instant arrival = std::max(when + child.think, child.not_before);
    ready_.push({arrival, {child.node, running.mapped().name, child.think, child.not_before}});
  }
}

void ChainSource::add_child(Node node, Node parent, Duration think, Instant not_before) {
  KVCAST_CHECK(closed_);
  KVCAST_CHECK(node != parent);
  children_[parent].push_back({node, think, not_before});
}

}  // namespace kvcast
