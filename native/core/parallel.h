#pragma once

#include <algorithm>
#include <cstdint>

namespace sparring {

/** How many threads the pool works with, the calling one among them. */
int threadCount();
/** Sets it; at least 1. Not while work is under way. */
void setThreadCount(int count);

/** A borrowed callable: no allocation, valid as long as the callable is. */
class TaskRef {
 public:
  template <class Task>
  explicit TaskRef(const Task& task)
      : task_(&task), invoke_([](const void* self, int index) { (*static_cast<const Task*>(self))(index); }) {}
  void operator()(int index) const { invoke_(task_, index); }

 private:
  const void* task_;
  void (*invoke_)(const void*, int);
};

/** Runs task(0) to task(count - 1) over the pool and returns when all are done. A nested or concurrent call runs inline. */
void runTasks(int count, TaskRef task);

/**
 * Splits [0, n) into at most one range a thread, each of at least `grain`, and runs body(begin, end) over the pool. The
 * split depends on n, grain and the thread count only, so results are the same run after run.
 */
template <class Body>
void parallelFor(int64_t n, int64_t grain, const Body& body) {
  if (n <= 0) return;
  const int64_t ranges = std::min<int64_t>(threadCount(), (n + grain - 1) / grain);
  if (ranges <= 1) {
    body(int64_t{0}, n);
    return;
  }
  const auto task = [&](int index) { body(n * index / ranges, n * (index + 1) / ranges); };
  runTasks(static_cast<int>(ranges), TaskRef(task));
}

/** How many elements of a light loop are worth a thread's while. */
constexpr int64_t elementGrain = 16384;

}  // namespace sparring
