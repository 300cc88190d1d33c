#pragma once

#include <cstdint>

#include "core/gemm_kernels.h"
#include "core/matrix.h"

namespace sparring {

/**
 * c[m,n] = start + a[m,k] b[k,n], on the calling thread only, where each row starts as `start` [n], null for zeros.
 * `cStride` elements lie between rows of c.
 */
template <class T>
void gemmSerial(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, const T* start, T* c, int64_t cStride);

/** The same, split over the pool where it is large enough. */
template <class T>
void gemm(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, const T* start, T* c, int64_t cStride);

/** gemmSerial by kernels of a certain instruction set. */
template <class T>
void gemmWith(const GemmKernels<T>& kernels, int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, const T* start,
              T* c, int64_t cStride);

}  // namespace sparring
