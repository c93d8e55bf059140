/// A waiting queue ordered by a key, then arrival, then id, then slot (of a request's several samples).
#pragma once

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "sim/sched/sequence.h"

namespace kvcast {

/// A binary heap; push and pop cost O(log n), front O(1).
class KeyedQueue {
 public:
  void push(std::int64_t key, const Sequence& sequence, SeqIndex seq) {
    heap_.push_back({key, sequence.arrival, to_number(sequence.id), seq});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  void pop() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    heap_.pop_back();
  }
  void remove(SeqIndex seq) {
    std::erase_if(heap_, [&](const Entry& entry) { return entry.seq == seq; });
    std::make_heap(heap_.begin(), heap_.end(), later);
  }
  [[nodiscard]] SeqIndex front() const { return heap_.front().seq; }
  [[nodiscard]] std::size_t size() const { return heap_.size(); }

 private:
  struct Entry {
    std::int64_t key;
    Instant arrival;
    std::uint64_t id;
    SeqIndex seq;
  };
  static bool later(const Entry& a, const Entry& b) {
    return std::tie(a.key, a.arrival, a.id, a.seq) > std::tie(b.key, b.arrival, b.id, b.seq);
  }
  std::vector<Entry> heap_;
};

}  // namespace kvcast
