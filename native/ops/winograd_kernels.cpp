#include "ops/winograd_kernels.h"

#include <utility>

namespace sparring {

namespace {

// The points a and b of winograd.h.
constexpr float a = 5.0F / 8;
constexpr float b = 3.0F / 2;
constexpr float a2 = a * a;
constexpr float b2 = b * b;

#define SPARRING_ISA baseline
#define SPARRING_TARGET
#define SPARRING_VECTOR_BYTES 16
#if defined(__aarch64__)
#define SPARRING_ROWS 12
#else
#define SPARRING_ROWS 6
#endif
#include "ops/winograd_kernels.inc"

#if defined(__x86_64__)
#define SPARRING_ISA avx2
#define SPARRING_TARGET __attribute__((target("avx2,fma")))
#define SPARRING_VECTOR_BYTES 32
#define SPARRING_ROWS 6
#include "ops/winograd_kernels.inc"

#define SPARRING_ISA avx512
#define SPARRING_TARGET __attribute__((target("avx512f")))
#define SPARRING_VECTOR_BYTES 64
#define SPARRING_ROWS 12
#include "ops/winograd_kernels.inc"
#endif

}  // namespace

const std::vector<const WinogradKernels*>& winogradKernels() {
  // Never destroyed, as no other is that a plan may use while the process ends.
  static const auto& result = *new std::vector<const WinogradKernels*>([] {
    std::vector<const WinogradKernels*> list;
#if defined(__x86_64__)
    const bool hasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (hasAvx2 && __builtin_cpu_supports("avx512f")) list.push_back(&avx512::kernels);
    if (hasAvx2) list.push_back(&avx2::kernels);
#endif
    list.push_back(&baseline::kernels);
    return list;
  }());
  return result;
}

}  // namespace sparring
