#pragma once

#include <cstdint>
#include <string>

namespace sparring {

/** A matrix operand: row-major, `stride` elements from row to row, read transposed when asked. */
template <class T>
struct Matrix {
  const T* data;
  int64_t stride;
  bool transposed = false;
};

/**
 * c[m,n] = a[m,k] b[k,n] + beta c, on the calling thread only. `cStride` elements lie between rows of c.
 */
template <class T>
void gemmSerial(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T beta, T* c, int64_t cStride);

/** The same, split over the pool where it is large enough. */
template <class T>
void gemm(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T beta, T* c, int64_t cStride);

/** The BLAS in use, for `sparring info` and the result files. */
struct BlasInfo {
  std::string config;
  std::string core;
  std::string parallel;  // sequential, pthread or openmp
};
BlasInfo blasInfo();

}  // namespace sparring
