#include "ops/conv_kernels.h"

#include <algorithm>
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

// The shorter vectors with the longer ones' registers.
#define SPARRING_ISA avx512vl
#define SPARRING_TARGET __attribute__((target("avx512f,avx512vl")))
#define SPARRING_VECTOR_BYTES 32
#define SPARRING_SUMS 24
#include "ops/conv_kernels.inc"

#define SPARRING_ISA avx512
#define SPARRING_TARGET __attribute__((target("avx512f")))
#define SPARRING_VECTOR_BYTES 64
#define SPARRING_SUMS 24
#include "ops/conv_kernels.inc"
#endif

}  // namespace

template <class T>
const std::vector<const Kernels<T>*>& kernelsOfMachine() {
  // Never destroyed, as no other is that a plan may use while the process ends.
  static const auto& all = *new std::vector<const Kernels<T>*>([] {
    std::vector<const Kernels<T>*> result{&baseline::kernels<T>};
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return result;
    result.push_back(&avx2::kernels<T>);
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512vl")) return result;
    result.push_back(&avx512vl::kernels<T>);
    result.push_back(&avx512::kernels<T>);
#endif
    return result;
  }());
  return all;
}

template <class T>
const Kernels<T>& kernelsFor(int64_t width) {
  // Many processors take twice as long over 64 bytes as over 32, and no processor takes longer over 32 than over 16.
  const auto time = [&](const Kernels<T>* kernels) {
    constexpr int64_t unit = 32 / sizeof(T);
    return (width + kernels->lanes - 1) / kernels->lanes * std::max<int64_t>(1, kernels->lanes / unit);
  };
  const auto& all = kernelsOfMachine<T>();
  return **std::min_element(all.rbegin(), all.rend(), [&](auto* a, auto* b) { return time(a) < time(b); });
}

template const std::vector<const Kernels<float>*>& kernelsOfMachine();
template const std::vector<const Kernels<double>*>& kernelsOfMachine();
template const Kernels<float>& kernelsFor(int64_t);
template const Kernels<double>& kernelsFor(int64_t);

}  // namespace sparring
