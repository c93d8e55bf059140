#include "kernels/emulation/cta.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/emulation/fiber.h"
#include "kernels/emulation/race_check.h"

namespace kvcast::kernels::emulation {
namespace {

constexpr int kLanes = 32;
constexpr int kGroup = 128;
// Beyond every kernel's shared memory, so that an address of 0 or one past the end is out of bounds.
constexpr std::uint32_t kSharedStart = 1024;

struct PendingCopy {
  std::uint32_t to = 0;
  std::uint32_t count = 0;
  const void* from = nullptr;  // null: zeros
};

struct Thread {
  Fiber fiber;
  bool started = false;
  bool finished = false;
  const std::uint64_t* waits_on = nullptr;  // goes on when this differs from `waits_while`
  std::uint64_t waits_while = 0;
  std::vector<PendingCopy> open;
  std::deque<std::vector<PendingCopy>> groups;
  std::vector<WgmmaOperand> products;  // issued
  std::size_t committed = 0;           // of these
};

/// A box on its way to shared memory.
struct PendingBox {
  int thread = 0;  // that asked for it
  std::uint32_t to = 0;
  BoxMap map;
  std::array<int, 4> at = {};

  [[nodiscard]] std::uint32_t bytes() const {
    return static_cast<std::uint32_t>(map.box[0] * map.box[1] * map.box[2] * map.box[3] * 2);
  }
};

/// An mbarrier.
struct Barrier {
  int arrivals = 0;  // of a phase
  int missing = 0;
  std::int64_t bytes_missing = 0;
  std::uint64_t turn = 0;  // phases completed
  std::vector<PendingBox> boxes;
};

/// A named barrier.
struct SomeBarrier {
  std::uint64_t turn = 0;
  std::vector<int> inside;
};

/// Four warps that multiply together.
struct WarpGroup {
  std::uint64_t turn = 0;
  int entered = 0;
};

struct Warp {
  std::uint64_t turn = 0;
  int entered = 0;
  WarpOperation operation = nullptr;
  std::array<void*, kLanes> operands = {};
};

/// One CTA while it runs.
class Cta {
 public:
  Cta(const Launch& launch, const std::function<void()>& body)
      : launch_(launch),
        body_(body),
        threads_(static_cast<std::size_t>(launch.threads)),
        warps_(static_cast<std::size_t>(launch.threads / kLanes)),
        groups_(static_cast<std::size_t>(launch.threads / kGroup)),
        order_(static_cast<std::size_t>(launch.threads)),
        place_(static_cast<std::size_t>(launch.threads)),
        random_(launch.order_seed) {
    std::iota(order_.begin(), order_.end(), 0);
  }

  void run(int block);

  [[nodiscard]] int thread() const { return thread_; }
  [[nodiscard]] int block() const { return block_; }
  [[nodiscard]] int blocks() const { return launch_.ctas; }

  std::uint8_t* access(std::uint32_t address, std::uint32_t count, Access access);
  void collective(WarpOperation operation, void* operand);
  void barrier();
  void join_warp();
  void copy_async(std::uint32_t to, const void* from, std::uint32_t count, bool valid);
  void commit() { current().groups.push_back(std::move(current().open)), current().open.clear(); }
  void wait_copies(int pending);

  void barrier_init(std::uint32_t address, int arrivals);
  void barrier_arrive(std::uint32_t address, int bytes);
  void barrier_wait(std::uint32_t address, int parity);
  void copy_box(const PendingBox& box, std::uint32_t barrier);
  void sync_some(int id, int threads);
  void fence_proxy() {
    if (races_ != nullptr) races_->fence(thread_);
  }
  void wgmma_issue(const WgmmaOperand& operand) { current().products.push_back(operand); }
  void wgmma_commit() { current().committed = current().products.size(); }
  void wgmma_wait();
  /// B's elements while a group multiplies: read by a thread of each of its warps.
  std::uint16_t shared_element(std::uint32_t address);

  [[noreturn]] void fail(const std::string& what);

 private:
  static void entry();

