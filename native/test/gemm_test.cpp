/** Matrix products against a plain triple loop, and what their bits may depend on. */
#include <cmath>
#include <cstring>
#include <limits>

#include "core/gemm.h"
#include "core/parallel.h"
#include "test/check.h"
#include "test/tensors.h"

namespace {

using namespace sparring;
using test::randomTensor;

/** a · b, whose operands may lie transposed, in rows that are `gap` longer than they need be. */
template <class T>
struct Sample {
  int64_t m, n, k, gap;
  bool flipA, flipB;
  Tensor a, b, start;

  Sample(int64_t rows, int64_t columns, int64_t terms, int flips, int64_t between)
      : m(rows), n(columns), k(terms), gap(between), flipA((flips & 1) != 0), flipB((flips & 2) != 0) {
    const DType dtype = sizeof(T) == 4 ? DType::float32 : DType::float64;
    a = randomTensor({flipA ? k : m, strideA()}, dtype, 1);
    b = randomTensor({flipB ? n : k, strideB()}, dtype, 2);
    start = randomTensor({n}, dtype, 3);
  }
  [[nodiscard]] int64_t strideA() const { return (flipA ? m : k) + gap; }
  [[nodiscard]] int64_t strideB() const { return (flipB ? k : n) + gap; }
  [[nodiscard]] Matrix<T> matrixA() const { return {a.data<T>(), strideA(), flipA}; }
  [[nodiscard]] Matrix<T> matrixB() const { return {b.data<T>(), strideB(), flipB}; }
  [[nodiscard]] T& atA(int64_t i, int64_t l) const {
    return a.data<T>()[flipA ? l * strideA() + i : i * strideA() + l];
  }
  [[nodiscard]] T& atB(int64_t l, int64_t j) const {
    return b.data<T>()[flipB ? j * strideB() + l : l * strideB() + j];
  }
};

constexpr int untouched = 77;

/** Runs it into a matrix full of numbers that must not matter, whose gaps between rows must stay. */
template <class T, class Run>
std::vector<T> product(const Sample<T>& s, bool started, Run run) {
  const int64_t stride = s.n + s.gap;
  std::vector<T> c(static_cast<size_t>(s.m * stride), T{untouched});
  run(s.m, s.n, s.k, s.matrixA(), s.matrixB(), started ? s.start.template data<T>() : nullptr, c.data(), stride);
  return c;
}

template <class T>
void checkPlain(const Sample<T>& s, bool started, const std::vector<T>& c) {
  const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-13;
  for (int64_t i = 0; i < s.m; i++) {
    for (int64_t j = 0; j < s.n + s.gap; j++) {
      const double value = static_cast<double>(c[static_cast<size_t>(i * (s.n + s.gap) + j)]);
      if (j >= s.n) {
        CHECK(value == untouched);
        continue;
      }
      double sum = started ? static_cast<double>(s.start.template data<T>()[j]) : 0;
      for (int64_t l = 0; l < s.k; l++) sum += static_cast<double>(s.atA(i, l)) * static_cast<double>(s.atB(l, j));
      if (std::isfinite(sum)) {
        CHECK(std::abs(value - sum) <= tolerance * (1 + std::sqrt(static_cast<double>(s.k))));
      } else {
        CHECK(std::isnan(sum) ? std::isnan(value) : value == sum);
      }
    }
  }
}

/** check(run) with the kernels of each instruction set, and with what `gemm` chooses. */
template <class T, class Check>
void withAll(const Check& check) {
  for (const GemmKernels<T>* kernels : allGemmKernels<T>()) {
    if (kernels != nullptr) check([kernels](auto... arguments) { gemmWith<T>(*kernels, arguments...); });
  }
  for (const int threads : {1, 2}) {
    setThreadCount(threads);
    check([](auto... arguments) { gemm<T>(arguments...); });
  }
}

template <class T>
void checkShapes() {
  // Every number of rows and vectors that a tile may have or leave, blocks of terms, and blocks of rows.
  const std::vector<std::array<int64_t, 3>> shapes = {
      {1, 1, 1},    {1, 7, 5},      {1, 61, 303}, {2, 64, 129},  {3, 67, 131},  {4, 17, 3},
      {5, 10, 84},  {6, 129, 64},   {7, 32, 33},  {8, 33, 127},  {9, 31, 128},  {10, 16, 257},
      {7, 40, 900}, {11, 48, 4},    {12, 65, 2},  {13, 8, 300},  {25, 97, 130}, {37, 1, 50},
      {481, 33, 5}, {503, 19, 131}, {67, 130, 0}, {23, 1000, 9}, {128, 10, 150}};
  withAll<T>([&](auto run) {
    for (const auto& [m, n, k] : shapes) {
      for (int flips = 0; flips < 4; flips++) {
        for (const int64_t gap : {0, 3}) {
          const Sample<T> s(m, n, k, flips, std::max<int64_t>(gap, k == 0 ? 1 : 0));
          for (const bool started : {false, true}) checkPlain(s, started, product(s, started, run));
        }
      }
    }
  });
}

TEST(productsAreRight) {
  checkShapes<float>();
  checkShapes<double>();
}

TEST(productsCarryWhatIsNotFinite) {
  withAll<float>([&](auto run) {
    for (int flips = 0; flips < 4; flips++) {
      const Sample<float> s(14, 37, 140, flips, 0);
      s.atA(3, 139) = std::numeric_limits<float>::infinity();
      s.atA(13, 0) = std::numeric_limits<float>::quiet_NaN();
      s.atB(139, 36) = 0;
      s.atB(2, 5) = -std::numeric_limits<float>::infinity();
      checkPlain(s, true, product(s, true, run));
    }
  });
}

/** Rows and columns of a product of several blocks each way, alone: the same bits. */
template <class T>
void checkBits() {
  for (const GemmKernels<T>* kernels : allGemmKernels<T>()) {
    if (kernels == nullptr) continue;
    for (int flips = 0; flips < 4; flips++) {
      // One of several blocks of rows and of columns, on every instruction set.
      const bool large = flips == 2;
      const Sample<T> s(large ? 490 : 130, large ? 3100 : 203, 403, flips, 0);
      const auto one = [&](auto... arguments) { gemmWith<T>(*kernels, arguments...); };
      const std::vector<T> all = product(s, true, one);
      for (const int64_t rows : {1, 2, 5, 7, 12, 40}) {
        for (const int64_t columns : {1, 17, 64, 203}) {
          const int64_t row = s.m - rows;
          const int64_t column = s.n - columns;
          std::vector<T> part(static_cast<size_t>(rows * columns));
          one(rows, columns, s.k, s.matrixA().rowsFrom(row), s.matrixB().columnsFrom(column),
              static_cast<const T*>(s.start.template data<T>() + column), part.data(), columns);
          for (int64_t i = 0; i < rows; i++) {
            CHECK(std::memcmp(&part[static_cast<size_t>(i * columns)],
                              &all[static_cast<size_t>((row + i) * s.n + column)],
                              static_cast<size_t>(columns) * sizeof(T)) == 0);
          }
        }
      }
    }
  }
}

TEST(productsDependOnTheirOwnTermsOnly) {
  checkBits<float>();
  checkBits<double>();
}

}  // namespace
