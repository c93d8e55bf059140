/// Finds accesses to shared memory by different threads that no barrier orders, with vector clocks
/// (FastTrack, Flanagan & Freund 2009, at the grain of 4-byte words).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace kvcast::kernels::emulation {

class RaceCheck {
 public:
  RaceCheck(int threads, std::size_t shared_bytes);

  /// nullptr, or what is wrong with the access.
  [[nodiscard]] const char* read(int thread, std::uint32_t address, std::uint32_t count);
  [[nodiscard]] const char* write(int thread, std::uint32_t address, std::uint32_t count);

  /// A read by wgmma, which sees plain writes only after their thread's proxy fence.
  [[nodiscard]] const char* read_by_product(int thread, std::uint32_t address, std::uint32_t count);
  void fence(int thread);

  /// A write that is under way from now on until arrive().
  [[nodiscard]] const char* depart(int thread, std::uint32_t address, std::uint32_t count);
  void arrive(int thread, std::uint32_t address, std::uint32_t count);

  /// What the thread did so far comes before what threads do after they acquired the object.
  void release(int thread, std::uint32_t object);
  void acquire(int thread, std::uint32_t object);

  /// All that these threads did before comes before all that they do after.
  void join(std::span<const int> threads);

 private:
  using Clock = std::uint32_t;
  static constexpr Clock kUnderWay = ~Clock{0};
  struct Event {
    std::int32_t thread = -1;  // -1: none yet
    Clock clock = 0;
    bool plain = false;  // a write by an ordinary instruction
  };

  [[nodiscard]] bool before(const Event& event, int thread) const {
    return event.thread < 0 ||
           event.clock <=
               seen_[static_cast<std::size_t>(thread) * threads_ + static_cast<std::size_t>(event.thread)];
  }
  [[nodiscard]] Clock now(int thread) const {
    return seen_[static_cast<std::size_t>(thread) * threads_ + static_cast<std::size_t>(thread)];
  }
  [[nodiscard]] const char* check_write(int thread, std::size_t word);

  std::size_t threads_;
  std::size_t warps_;
  std::vector<Clock> seen_;  // [thread][other]: up to where the thread knows what the other did
  std::map<std::uint32_t, std::vector<Clock>>
      released_;               // [object]: what a thread that acquires it will know
  std::vector<Clock> fenced_;  // [thread]: its writes up to here are visible to wgmma
  std::vector<Event> writes_;  // [word]
  std::vector<Event> reads_;   // [word][warp]: the latest of each warp
};

}  // namespace kvcast::kernels::emulation
