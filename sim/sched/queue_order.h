/// In which order waiting requests are looked at, and who gives way when blocks run out.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <string_view>

#include "sim/base/catalog.h"
#include "sim/sched/sequence.h"

namespace kvcast {

class Batch;
class Config;

/// Contract: holds the waiting sequences of one engine. front() is the next to admit; equal keys go by
/// arrival, then id. victim() names the running sequence to preempt when a running one lacks a block; it may
/// be that one itself. Never called when nothing runs.
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

  /// How soon after its arrival a request of that class should have its first token: its deadline, see
  /// Sequence.
  [[nodiscard]] virtual Duration ttft_target(std::string_view /*slo_class*/) const { return Duration{0}; }

  // What the batch tells of the service given, for orders that divide it. The sequence's tenant is what they
  // need.
  /// A step is about to be planned; arrivals since the last one have been pushed.
  virtual void begin_step() {}
  /// The sequence enters a step; not its first time when preemptions > 0.
  virtual void admitted(const Sequence& /*sequence*/) {}
  /// It makes output tokens outside the decode group.
  virtual void produced(const Sequence& /*sequence*/, Tokens /*n*/) {}
  /// It joins (+1) or leaves (-1) the decode group, whose members make a token in every step of decoded().
  virtual void decodes(const Sequence& /*sequence*/, int /*change*/) {}
  virtual void decoded(std::int64_t /*steps*/) {}
  /// Steps of the decode group after which front() may name another, with nothing else happening.
  [[nodiscard]] virtual std::int64_t steps_front_stays() const {
    return std::numeric_limits<std::int64_t>::max();
  }
};

using QueueOrderMaker = std::function<std::unique_ptr<QueueOrder>()>;
QueueOrderMaker make_fcfs(Config& engine);
QueueOrderMaker make_priority(Config& engine);
QueueOrderMaker make_shortest_job_first(Config& engine);
QueueOrderMaker make_edf(Config& engine);
QueueOrderMaker make_vtc(Config& engine);

using QueueOrderCatalog = Catalog<QueueOrderMaker (*)(Config&)>;
[[nodiscard]] const QueueOrderCatalog& queue_order_catalog();

}  // namespace kvcast
