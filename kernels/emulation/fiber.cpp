// Contexts are entered once with setcontext and then switched with _setjmp and _longjmp, which make no system
// call. This file is compiled without _FORTIFY_SOURCE: its longjmp takes a change of stack for an error.
// Under sanitizers, which want to be told of every change, swapcontext and their own calls are used.
#include "kernels/emulation/fiber.h"

#include <exception>

#ifdef KVCAST_ASAN_FIBERS
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef KVCAST_TSAN_FIBERS
#include <sanitizer/tsan_interface.h>
#endif

namespace kvcast::kernels::emulation {

Fiber::~Fiber() {
#ifdef KVCAST_TSAN_FIBERS
  if (stack_ != nullptr && sanitizer_ != nullptr) __tsan_destroy_fiber(sanitizer_);
#endif
}

void Fiber::start(void (*entry)()) {
  if (stack_ == nullptr)
    stack_.reset(new std::byte[kStackBytes]);  // not initialised: most of it is never touched
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_.get();
  context_.uc_stack.ss_size = kStackBytes;
  context_.uc_link = nullptr;
  makecontext(&context_, entry, 0);
  has_place_ = false;
#ifdef KVCAST_TSAN_FIBERS
  // A new one each time: calls that an ended fiber never returned from would stay on the sanitizer's stack.
  if (sanitizer_ != nullptr) __tsan_destroy_fiber(sanitizer_);
  sanitizer_ = __tsan_create_fiber(0);
#endif
}

void Fiber::change(Fiber& from, Fiber& to) { change(from, to, false); }

void Fiber::end(Fiber& from, Fiber& to) {
  change(from, to, true);
  std::terminate();
}

#if defined(KVCAST_ASAN_FIBERS)

void Fiber::change(Fiber& from, Fiber& to, bool for_good) {
  // The thread's own stack is unknown to us: the sanitizer tells it to the first fiber, which is not needed
  // here because going back to it uses what start_switch kept.
  static thread_local const void* main_bottom = nullptr;
  static thread_local std::size_t main_size = 0;
  const void* bottom = to.stack_ != nullptr ? static_cast<const void*>(to.stack_.get()) : main_bottom;
  const std::size_t size = to.stack_ != nullptr ? kStackBytes : main_size;
  if (from.stack_ == nullptr && main_bottom == nullptr) {
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    void* address = nullptr;
    pthread_attr_getstack(&attributes, &address, &main_size);
    pthread_attr_destroy(&attributes);
    main_bottom = address;
  }
  __sanitizer_start_switch_fiber(for_good ? nullptr : &from.sanitizer_, bottom, size);
  swapcontext(&from.context_, &to.context_);
  __sanitizer_finish_switch_fiber(from.sanitizer_, nullptr, nullptr);
}

void Fiber::arrived() { __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr); }

#elif defined(KVCAST_TSAN_FIBERS)

void Fiber::change(Fiber& from, Fiber& to, bool /*for_good*/) {
  if (from.stack_ == nullptr) from.sanitizer_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(to.sanitizer_, 0);
  swapcontext(&from.context_, &to.context_);
}

void Fiber::arrived() {}

#else

void Fiber::change(Fiber& from, Fiber& to, bool /*for_good*/) {
  from.has_place_ = true;
  if (_setjmp(from.place_) != 0) return;
  if (to.has_place_) _longjmp(to.place_, 1);
  setcontext(&to.context_);
}

void Fiber::arrived() {}

#endif

}  // namespace kvcast::kernels::emulation
