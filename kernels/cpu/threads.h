/// The CPU backend's threads. Work is cut by index alone, so that a result never depends on who computed it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace kvcast::cpu {

/// Contract: run(n, work) calls work(i, worker) for every i of [0, n) once and returns when all are done.
/// Index i runs on worker i % size(): a fixed share, so that a kernel's time does not depend on a race for
/// work. With size() 1 everything runs on the calling thread.
class Threads {
 public:
  /// \param count at least 1
  explicit Threads(int count);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  [[nodiscard]] int size() const { return size_; }
  void run(std::int64_t n, const std::function<void(std::int64_t, int)>& work);

 private:
  void serve(int worker);
  void share(int worker, std::int64_t n, const std::function<void(std::int64_t, int)>& work) const;

  int size_;
  std::mutex mutex_;
  std::condition_variable start_, done_;
  std::uint64_t round_ = 0;  // number of run() calls so far
  int busy_ = 0;             // workers that have not finished the current round
  bool stop_ = false;
  std::int64_t n_ = 0;
  const std::function<void(std::int64_t, int)>* work_ = nullptr;
  std::vector<std::thread> threads_;
};

}  // namespace kvcast::cpu
