#include "ops/conv_kernels.h"

#include <utility>

namespace sparring {

namespace {

#define SPARRING_ISA baseline
#define SPARRING_TARGET
#define SPARRING_VECTOR_BYTES 16
#if defined(__aarch64__)
#define SPARRING_SUMS 24
#else
#define SPARRING_SUMS 12
#endif
#include "ops/conv_kernels.inc"

#if defined(__x86_64__)
#define SPARRING_ISA avx2
#define SPARRING_TARGET __attribute__((target("avx2,fma")))
#define SPARRING_VECTOR_BYTES 32
#define SPARRING_SUMS 12
#include "ops/conv_kernels.inc"

#define SPARRING_ISA avx512
#define SPARRING_TARGET __attribute__((target("avx512f")))
#define SPARRING_VECTOR_BYTES 64
#define SPARRING_SUMS 24
#include "ops/conv_kernels.inc"
#endif

}  // namespace

template <class T>
const Kernels<T>& kernelsFor([[maybe_unused]] int64_t width) {
#if defined(__x86_64__)
  static const bool hasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  static const bool hasAvx512 = hasAvx2 && __builtin_cpu_supports("avx512f");
  const auto steps = [&](const Kernels<T>& kernels) { return (width + kernels.lanes - 1) / kernels.lanes; };
  if (hasAvx512 && steps(avx512::kernels<T>) < steps(avx2::kernels<T>)) return avx512::kernels<T>;
  if (hasAvx2) return avx2::kernels<T>;
#endif
  return baseline::kernels<T>;
}

template const Kernels<float>& kernelsFor(int64_t);
template const Kernels<double>& kernelsFor(int64_t);

}  // namespace sparring
