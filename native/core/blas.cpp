#include "core/blas.h"

#include <cblas.h>

#include <algorithm>

#include "core/parallel.h"

namespace sparring {

namespace {

/** OpenBLAS works on the calling thread only; the pool above it does the splitting. */
[[maybe_unused]] const bool oneThreadPerCall = [] {
  openblas_set_num_threads(1);
  return true;
}();

/** Below this much arithmetic a second thread costs more than it brings. */
constexpr int64_t parallelWork = 128 * 1024;

}  // namespace

template <class T>
void gemmSerial(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T beta, T* c, int64_t cStride) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (int64_t i = 0; i < m; i++) {
      for (int64_t j = 0; j < n; j++) c[i * cStride + j] = beta == T{0} ? T{0} : beta * c[i * cStride + j];
    }
    return;
  }
  const auto transA = a.transposed ? CblasTrans : CblasNoTrans;
  const auto transB = b.transposed ? CblasTrans : CblasNoTrans;
  const auto length = [](int64_t value) { return static_cast<blasint>(value); };
  if constexpr (sizeof(T) == sizeof(float)) {
    cblas_sgemm(CblasRowMajor, transA, transB, length(m), length(n), length(k), 1, a.data, length(a.stride), b.data,
                length(b.stride), beta, c, length(cStride));
  } else {
    cblas_dgemm(CblasRowMajor, transA, transB, length(m), length(n), length(k), 1, a.data, length(a.stride), b.data,
                length(b.stride), beta, c, length(cStride));
  }
}

template <class T>
void gemm(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T beta, T* c, int64_t cStride) {
  if (m * n * k < parallelWork || threadCount() == 1) {
    gemmSerial(m, n, k, a, b, beta, c, cStride);
    return;
  }
  // Rows or columns of the result, whichever is longer, in multiples that the matrix kernels like.
  constexpr int64_t unit = 16;
  const bool byRows = m > n;
  parallelFor((std::max(m, n) + unit - 1) / unit, 1, [&](int64_t beginUnit, int64_t endUnit) {
    const int64_t begin = beginUnit * unit;
    const int64_t end = std::min(endUnit * unit, std::max(m, n));
    if (byRows) {
      const Matrix<T> rows{a.data + begin * (a.transposed ? 1 : a.stride), a.stride, a.transposed};
      gemmSerial(end - begin, n, k, rows, b, beta, c + begin * cStride, cStride);
    } else {
      const Matrix<T> columns{b.data + begin * (b.transposed ? b.stride : 1), b.stride, b.transposed};
      gemmSerial(m, end - begin, k, a, columns, beta, c + begin, cStride);
    }
  });
}

template void gemmSerial(int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, float, float*, int64_t);
template void gemmSerial(int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>, double, double*, int64_t);
template void gemm(int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, float, float*, int64_t);
template void gemm(int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>, double, double*, int64_t);

BlasInfo blasInfo() {
  const int parallel = openblas_get_parallel();
  return {openblas_get_config(), openblas_get_corename(),
          parallel == 0   ? "sequential"
          : parallel == 1 ? "pthread"
                          : "openmp"};
}

}  // namespace sparring
