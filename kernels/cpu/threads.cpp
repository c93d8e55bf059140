#include "kernels/cpu/threads.h"

namespace kvcast::cpu {

Threads::Threads(int count) : size_(count < 1 ? 1 : count) {
  for (int worker = 1; worker < size_; ++worker) threads_.emplace_back([this, worker] { serve(worker); });
}

Threads::~Threads() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Threads::share(int worker, std::int64_t n, const std::function<void(std::int64_t, int)>& work) const {
  for (std::int64_t i = worker; i < n; i += size_) work(i, worker);
}

void Threads::run(std::int64_t n, const std::function<void(std::int64_t, int)>& work) {
  if (size_ == 1 || n == 1) {
    for (std::int64_t i = 0; i < n; ++i) work(i, 0);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    n_ = n;
    work_ = &work;
    busy_ = size_ - 1;
    ++round_;
  }
  start_.notify_all();
  share(0, n, work);
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return busy_ == 0; });
}

void Threads::serve(int worker) {
  std::uint64_t seen = 0;
  for (;;) {
    std::unique_lock lock(mutex_);
    start_.wait(lock, [&] { return stop_ || round_ != seen; });
    if (stop_) return;
    seen = round_;
    const std::int64_t n = n_;
    const auto* work = work_;
    lock.unlock();
    share(worker, n, *work);
    lock.lock();
    if (--busy_ == 0) done_.notify_one();
  }
}

}  // namespace kvcast::cpu
