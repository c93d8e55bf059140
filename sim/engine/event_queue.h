/// The pending events of a cluster: at most one an owner (replica), ordered by (time, owner).
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/base/error.h"
#include "sim/engine/fine_instant.h"

namespace kvcast {

/// Contract: an indexed binary heap. set() and clear() cost O(log owners), top O(1). Ties go to the smaller
/// owner, so equal runs pop in equal order.
class EventQueue {
 public:
  explicit EventQueue(std::size_t owners) : position_(owners, kNowhere), time_(owners) {}

  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] std::size_t top() const { return heap_.front(); }
  [[nodiscard]] FineInstant top_time() const { return time_[heap_.front()]; }

  [[nodiscard]] bool contains(std::size_t owner) const { return position_[owner] != kNowhere; }

  /// Schedules the owner's event, or moves it.
  void set(std::size_t owner, FineInstant time) {
    time_[owner] = time;
    if (position_[owner] == kNowhere) {
      position_[owner] = heap_.size();
      heap_.push_back(owner);
    }
    sift_down(sift_up(position_[owner]));
  }

  /// Takes the owner's event away; the owner must have one.
  void clear(std::size_t owner) {
    const std::size_t hole = position_[owner];
    KVCAST_CHECK(hole != kNowhere);
    position_[owner] = kNowhere;
    const std::size_t last = heap_.back();
    heap_.pop_back();
    if (last == owner) return;
    heap_[hole] = last;
    position_[last] = hole;
    sift_down(sift_up(hole));
  }

 private:
  static constexpr std::size_t kNowhere = ~std::size_t{0};

  [[nodiscard]] bool before(std::size_t a, std::size_t b) const {
    return time_[a] < time_[b] || (time_[a] == time_[b] && a < b);
  }
  void swap_at(std::size_t i, std::size_t j) {
    std::swap(heap_[i], heap_[j]);
    position_[heap_[i]] = i;
    position_[heap_[j]] = j;
  }
  std::size_t sift_up(std::size_t i) {
    while (i > 0 && before(heap_[i], heap_[(i - 1) / 2])) {
      swap_at(i, (i - 1) / 2);
      i = (i - 1) / 2;
    }
    return i;
  }
  void sift_down(std::size_t i) {
    for (;;) {
      std::size_t least = i;
      for (const std::size_t child : {2 * i + 1, 2 * i + 2}) {
        if (child < heap_.size() && before(heap_[child], heap_[least])) least = child;
      }
      if (least == i) return;
      swap_at(i, least);
      i = least;
    }
  }

  std::vector<std::size_t> heap_;
  std::vector<std::size_t> position_;
  std::vector<FineInstant> time_;
};

}  // namespace kvcast
