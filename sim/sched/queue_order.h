/// In which order waiting requests are looked at, and who gives way when blocks run out.
#pragma once

#include <functional>
#include <memory>

#include "sim/base/catalog.h"
#include "sim/sched/sequence.h"

namespace kvcast {

class Batch;
class Config;

/// Contract: holds the waiting sequences of one engine. front() is the next to admit; equal keys go by arrival, then id.
/// victim() names the running sequence to preempt when a running one lacks a block; it may be that one itself. Never called when
/// nothing runs.
class QueueOrder {
 public:
  virtual ~QueueOrder() = default;
  virtual void push(const Sequence& sequence, SeqIndex seq) = 0;
  virtual void push_preempted(const Sequence& sequence, SeqIndex seq) = 0;
  [[nodiscard]] virtual SeqIndex front() const = 0;
  virtual void pop() = 0;
  /// Takes out one that ended while it waited (its last token was under way when it was preempted).
  virtual void remove(SeqIndex seq) = 0;
  [[nodiscard]] virtual std::size_t size() const = 0;
  [[nodiscard]] virtual SeqIndex victim(const Batch& batch) const = 0;
};

using QueueOrderMaker = std::function<std::unique_ptr<QueueOrder>()>;
QueueOrderMaker make_fcfs(Config& engine);
QueueOrderMaker make_priority(Config& engine);
QueueOrderMaker make_shortest_job_first(Config& engine);

using QueueOrderCatalog = Catalog<QueueOrderMaker (*)(Config&)>;
[[nodiscard]] const QueueOrderCatalog& queue_order_catalog();

}  // namespace kvcast