  [[nodiscard]] std::string failure(const std::string& what) const;
  Thread& current() { return threads_[static_cast<std::size_t>(thread_)]; }
  void wait_while(const std::uint64_t& counter, std::uint64_t value);
  void leave(Fiber& from);
  Fiber& next_turn();
  Fiber& next_abandoned();
  void run_thread();
  std::uint8_t* place(std::uint32_t address, std::uint32_t count);
  Barrier& barrier_at(std::uint32_t address);
  void complete_if_done(Barrier& barrier);
  bool deliver(std::uint32_t address, Barrier& barrier);
  bool deliver_all();
  void write_box(const PendingBox& box);

  const Launch& launch_;
  const std::function<void()>& body_;
  Fiber outside_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<WarpGroup> groups_;
  std::map<std::uint32_t, Barrier> barriers_;
  std::map<int, SomeBarrier> some_;
  std::vector<int> order_;          // threads in the order of their turns
  std::vector<std::size_t> place_;  // [thread]: where in order_
  std::mt19937_64 random_;
  std::vector<std::uint8_t> shared_;
  std::unique_ptr<RaceCheck> races_;
  std::uint64_t barrier_turn_ = 0;
  int at_barrier_ = 0;
  int thread_ = 0;
  int block_ = 0;
  std::string error_;
};

// As on the GPU, code knows which thread it is.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
thread_local Cta* running = nullptr;

/// Unwinds the stack of a thread whose CTA has failed.
struct Abandoned {};

void Cta::entry() {
  Fiber::arrived();
  Cta& cta = *running;
  Thread& self = cta.current();
  self.started = true;
  Fiber* next = nullptr;
  try {
    cta.run_thread();
    self.finished = true;
    next = &cta.next_turn();
  } catch (const Abandoned&) {
    self.finished = true;
    next = &cta.next_abandoned();
  }
  Fiber::end(self.fiber, *next);
}

void Cta::run_thread() {
  body_();
  Thread& self = current();
  if (!self.open.empty()) fail("ends with asynchronous copies that were not committed");
  for (const auto& group : self.groups) {
    if (!group.empty()) fail("ends with asynchronous copies that were not waited for");
  }
  if (!self.products.empty()) fail("ends with products that were not waited for");
}

void Cta::run(int block) {
  block_ = block;
  shared_.assign(launch_.shared_bytes, 0xff);  // NaN in every floating-point format
  races_ = launch_.check_races ? std::make_unique<RaceCheck>(launch_.threads, launch_.shared_bytes) : nullptr;
  std::fill(warps_.begin(), warps_.end(), Warp{});
  std::fill(groups_.begin(), groups_.end(), WarpGroup{});
  barriers_.clear();
  some_.clear();
  at_barrier_ = 0;
  if (launch_.order_seed != 0) std::shuffle(order_.begin(), order_.end(), random_);
  for (std::size_t i = 0; i < order_.size(); ++i) place_[static_cast<std::size_t>(order_[i])] = i;
  for (Thread& thread : threads_) {
    thread.started = false;
    thread.finished = false;
    thread.waits_on = nullptr;
    thread.open.clear();
    thread.groups.clear();
    thread.products.clear();
    thread.committed = 0;
    thread.fiber.start(&Cta::entry);
  }
  running = this;
  thread_ = order_.front();
  Fiber::change(outside_, current().fiber);
  running = nullptr;
  if (!error_.empty()) throw std::runtime_error(error_);
}

/// The next thread that can go on, or run() when all have finished.
Fiber& Cta::next_turn() {
  const std::size_t count = order_.size();
  std::size_t at = place_[static_cast<std::size_t>(thread_)];
  bool all_finished = true;
  for (std::size_t i = 0; i < count; ++i) {
    at = at + 1 == count ? 0 : at + 1;
    Thread& next = threads_[static_cast<std::size_t>(order_[at])];
    if (next.finished) continue;
    all_finished = false;
    if (next.waits_on != nullptr && *next.waits_on == next.waits_while) continue;
    next.waits_on = nullptr;
    thread_ = order_[at];
    return next.fiber;
  }
  if (all_finished) return outside_;
  if (deliver_all()) return next_turn();
  error_ = failure("waits for a barrier or a collective that not all of its threads reach");
  return next_abandoned();
}

/// The next thread that has something on its stack, or run() when none has.
Fiber& Cta::next_abandoned() {
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    if (!threads_[i].started || threads_[i].finished) continue;
    thread_ = static_cast<int>(i);
    return threads_[i].fiber;
  }
  return outside_;
}

/// Gives the turn away, and comes back with it.
void Cta::leave(Fiber& from) {
  Fiber& next = next_turn();
  if (&next != &from) Fiber::change(from, next);
  if (!error_.empty()) throw Abandoned();
}

void Cta::wait_while(const std::uint64_t& counter, std::uint64_t value) {
  Thread& self = current();
  self.waits_on = &counter;
  self.waits_while = value;
  leave(self.fiber);
}

std::string Cta::failure(const std::string& what) const {
  return "CTA " + std::to_string(block_) + ", thread " + std::to_string(thread_) + " " + what;
}

void Cta::fail(const std::string& what) {
  error_ = failure(what);
  throw Abandoned();
}

std::uint8_t* Cta::place(std::uint32_t address, std::uint32_t count) {
  const std::uint64_t begin = std::uint64_t{address} - kSharedStart;
  if (address < kSharedStart || begin + count > shared_.size()) {
    fail("accesses shared memory at byte " + std::to_string(static_cast<std::int64_t>(begin)) + " of " +
         std::to_string(shared_.size()));
  }
  if (begin % std::min<std::uint32_t>(count, 16) != 0) fail("accesses shared memory that is not aligned");
  return shared_.data() + begin;
}

std::uint8_t* Cta::access(std::uint32_t address, std::uint32_t count, Access access) {
  std::uint8_t* bytes = place(address, count);
  if (races_ != nullptr) {
    const std::uint32_t offset = address - kSharedStart;
    const char* problem =
        access == Access::read ? races_->read(thread_, offset, count) : races_->write(thread_, offset, count);
    if (problem != nullptr) fail(std::string(problem) + " (byte " + std::to_string(offset) + ")");
  }
  return bytes;
}

void Cta::collective(WarpOperation operation, void* operand) {
  Warp& warp = warps_[static_cast<std::size_t>(thread_ / kLanes)];
  if (warp.entered > 0 && warp.operation != operation) fail("is in another collective than its warp");
  warp.operation = operation;
  warp.operands[static_cast<std::size_t>(thread_ % kLanes)] = operand;
  if (++warp.entered < kLanes) {
    wait_while(warp.turn, warp.turn);
    return;
  }
  warp.entered = 0;
  ++warp.turn;
  operation(warp.operands.data());
}

void Cta::join_warp() {
  if (races_ == nullptr) return;
  std::array<int, kLanes> members = {};
  std::iota(members.begin(), members.end(), thread_ / kLanes * kLanes);
  races_->join(members);
}

void Cta::barrier() {
  if (++at_barrier_ < launch_.threads) {
    wait_while(barrier_turn_, barrier_turn_);
    return;
  }
  at_barrier_ = 0;
  ++barrier_turn_;
  if (races_ == nullptr) return;
  std::vector<int> all(order_.size());
  std::iota(all.begin(), all.end(), 0);
  races_->join(all);
}

void Cta::copy_async(std::uint32_t to, const void* from, std::uint32_t count, bool valid) {
  std::uint8_t* bytes = place(to, count);
  if (races_ != nullptr) {
    const char* problem = races_->depart(thread_, to - kSharedStart, count);
    if (problem != nullptr) fail(problem);
  }
  std::memset(bytes, 0xff, count);
  if (valid && reinterpret_cast<std::uintptr_t>(from) % count != 0)
    fail("copies from global memory that is not aligned");
  current().open.push_back({to, count, valid ? from : nullptr});
}

void Cta::wait_copies(int pending) {
  auto& groups = current().groups;
  while (groups.size() > static_cast<std::size_t>(pending)) {
    for (const PendingCopy& copy : groups.front()) {
      std::uint8_t* bytes = place(copy.to, copy.count);
      if (copy.from == nullptr) {
        std::memset(bytes, 0, copy.count);
      } else {
        std::memcpy(bytes, copy.from, copy.count);
      }
      if (races_ != nullptr) races_->arrive(thread_, copy.to - kSharedStart, copy.count);
    }
    groups.pop_front();
  }
}

Barrier& Cta::barrier_at(std::uint32_t address) {
  static_cast<void>(place(address, 8));
  const auto found = barriers_.find(address);
  if (found == barriers_.end()) fail("uses a barrier that was not initialised");
  return found->second;
}

void Cta::barrier_init(std::uint32_t address, int arrivals) {
  static_cast<void>(place(address, 8));
  barriers_[address] = {arrivals, arrivals, 0, 0, {}};
}

void Cta::complete_if_done(Barrier& barrier) {
  if (barrier.missing > 0 || barrier.bytes_missing != 0) return;
  barrier.missing = barrier.arrivals;
  ++barrier.turn;
}

void Cta::barrier_arrive(std::uint32_t address, int bytes) {
  Barrier& barrier = barrier_at(address);
  if (barrier.missing == 0) fail("arrives at a barrier at which all have arrived");
  if (races_ != nullptr) races_->release(thread_, address);
  barrier.bytes_missing += bytes;
  --barrier.missing;
  complete_if_done(barrier);
}

void Cta::barrier_wait(std::uint32_t address, int parity) {
  Barrier& barrier = barrier_at(address);
  while (static_cast<int>(barrier.turn % 2) == parity) {
    if (!deliver(address, barrier)) wait_while(barrier.turn, barrier.turn);
  }
  if (races_ != nullptr) races_->acquire(thread_, address);
}

void Cta::copy_box(const PendingBox& box, std::uint32_t address) {
  Barrier& barrier = barrier_at(address);
  std::uint8_t* bytes = place(box.to, 16);
  static_cast<void>(place(box.to + box.bytes() - 16, 16));
  if (box.to % 128 != 0 || box.map.box[0] != 64)
    fail("copies a box that is not of 128-byte rows at a multiple of 128");
  if (races_ != nullptr) {
    const char* problem = races_->depart(thread_, box.to - kSharedStart, box.bytes());
    if (problem != nullptr) fail(problem);
  }
  std::memset(bytes, 0xff, box.bytes());
  barrier.boxes.push_back(box);
}

/// The boxes of a barrier arrive; false if there were none.
bool Cta::deliver(std::uint32_t address, Barrier& barrier) {
  if (barrier.boxes.empty()) return false;
  for (const PendingBox& box : barrier.boxes) {
    write_box(box);
    barrier.bytes_missing -= box.bytes();
    if (races_ != nullptr) {
      races_->arrive(box.thread, box.to - kSharedStart, box.bytes());
      races_->release(box.thread, address);
    }
  }
  barrier.boxes.clear();
  complete_if_done(barrier);
  return true;
}

bool Cta::deliver_all() {
  bool any = false;
  for (auto& [address, barrier] : barriers_) any = deliver(address, barrier) || any;
  return any;
}

/// Rows of 128 bytes, whose 16-byte chunks change places by the address's bits 7 to 9.
void Cta::write_box(const PendingBox& box) {
  std::uint32_t to = box.to;
  for (int c3 = 0; c3 < box.map.box[3]; ++c3) {
    for (int c2 = 0; c2 < box.map.box[2]; ++c2) {
      for (int c1 = 0; c1 < box.map.box[1]; ++c1) {
        const std::uint8_t* from = box.map.base + (box.at[3] + c3) * box.map.stride[3] +
                                   (box.at[2] + c2) * box.map.stride[2] +
                                   (box.at[1] + c1) * box.map.stride[1] + box.at[0] * box.map.stride[0];
        for (std::uint32_t chunk = 0; chunk < 8; ++chunk, to += 16, from += 16) {
          std::memcpy(place(to ^ ((to >> 7 & 7U) << 4), 16), from, 16);
        }
      }
    }
  }
}

void Cta::sync_some(int id, int threads) {
  SomeBarrier& barrier = some_[id];
  barrier.inside.push_back(thread_);
  if (static_cast<int>(barrier.inside.size()) < threads) {
    wait_while(barrier.turn, barrier.turn);
    return;
  }
  if (races_ != nullptr) races_->join(barrier.inside);
  barrier.inside.clear();
  ++barrier.turn;
}

std::uint16_t Cta::shared_element(std::uint32_t address) {
  const std::uint8_t* bytes = place(address, 2);
  if (races_ != nullptr && address % 4 == 0) {
    for (int warp = 0; warp < kGroup; warp += kLanes) {
      const char* problem =
          races_->read_by_product(thread_ / kGroup * kGroup + warp, address - kSharedStart, 4);
      if (problem != nullptr) fail(std::string("multiplies: ") + problem);
    }
  }
  std::uint16_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

void Cta::wgmma_wait() {
  if (current().committed != current().products.size()) fail("waits for products that were not committed");
  WarpGroup& group = groups_[static_cast<std::size_t>(thread_ / kGroup)];
  if (++group.entered < kGroup) {
    wait_while(group.turn, group.turn);
    return;
  }
  const std::size_t first = static_cast<std::size_t>(thread_ / kGroup) * kGroup;
  for (std::size_t i = 0; i < current().products.size(); ++i) {
    std::array<const WgmmaOperand*, kGroup> operands = {};
    for (std::size_t t = 0; t < operands.size(); ++t) {
      const auto& products = threads_[first + t].products;
      if (products.size() != current().products.size() ||
          products[i].descriptor != current().products[i].descriptor) {
        fail("multiplies something else than its group");
      }
      operands[t] = &products[i];
    }
    multiply_group(operands.data(), [](std::uint32_t address) { return running->shared_element(address); });
  }
  for (std::size_t t = 0; t < kGroup; ++t) {
    threads_[first + t].products.clear();
    threads_[first + t].committed = 0;
  }
  group.entered = 0;
  ++group.turn;
}

}  // namespace

void run_grid(const Launch& launch, const std::function<void()>& body) {
  if (launch.threads <= 0 || launch.threads % kLanes != 0)
    throw std::runtime_error("run_grid: threads must be whole warps");
  Cta cta(launch, body);
  for (int block = 0; block < launch.ctas; ++block) cta.run(block);
}

int thread_index() { return running->thread(); }
int block_index() { return running->block(); }
int block_count() { return running->blocks(); }
std::uint8_t* shared_bytes(std::uint32_t address, std::uint32_t count, Access access) {
  return running->access(address, count, access);
}
void warp_collective(WarpOperation operation, void* operand) { running->collective(operation, operand); }
void sync_warp() {
  running->collective([](void* const*) { running->join_warp(); }, nullptr);
}
void sync_cta() { running->barrier(); }
void copy_async(std::uint32_t to, const void* from, std::uint32_t count, bool valid) {
  running->copy_async(to, from, count, valid);
}
void commit_copies() { running->commit(); }
void wait_copies(int pending) { running->wait_copies(pending); }
void barrier_init(std::uint32_t barrier, int arrivals) { running->barrier_init(barrier, arrivals); }
void barrier_arrive(std::uint32_t barrier, int bytes) { running->barrier_arrive(barrier, bytes); }
void barrier_wait(std::uint32_t barrier, int parity) { running->barrier_wait(barrier, parity); }
void copy_box(std::uint32_t to, const BoxMap& map, std::array<int, 4> at, std::uint32_t barrier) {
  running->copy_box({running->thread(), to, map, at}, barrier);
}
void sync_some(int id, int threads) { running->sync_some(id, threads); }
void fence_proxy() { running->fence_proxy(); }
void wgmma_issue(const WgmmaOperand& operand) { running->wgmma_issue(operand); }
void wgmma_commit() { running->wgmma_commit(); }
void wgmma_wait() { running->wgmma_wait(); }
void fail(const char* what) { running->fail(what); }

}  // namespace kvcast::kernels::emulation
