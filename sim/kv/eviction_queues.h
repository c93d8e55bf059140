/// Queues of slots and memories of evicted keys: what eviction policies are made of.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/base/error.h"
#include "sim/kv/eviction.h"

namespace kvcast {

/// Several queues over the same slots; a slot is in at most one of them. Push is at the young end, pop at the
/// old one. A held slot that comes to the old end is parked: it leaves the queue, and is put back at its old
/// end when it is let go.
class SlotQueues {
 public:
  explicit SlotQueues(std::size_t slots, std::size_t queues) : nodes_(slots), queues_(queues) {}

  static constexpr std::uint8_t kNone = 255;

  [[nodiscard]] std::uint8_t queue_of(Slot slot) const { return nodes_[slot].queue; }
  /// Parked slots counted.
  [[nodiscard]] std::size_t size(std::uint8_t queue) const { return queues_[queue].size; }

  void push(std::uint8_t queue, Slot slot) {
    KVCAST_CHECK(nodes_[slot].queue == kNone);
    link(queue, slot, true);
    nodes_[slot].queue = queue;
    ++queues_[queue].size;
  }

  void remove(Slot slot) {
    KVCAST_CHECK(nodes_[slot].queue != kNone);
    if (!nodes_[slot].parked) unlink(slot);
    --queues_[nodes_[slot].queue].size;
    nodes_[slot].queue = kNone;
    nodes_[slot].parked = false;
  }

  /// Moves to the young end of a queue.
  void move(std::uint8_t queue, Slot slot) {
    remove(slot);
    push(queue, slot);
  }

  /// Whether the queue has a slot that nobody holds; if so it is at the old end afterwards.
  [[nodiscard]] bool has_free(std::uint8_t queue) {
    while (queues_[queue].old != kNoSlot && nodes_[queues_[queue].old].held) {
      const Slot slot = queues_[queue].old;
      unlink(slot);
      nodes_[slot].parked = true;
    }
    return queues_[queue].old != kNoSlot;
  }
  [[nodiscard]] Slot oldest(std::uint8_t queue) const { return queues_[queue].old; }

  void hold(Slot slot) { nodes_[slot].held = true; }
  void let_go(Slot slot) {
    nodes_[slot].held = false;
    if (!nodes_[slot].parked) return;
    nodes_[slot].parked = false;
    link(nodes_[slot].queue, slot, false);
  }

 private:
  static constexpr Slot kNoSlot = ~Slot{0};
  struct Node {
    Slot older = kNoSlot;
    Slot younger = kNoSlot;
    std::uint8_t queue = kNone;
    bool held = false;
    bool parked = false;
  };
  struct Queue {
    Slot old = kNoSlot;
    Slot young = kNoSlot;
    std::size_t size = 0;
  };

  void link(std::uint8_t queue, Slot slot, bool at_young_end) {
    Queue& q = queues_[queue];
    Node& node = nodes_[slot];
    node.older = at_young_end ? q.young : kNoSlot;
    node.younger = at_young_end ? kNoSlot : q.old;
    (node.older == kNoSlot ? q.old : nodes_[node.older].younger) = slot;
    (node.younger == kNoSlot ? q.young : nodes_[node.younger].older) = slot;
  }

  void unlink(Slot slot) {
    const Node& node = nodes_[slot];
    Queue& q = queues_[node.queue];
    (node.older == kNoSlot ? q.old : nodes_[node.older].younger) = node.younger;
    (node.younger == kNoSlot ? q.young : nodes_[node.younger].older) = node.older;
  }

  std::vector<Node> nodes_;
  std::vector<Queue> queues_;
};

/// Keys of evicted pages, oldest first out. Looked up only, never walked.
class GhostQueue {
 public:
  [[nodiscard]] std::size_t size() const { return tickets_.size(); }
  [[nodiscard]] bool contains(std::uint64_t key) const { return tickets_.contains(key); }

  void push(std::uint64_t key) {
    tickets_[key] = ++last_ticket_;
    order_.emplace_back(key, last_ticket_);
    constexpr std::size_t kStaleMax = 1024;
    if (order_.size() > 2 * tickets_.size() + kStaleMax) forget_stale();
  }
  bool erase(std::uint64_t key) { return tickets_.erase(key) > 0; }
  void pop_oldest() {
    while (!order_.empty()) {
      const Entry oldest = order_.front();
      order_.pop_front();
      if (!stands(oldest)) continue;
      tickets_.erase(oldest.first);
      return;
    }
  }

 private:
  using Entry = std::pair<std::uint64_t, std::uint64_t>;  // key and ticket
  /// Whether it was neither erased nor pushed again since.
  [[nodiscard]] bool stands(const Entry& entry) const {
    const auto found = tickets_.find(entry.first);
    return found != tickets_.end() && found->second == entry.second;
  }
  void forget_stale() {
    std::erase_if(order_, [&](const Entry& entry) { return !stands(entry); });
  }

  std::unordered_map<std::uint64_t, std::uint64_t> tickets_;
  std::deque<Entry> order_;
  std::uint64_t last_ticket_ = 0;
};

/// The residents of a cache in an order of worth; the least worthy is the next victim. Held ones are not in
/// it.
template <class Worth>
class WorthOrder {
 public:
  explicit WorthOrder(std::size_t slots) : entries_(slots), position_(slots, kOut) {}

  [[nodiscard]] bool contains(Slot slot) const { return position_[slot] != kOut; }
  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] Slot least() const { return heap_.front(); }

  void set(Slot slot, const Worth& worth) {
    entries_[slot] = worth;
    if (!contains(slot)) {
      position_[slot] = heap_.size();
      heap_.push_back(slot);
    }
    rise(position_[slot]);
    sink(position_[slot]);
  }

  void remove(Slot slot) {
    if (!contains(slot)) return;
    const std::size_t at = position_[slot];
    place(at, heap_.back());
    heap_.pop_back();
    position_[slot] = kOut;
    if (at == heap_.size()) return;
    const Slot moved = heap_[at];
    rise(at);
    sink(position_[moved]);
  }

 private:
  static constexpr std::size_t kOut = ~std::size_t{0};
  [[nodiscard]] bool less(std::size_t a, std::size_t b) const {
    return entries_[heap_[a]] < entries_[heap_[b]];
  }
  void place(std::size_t at, Slot slot) {
    heap_[at] = slot;
    position_[slot] = at;
  }
  void exchange(std::size_t a, std::size_t b) {
    const Slot slot = heap_[a];
    place(a, heap_[b]);
    place(b, slot);
  }
  void rise(std::size_t at) {
    for (; at > 0 && less(at, (at - 1) / 2); at = (at - 1) / 2) exchange(at, (at - 1) / 2);
  }
  void sink(std::size_t at) {
    for (std::size_t child = 2 * at + 1; child < heap_.size(); child = 2 * at + 1) {
      if (child + 1 < heap_.size() && less(child + 1, child)) ++child;
      if (!less(child, at)) return;
      exchange(at, child);
      at = child;
    }
  }

  std::vector<Worth> entries_;
  std::vector<std::size_t> position_;
  std::vector<Slot> heap_;
};

}  // namespace kvcast
