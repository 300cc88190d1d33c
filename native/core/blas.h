#pragma once

#include <cstdint>
#include <string>

#include "core/matrix.h"

namespace sparring {

/** c[m,n] = start + a[m,k] b[k,n] as gemmSerial of gemm.h has it, by OpenBLAS. */
template <class T>
void blasGemm(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, const T* start, T* c, int64_t cStride);

/** The BLAS in use, for `sparring info` and the result files. */
struct BlasInfo {
  std::string config;
  std::string core;
  std::string parallel;  // sequential, pthread or openmp
};
BlasInfo blasInfo();

}  // namespace sparring
