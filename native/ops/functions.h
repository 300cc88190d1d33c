#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace sparring {

/** x as a T. Whole numbers are cut towards zero and end at the ends of their type; NaN becomes 0. */
template <class T, class From>
inline T numberAs(From x) {
  if constexpr (std::is_integral_v<T> && std::is_floating_point_v<From>) {
    using Limits = std::numeric_limits<T>;
    if (x >= static_cast<From>(Limits::max())) return Limits::max();
    if (x <= static_cast<From>(Limits::min())) return Limits::min();
    return x == x ? static_cast<T>(x) : T{0};
  } else {
    return static_cast<T>(x);
  }
}

/**
 * Transcendental functions of float32 in plain arithmetic, so that the compiler turns a loop of them into SIMD code:
 * the library's own are scalar calls. Errors are within 2.5 units in the last place; float64 uses the library's.
 */
inline float expOf(float x) {
  // e^x = 2^n e^r with |r| <= ln 2 / 2, ln 2 in two parts so that r is exact; e^r by its Taylor polynomial.
  const float clamped = x > 89.0F ? 89.0F : (x < -104.0F ? -104.0F : x);
  const float scaled = clamped * 1.44269504F;
  const float shifted = scaled + 12582912.0F;  // rounds to a whole number in the low bits
  const float whole = shifted - 12582912.0F;
  const float r = (clamped - whole * 0.693359375F) - whole * -2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  // 2^n in two factors, so that the subnormal end of the range is reached without a jump.
  const auto n = static_cast<int32_t>(whole);
  const int32_t half = n >> 1;
  const float result = p * std::bit_cast<float>((half + 127) << 23) * std::bit_cast<float>((n - half + 127) << 23);
  return x != x ? x : (x > 88.7228394F ? std::numeric_limits<float>::infinity() : result);
}
inline double expOf(double x) { return std::exp(x); }

inline float sigmoidOf(float x) {
  const float e = expOf(x < 0 ? x : -x);
  const float small = e / (1.0F + e);
  return x < 0 ? small : 1.0F / (1.0F + e);
}
inline double sigmoidOf(double x) {
  const double e = std::exp(x < 0 ? x : -x);
  return x < 0 ? e / (1.0 + e) : 1.0 / (1.0 + e);
}

inline float tanhOf(float x) {
  const float size = x < 0 ? -x : x;
  // Near zero by the odd polynomial of Cephes; elsewhere 1 - 2 / (e^2x + 1), which loses nothing there.
  const float s = x * x;
  float p = -5.70498872745e-3F;
  p = p * s + 2.06390887954e-2F;
  p = p * s - 5.37397155531e-2F;
  p = p * s + 1.33314422036e-1F;
  p = p * s - 3.33332819422e-1F;
  const float near = p * s * x + x;
  const float far = 1.0F - 2.0F / (expOf(2.0F * size) + 1.0F);
  return size < 0.625F ? near : (x < 0 ? -far : far);
}
inline double tanhOf(double x) { return std::tanh(x); }

template <class T>
inline T signOf(T x) {
  return static_cast<T>(x > T{0}) - static_cast<T>(x < T{0});
}

}  // namespace sparring
