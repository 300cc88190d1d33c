/** The floor that everything stands on: storage, threads, matrix products. */
#include <atomic>
#include <thread>

#include "core/blas.h"
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

template <class T>
void checkProducts(DType dtype, double tolerance) {
  for (const int64_t m : {1, 7, 65}) {
    for (const int64_t n : {1, 33, 130}) {
      for (const int64_t k : {0, 1, 50}) {
        for (int flips = 0; flips < 4; flips++) {
          const bool flipA = (flips & 1) != 0;
          const bool flipB = (flips & 2) != 0;
          const Tensor a = randomTensor(flipA ? Shape{k, m} : Shape{m, k}, dtype, 1);
          const Tensor b = randomTensor(flipB ? Shape{n, k} : Shape{k, n}, dtype, 2);
          const Tensor c = randomTensor({m, n}, dtype, 3);
          std::vector<double> expected = valuesOf(c);
          for (int64_t i = 0; i < m; i++) {
            for (int64_t j = 0; j < n; j++) {
              double sum = 0.5 * expected[static_cast<size_t>(i * n + j)];
              for (int64_t l = 0; l < k; l++) {
                sum += static_cast<double>(a.data<T>()[flipA ? l * m + i : i * k + l]) *
                       static_cast<double>(b.data<T>()[flipB ? j * k + l : l * n + j]);
              }
              expected[static_cast<size_t>(i * n + j)] = sum;
            }
          }
          gemm<T>(m, n, k, {a.data<T>(), std::max<int64_t>(1, flipA ? m : k), flipA},
                  {b.data<T>(), std::max<int64_t>(1, flipB ? k : n), flipB}, T{0.5}, c.data<T>(), n);
          CHECK(close(valuesOf(c), expected, tolerance));
        }
      }
    }
  }
}

TEST(productsAreRight) {
  for (const int threads : {1, 2}) {
    setThreadCount(threads);
    checkProducts<float>(DType::float32, 1e-5);
    checkProducts<double>(DType::float64, 1e-13);
  }
}

}  // namespace
