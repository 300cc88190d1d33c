#include "core/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace sparring {

namespace {

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int availableProcessors() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int initialThreadCount() {
  const char* wish = std::getenv("SPARRING_THREADS");
  const int count = wish == nullptr ? 0 : std::atoi(wish);
  return count >= 1 ? count : availableProcessors();
}

/**
 * One job at a time: the caller publishes it, workers claim task indices, the caller helps and then waits. Workers spin
 * briefly between jobs, since the next one of a training step follows within microseconds, and then sleep.
 */
class ThreadPool {
 public:
  ThreadPool() { start(initialThreadCount()); }

  [[nodiscard]] int count() const { return count_; }

  void resize(int count) {
    stop();
    start(count);
  }

  void run(int count, TaskRef task) {
    if (count_ == 1 || working || !busy_.try_lock()) {
      for (int index = 0; index < count; index++) task(index);
      return;
    }
    const std::lock_guard job(busy_, std::adopt_lock);
    task_ = &task;
    total_.store(count, std::memory_order_relaxed);
    pending_.store(count, std::memory_order_relaxed);
    next_.store(0, std::memory_order_seq_cst);
    {
      const std::lock_guard lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    if (sleeping_.load(std::memory_order_seq_cst) > 0) wake_.notify_all();
    working = true;
    work();
    working = false;
    while (pending_.load(std::memory_order_acquire) > 0) relax();
    // A worker that is still looking for a task must not meet the next job's half-written state.
    next_.store(closed, std::memory_order_seq_cst);
    while (inside_.load(std::memory_order_seq_cst) > 0) relax();
  }

 private:
  static constexpr int closed = 1 << 30;
  static constexpr int spins = 16000;

  void work() {
    for (;;) {
      const int index = next_.fetch_add(1, std::memory_order_acq_rel);
      if (index >= total_.load(std::memory_order_relaxed)) return;
      (*task_)(index);
      pending_.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  void serve() {
    working = true;
    uint64_t seen = 0;
    for (;;) {
      uint64_t now = generation_.load(std::memory_order_acquire);
      for (int spin = 0; spin < spins && now == seen; spin++) {
        relax();
        now = generation_.load(std::memory_order_acquire);
      }
      if (now == seen) {
        std::unique_lock lock(mutex_);
        sleeping_.fetch_add(1, std::memory_order_seq_cst);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
        sleeping_.fetch_sub(1, std::memory_order_seq_cst);
        now = generation_.load(std::memory_order_acquire);
      }
      seen = now;
      if (stopping_.load(std::memory_order_acquire)) return;
      inside_.fetch_add(1, std::memory_order_seq_cst);
      if (next_.load(std::memory_order_seq_cst) < closed) work();
      inside_.fetch_sub(1, std::memory_order_release);
    }
  }

  void start(int count) {
    count_ = count;
    stopping_ = false;
    for (int index = 1; index < count; index++) threads_.emplace_back([this] { serve(); });
  }

  void stop() {
    stopping_ = true;
    {
      const std::lock_guard lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  static thread_local bool working;

  int count_ = 1;
  std::vector<std::thread> threads_;
  std::mutex busy_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> sleeping_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<int> inside_{0};
  std::atomic<int> next_{closed};
  std::atomic<int> total_{0};
  std::atomic<int> pending_{0};
  const TaskRef* task_ = nullptr;
};

thread_local bool ThreadPool::working = false;

/** Never destroyed: its threads may still be waiting when Node exits. */
ThreadPool& threadPool() {
  static ThreadPool& instance = *new ThreadPool;
  return instance;
}

}  // namespace

int threadCount() { return threadPool().count(); }
void setThreadCount(int count) { threadPool().resize(std::max(1, count)); }
void runTasks(int count, TaskRef task) { threadPool().run(count, task); }

}  // namespace sparring
