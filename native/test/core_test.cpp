/** The floor that everything stands on: storage, threads. */
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "core/background.h"
#include "core/parallel.h"
#include "core/storage.h"
#include "test/check.h"
#include "test/tensors.h"

namespace {

using namespace sparring;
using test::close;
using test::randomTensor;
using test::valuesOf;

TEST(freedBlocksAreTakenAgain) {
  const size_t before = poolStatistics().live;
  const std::byte* first = Storage::allocate(100000)->data();
  CHECK(poolStatistics().live == before);
  const auto again = Storage::allocate(99000);
  CHECK(again->data() == first);
  CHECK(reinterpret_cast<uintptr_t>(again->data()) % 64 == 0);
  CHECK(poolStatistics().live > before);
}

TEST(thePoolLetsSizesGoThatNobodyAsksFor) {
  constexpr size_t megabyte = size_t{1} << 20;
  trimPool();
  const auto take = [](size_t megabytes) { Storage::allocate(megabytes * megabyte); };
  take(30);
  for (const size_t size : {40, 48, 56, 64, 80, 96, 112, 128}) {
    take(size);
    take(30);
    const PoolStatistics now = poolStatistics();
    CHECK(now.cached <= std::max(256 * megabyte, now.peak));
  }
  const size_t before = poolStatistics().allocations;
  take(30);
  take(128);
  CHECK(poolStatistics().allocations == before);
  take(40);
  CHECK(poolStatistics().allocations == before + 1);
  trimPool();
}

TEST(everyTaskRunsOnce) {
  for (const int threads : {1, 2, 5}) {
    setThreadCount(threads);
    for (int round = 0; round < 200; round++) {
      std::vector<std::atomic<int>> runs(37);
      const auto task = [&](int index) { runs[static_cast<size_t>(index)]++; };
      runTasks(37, TaskRef(task));
      for (const auto& count : runs) CHECK(count == 1);
    }
  }
}

TEST(rangesCoverAllOnce) {
  setThreadCount(3);
  for (const int64_t n : {0, 1, 2, 3, 10, 1000}) {
    std::vector<std::atomic<int>> seen(static_cast<size_t>(n));
    parallelFor(n, 2, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) seen[static_cast<size_t>(i)]++;
    });
    for (const auto& count : seen) CHECK(count == 1);
  }
}

TEST(callersAndNestedCallsDoNotWaitForEachOther) {
  setThreadCount(3);
  std::atomic<int> done{0};
  const auto inner = [&](int) { done++; };
  const auto outer = [&](int) { runTasks(4, TaskRef(inner)); };
  const auto many = [&] {
    for (int round = 0; round < 100; round++) runTasks(3, TaskRef(outer));
  };
  std::thread other(many);
  many();
  other.join();
  CHECK(done == 2 * 100 * 3 * 4);
}

}  // namespace

TEST(jobsOneAfterTheOtherStayOnAThreadAndJobsAtOnceDoNotWait) {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::thread::id> threads;
  const auto wait = [&](size_t count) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), [&] { return threads.size() >= count; });
  };
  const auto note = [&] {
    const std::lock_guard lock(mutex);
    threads.push_back(std::this_thread::get_id());
    changed.notify_all();
  };
  // Neither ends before both have begun.
  std::barrier both(2);
  for (int i = 0; i < 2; i++) {
    runInBackground([&] {
      both.arrive_and_wait();
      note();
    });
  }
  CHECK(wait(2));

  // A thread that is not back from its last job yet cannot take the next one; that is the exception.
  constexpr size_t jobs = 40;
  size_t stayed = 0;
  for (size_t i = 2; i < 2 + jobs; i++) {
    runInBackground(note);
    CHECK(wait(i + 1));
    stayed += threads[i] == threads[i - 1];
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  CHECK(stayed > jobs / 2);
  CHECK(threads[0] != std::this_thread::get_id());

  // Of more than there are threads for, all come to run.
  for (int i = 0; i < 200; i++) runInBackground(note);
  CHECK(wait(jobs + 202));
}
