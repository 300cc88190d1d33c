#include "core/gemm_kernels.h"

#include <utility>

namespace sparring {

namespace {

#if defined(__x86_64__)
#define SPARRING_ISA avx2
#define SPARRING_NAME "avx2"
#define SPARRING_TARGET __attribute__((target("avx2,fma")))
#define SPARRING_VECTOR_BYTES 32
#define SPARRING_SUMS 12
#include "core/gemm_kernels.inc"

#define SPARRING_ISA avx512
#define SPARRING_NAME "avx512"
#define SPARRING_TARGET __attribute__((target("avx512f,fma")))
#define SPARRING_VECTOR_BYTES 64
#define SPARRING_SUMS 24
#include "core/gemm_kernels.inc"
#endif

}  // namespace

template <class T>
std::array<const GemmKernels<T>*, 2> allGemmKernels() {
  std::array<const GemmKernels<T>*, 2> all{};
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return all;
  all[0] = &avx2::kernels<T>;
  if (__builtin_cpu_supports("avx512f")) all[1] = &avx512::kernels<T>;
#endif
  return all;
}

template <class T>
const GemmKernels<T>* gemmKernels() {
  static const GemmKernels<T>* const best = [] {
    const auto all = allGemmKernels<T>();
    return all[1] != nullptr ? all[1] : all[0];
  }();
  return best;
}

template std::array<const GemmKernels<float>*, 2> allGemmKernels();
template std::array<const GemmKernels<double>*, 2> allGemmKernels();
template const GemmKernels<float>* gemmKernels();
template const GemmKernels<double>* gemmKernels();

}  // namespace sparring
