/// A stack and a place to go on: what a CUDA thread is on the CPU.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#if defined(__SANITIZE_ADDRESS__)
#define KVCAST_ASAN_FIBERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KVCAST_ASAN_FIBERS 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define KVCAST_TSAN_FIBERS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KVCAST_TSAN_FIBERS 1
#endif
#endif

namespace kvcast::kernels::emulation {

class Fiber {
 public:
  /// The fiber of the code that is running now: it needs no stack of its own.
  Fiber() = default;
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// The next switch to this fiber calls `entry`, which must never return but switch away for good.
  void start(void (*entry)());

  /// Leaves `from`, which goes on when somebody switches to it again.
  static void change(Fiber& from, Fiber& to);
  /// Leaves `from` for good. Its entry function has nothing left to do: what it had on its stack is gone.
  [[noreturn]] static void end(Fiber& from, Fiber& to);
  /// The first thing that an entry function does.
  static void arrived();

 private:
  static constexpr std::size_t kStackBytes = std::size_t{256} * 1024;

  static void change(Fiber& from, Fiber& to, bool for_good);

  std::unique_ptr<std::byte[]> stack_;
  ucontext_t context_ = {};
  jmp_buf place_ = {};
  bool has_place_ = false;  // started, and left by change()
#if defined(KVCAST_ASAN_FIBERS) || defined(KVCAST_TSAN_FIBERS)
  void* sanitizer_ = nullptr;
#endif
};

}  // namespace kvcast::kernels::emulation
