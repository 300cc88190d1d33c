#include "core/blas.h"

#include <cblas.h>

#include <algorithm>

namespace sparring {

namespace {

/** OpenBLAS works on the calling thread only; gemm.cpp above it does the splitting. */
[[maybe_unused]] const bool oneThreadPerCall = [] {
  openblas_set_num_threads(1);
  return true;
}();

}  // namespace

template <class T>
void blasGemm(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, const T* start, T* c, int64_t cStride) {
  for (int64_t row = 0; row < m && (start != nullptr || k == 0); row++) {
    if (start != nullptr) {
      std::copy_n(start, n, c + row * cStride);
    } else {
      std::fill_n(c + row * cStride, n, T{0});
    }
  }
  if (m == 0 || n == 0 || k == 0) return;
  const T beta = start == nullptr ? T{0} : T{1};
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

template void blasGemm(int64_t, int64_t, int64_t, Matrix<float>, Matrix<float>, const float*, float*, int64_t);
template void blasGemm(int64_t, int64_t, int64_t, Matrix<double>, Matrix<double>, const double*, double*, int64_t);

BlasInfo blasInfo() {
  const int parallel = openblas_get_parallel();
  return {openblas_get_config(), openblas_get_corename(),
          parallel == 0   ? "sequential"
          : parallel == 1 ? "pthread"
                          : "openmp"};
}

}  // namespace sparring
